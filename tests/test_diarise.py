"""The meetings that speakers are measured on, and how they are scored."""

import numpy as np
import pytest
import soundfile

from engine.data.manifest import read_manifest
from tests.diarise import REPORTED, TUNING, row_of
from tests.heard_meetings import Heard, smoothed
from tests.meetings import LEVEL_DB, LOUDNESS, Meeting, Spoken, mix_meetings, phrases

RATE = 16_000


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Three speakers, of each three clips: noise in bursts, with a pause."""
    folder = tmp_path_factory.mktemp("clips")
    rng, lines = np.random.default_rng(0), []
    for speaker in "abc":
        for number in range(3):
            burst = rng.normal(0, 0.1, 2 * RATE)
            samples = np.concatenate([burst, np.zeros(RATE), burst])
            soundfile.write(folder / f"{speaker}{number}.wav", samples, RATE)
            name = f"{speaker}{number}.wav"
            lines.append(
                f'{{"path": "{name}", "duration_s": 5, "speaker": "{speaker}"}}'
            )
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return read_manifest(folder / "manifest.jsonl")


def mixed(clips, *, counts=(2, 3), seed=1):
    return list(mix_meetings(clips, counts=counts, length_s=30.0, seed=seed))


def test_a_meeting_follows_from_its_seed(clips):
    one, other, third = (mixed(clips, seed=seed) for seed in (1, 1, 2))
    assert [m.spoken for m in one] == [m.spoken for m in other]
    assert all(
        np.array_equal(a.samples, b.samples) for a, b in zip(one, other, strict=True)
    )
    assert [m.spoken for m in one] != [m.spoken for m in third]


def test_it_has_as_many_speakers_as_were_wanted_and_all_come_up(clips):
    meetings = mixed(clips, counts=(2, 2))
    assert [len(m.speakers) for m in meetings] == [2, 2]
    assert {name for m in meetings for name in m.speakers} == {"a", "b", "c"}


def test_somebody_speaks_where_it_says_and_nobody_elsewhere(clips):
    for meeting in mixed(clips):
        speaks = np.zeros(len(meeting.samples), bool)
        for spoken in meeting.spoken:
            speaks[spoken.start : spoken.end] = True
        level = np.sqrt(np.mean(meeting.samples[speaks] ** 2))
        assert LOUDNESS * 10 ** (-LEVEL_DB / 20) < level < 2 * LOUDNESS
        assert np.sqrt(np.mean(meeting.samples[~speaks] ** 2)) < LOUDNESS / 20


def test_a_clip_is_cut_at_its_pauses(clips):
    burst = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    samples = np.concatenate([burst, np.zeros(RATE // 10, np.float32), burst])
    assert [len(phrase) for phrase in phrases(samples)] == [len(samples) // 320 * 320]
    samples = np.concatenate([burst, np.zeros(RATE, np.float32), burst])
    assert [len(phrase) for phrase in phrases(samples)] == [RATE, RATE]


def test_rules_were_chosen_on_other_sets_than_are_reported():
    reported = {name for meetings in REPORTED for name in meetings.sets}
    assert not reported & {name for meetings in TUNING for name in meetings.sets}
    assert [len(meetings.counts) for meetings in REPORTED] == [20]


def meeting_of(*spoken):
    return Meeting(
        np.zeros(20 * RATE, np.float32),
        tuple(Spoken(name, round(a * RATE), round(b * RATE)) for name, a, b in spoken),
    )


def heard_of(*told):
    spans = [(round(a * RATE), round(b * RATE), speaker) for a, b, speaker in told]
    return Heard(
        live=spans, at_once=spans, offline=spans, delays_s=[1.0, 3.0], audio_s=20.0
    )


def test_whoever_is_told_apart_is_right_whatever_the_numbers_are():
    meeting = meeting_of(("a", 0, 10), ("b", 10, 20))
    row = row_of("m", "2", [(meeting, heard_of((0, 10.2, 7), (10.2, 20, 3)))])
    assert (row.live, row.live_count, row.settles_s) == (0.0, 0.0, 2.0)
    assert row.cost_ms is None


def test_what_is_another_s_is_an_error_by_its_share():
    meeting = meeting_of(("a", 0, 10), ("b", 10, 20))
    row = row_of("m", "2", [(meeting, heard_of((0, 15.25, 1), (15.25, 20, 2)))])
    # 5 s of 19: within 0.25 s of a border of either nothing counts.
    assert row.live == pytest.approx(100 * 5 / 19, abs=0.1)


def test_where_two_speak_one_is_missed_unless_that_is_not_counted():
    meeting = meeting_of(("a", 0, 12), ("b", 10, 20))
    row = row_of("m", "2", [(meeting, heard_of((0, 11, 1), (11, 20, 2)))])
    assert row.live > 4.0
    assert row.live_single == 0.0


def test_offline_the_majority_of_neighbours_counts():
    labels = np.array([1, 1, 2, 1, 1, 2, 2, 2], np.intp)
    assert smoothed(labels).tolist() == [1, 1, 1, 1, 2, 2, 2, 2]
