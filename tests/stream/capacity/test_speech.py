"""Clips as turns: what a session wanted, when, and where its segments are."""

import pytest

from stream.capacity.priced import info_of
from stream.capacity.speech import numbered, record
from stream.jobs import HearAudio, MakeFinal, OpenUtterance, TryFinal
from tests.stream.capacity.speaking import FREE, SEGMENTER, Loud, loud, quiet, turn_of

FRAME_S = 0.02


def jobs_of(turn):
    return [job for piece in turn.pieces for job in piece.jobs]


def test_a_turn_has_the_segments_that_the_segmenter_finds():
    turn = turn_of(2.0, 3.0)
    first, second = turn.segments
    assert turn.length_s == pytest.approx(1.0 + 2.0 + 1.5 + 3.0 + 1.5)
    # Pre-roll in front, tail behind, and the hangover before it is decided.
    assert first.start_s == pytest.approx(0.7)
    assert first.length_s == pytest.approx(0.3 + 2.0 + 0.2)
    assert first.decided_s == pytest.approx(3.5, abs=FRAME_S)
    assert second.start_s == pytest.approx(4.2)
    assert first.ends_in_a_pause
    assert turn.speech_s == pytest.approx(2.5 + 3.5)


def test_its_jobs_are_those_of_a_session_each_behind_the_message_that_brought_it():
    turn = turn_of(2.0)
    jobs = jobs_of(turn)
    assert isinstance(jobs[0], OpenUtterance)
    assert isinstance(jobs[-1], MakeFinal)
    assert sum(isinstance(job, TryFinal) for job in jobs) == 1
    heard = sum(len(job.pcm) for job in jobs if isinstance(job, HearAudio))
    assert heard == 2 * 16_000 * 2.5
    for piece in turn.pieces:
        assert piece.due_s == pytest.approx(round(piece.due_s / 0.04) * 0.04)
    last = turn.pieces[-1]
    assert 0 <= last.due_s - turn.segments[0].decided_s < 0.04


def test_speech_that_is_too_long_is_cut_and_that_is_no_pause():
    turn = turn_of(30.0)
    cut, rest = turn.segments
    assert not cut.ends_in_a_pause
    assert rest.ends_in_a_pause
    assert cut.start_s + cut.length_s == pytest.approx(rest.start_s)


def test_a_turn_may_be_said_again_in_the_same_session():
    jobs = jobs_of(turn_of(1.0))
    assert {job.segment for job in numbered(jobs, behind=4)} == {5}


def test_without_speech_there_is_no_turn():
    with pytest.raises(ValueError, match="no speech"):
        record(quiet(2.0), Loud(), SEGMENTER, info_of(FREE), tasks=("transcribe",))


def test_speech_to_the_end_of_a_clip_ends_with_it():
    pcm = quiet(1.0) + loud(2.0)
    turn = record(pcm, Loud(), SEGMENTER, info_of(FREE), tasks=("transcribe",))
    (segment,) = turn.segments
    assert segment.decided_s == pytest.approx(3.0)
