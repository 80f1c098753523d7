"""The last seconds of everything heard."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.audio import FRAME_SAMPLES, Frame
from stream.recent import MAX_SECONDS, RecentAudio

RATE = 16_000


def heard(num_frames, start=0):
    recent = RecentAudio()
    for number in range(num_frames):
        pcm = number.to_bytes(2, "little") * FRAME_SAMPLES
        recent.push(Frame(start + number * FRAME_SAMPLES, pcm))
    return recent


def test_nothing_was_heard_at_first():
    recent = RecentAudio()
    assert recent.end == 0
    assert recent.last(10.0) == (0, b"")


def test_what_there_is_is_given_if_more_is_wanted():
    start, pcm = heard(3).last(10.0)
    assert (start, len(pcm)) == (0, 3 * 640)


def test_audio_before_a_position_ends_there():
    start, pcm = heard(10).last(0.04, until=5 * FRAME_SAMPLES)
    assert start == 3 * FRAME_SAMPLES
    assert {pcm[i] for i in range(0, len(pcm), 2)} == {3, 4}


@given(num_frames=st.integers(1, 2_000), seconds=st.floats(0.001, MAX_SECONDS))
def test_it_is_the_newest_and_bounded(num_frames, seconds):
    recent = heard(num_frames)
    start, pcm = recent.last(seconds)
    assert start + len(pcm) // 2 == recent.end == num_frames * FRAME_SAMPLES
    wanted = min(seconds * RATE, recent.end)
    assert wanted - 1 <= len(pcm) // 2 < wanted + FRAME_SAMPLES + 1
    assert len(pcm) <= MAX_SECONDS * RATE * 2
    assert int.from_bytes(pcm[-2:], "little") == num_frames - 1


@pytest.mark.parametrize("seconds", [0.001, 0.02])
def test_less_than_a_frame_is_a_frame(seconds):
    assert len(heard(5).last(seconds)[1]) == 640
