from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from engine.benchmarks.sounds import (
    GAP_S,
    between_silences,
    endless,
    joined,
    runs,
    silence,
    white_noise,
    write_wav,
)
from engine.data.manifest import Clip
from engine.geometry import SAMPLE_RATE, samples_of


def clip(duration_s, speaker="ann", file=Path("none.wav")):
    return Clip(file.name, file, duration_s, {"speaker": speaker})


@pytest.mark.parametrize("dbfs", [-20, -40])
def test_noise_has_the_power_that_was_asked_for(dbfs):
    noise = white_noise(10.0, dbfs=dbfs)
    assert 10 * np.log10((noise**2).mean()) == pytest.approx(dbfs, abs=0.1)
    assert np.array_equal(noise, white_noise(10.0, dbfs=dbfs))


def test_a_clip_begins_where_the_silence_before_it_ends():
    speech = np.full(800, 0.5, np.float32)
    heard = between_silences(speech, before_s=1.0, after_s=0.5)
    onset = SAMPLE_RATE
    assert not heard[:onset].any()
    assert np.array_equal(heard[onset : onset + 800], speech)
    assert len(heard) == onset + 800 + SAMPLE_RATE // 2
    assert not heard[onset + 800 :].any()


def test_joined_clips_have_gaps_between_them_and_none_about_them():
    one, two = np.ones(100, np.float32), np.full(50, 0.5, np.float32)
    gap = silence(GAP_S)
    assert np.array_equal(joined([one, two]), np.concatenate([one, gap, two]))
    assert len(joined([])) == 0


def test_clips_begin_again_until_the_time_is_full(tmp_path):
    file = write_wav(tmp_path / "one.wav", white_noise(1.0, dbfs=-20))
    samples = endless([clip(1.0, file=file)], 3.0)
    again = samples_of(1.0 + GAP_S)
    assert len(samples) == samples_of(3.0)
    assert np.array_equal(samples[: samples_of(1.0)], samples[again:][: samples_of(1)])


def test_a_written_file_holds_the_samples_in_16_bits(tmp_path):
    samples = white_noise(0.1, dbfs=-20)
    read, rate = soundfile.read(write_wav(tmp_path / "a.wav", samples), dtype="float32")
    assert rate == SAMPLE_RATE
    assert np.abs(read - samples).max() <= 1 / 2**15


def test_a_run_takes_as_many_clips_of_one_speaker_as_fit():
    clips = [clip(9.0), clip(9.0), clip(7.0), clip(12.0), clip(20.0, "bob"), clip(5.0)]
    (run,) = runs(clips, min_s=25.0, max_s=27.0)
    assert run == tuple(clips[:3])


def test_a_clip_that_starts_no_run_is_left_out():
    clips = [clip(3.0), clip(20.0), clip(6.0)]
    (run,) = runs(clips, min_s=25.0, max_s=27.0)
    assert run == tuple(clips[1:])


@given(
    st.lists(
        st.tuples(st.floats(1.0, 30.0), st.sampled_from(["ann", "bob"])), max_size=30
    )
)
def test_every_run_is_of_one_speaker_and_of_the_length_asked_for(drawn):
    clips = [clip(duration_s, speaker) for duration_s, speaker in drawn]
    found = runs(clips, min_s=25.0, max_s=27.0)
    for run in found:
        assert len({one.facts["speaker"] for one in run}) == 1
        length_s = sum(one.duration_s for one in run) + GAP_S * (len(run) - 1)
        assert 25.0 - 1e-6 <= length_s <= 27.0 + 1e-6
    taken = [id(one) for run in found for one in run]
    assert len(taken) == len(set(taken))
