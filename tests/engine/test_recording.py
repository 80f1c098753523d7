"""Sound files of all kinds, and long ones in parts."""

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import RecordingError
from engine.geometry import SAMPLE_RATE
from engine.recording import MAX_SAMPLES, READ_SAMPLES, read, split


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * SAMPLE_RATE))


def written(path, samples, rate=SAMPLE_RATE, **options):
    soundfile.write(path, samples, rate, **options)
    return path


def test_a_file_of_one_channel_at_16_khz_is_heard_as_it_is(tmp_path):
    ints = (noise(1.5) * 32767).astype(np.int16)
    recording = read(written(tmp_path / "a.wav", ints), mix=False)
    assert np.array_equal(recording.samples, ints.astype(np.float32) / 32768)
    assert recording.samples.dtype == np.float32
    assert recording.changes == ""
    assert recording.duration_s == 1.5


@pytest.mark.parametrize(
    ("mix", "told"),
    [(True, "2 channels, mixed"), (False, "2 channels, only the first heard")],
)
def test_of_two_channels_it_says_what_is_heard(tmp_path, mix, told):
    left, right = np.full(800, 0.5), np.full(800, -0.25)
    path = written(tmp_path / "a.wav", np.stack([left, right], 1), subtype="FLOAT")
    recording = read(path, mix=mix)
    assert recording.samples == pytest.approx(0.125 if mix else 0.5)
    assert recording.changes == told


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_another_rate_is_resampled_as_the_whole_file_would_be(tmp_path, rate):
    samples = np.random.default_rng(0).normal(0, 0.1, 3 * READ_SAMPLES + 17)
    path = written(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    recording = read(path, mix=True)
    whole = soxr.resample(samples.astype(np.float32), rate, SAMPLE_RATE)
    assert len(recording.samples) == len(whole)
    assert np.allclose(recording.samples, whole, atol=1e-6)
    assert recording.changes == f"resampled from {rate} to 16000 Hz"


def test_a_file_of_whole_blocks_ends_with_the_last(tmp_path):
    samples = noise(2 * READ_SAMPLES / SAMPLE_RATE)
    for rate in (SAMPLE_RATE, 8_000):
        recording = read(written(tmp_path / "a.wav", samples, rate), mix=True)
        assert len(recording.samples) == len(samples) * SAMPLE_RATE // rate


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"Dear reader, this is a letter.\n" * 9, "not audio: Format not recognised"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", "not audio: "),
    ],
)
def test_what_is_no_audio_is_refused_by_name(tmp_path, content, reason):
    path = tmp_path / "letter.wav"
    path.write_bytes(content)
    with pytest.raises(RecordingError) as caught:
        read(path, mix=True)
    assert str(caught.value).startswith(f"{path}: {reason}")


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="No such file or directory"):
        read(tmp_path / "a.wav", mix=True)
    with pytest.raises(RecordingError, match="Is a directory"):
        read(tmp_path, mix=True)


def test_a_file_without_sound_is_refused(tmp_path):
    path = written(tmp_path / "a.wav", np.zeros(0))
    with pytest.raises(RecordingError, match="it holds no audio"):
        read(path, mix=True)


def test_a_file_with_what_is_no_number_is_refused(tmp_path):
    path = written(tmp_path / "a.wav", np.array([0.0, np.nan]), subtype="FLOAT")
    with pytest.raises(RecordingError, match="no finite numbers"):
        read(path, mix=True)


def test_what_fits_stays_whole():
    (part,) = split(np.ones(MAX_SAMPLES, np.float32))
    assert (part.start, part.end) == (0, MAX_SAMPLES)


@settings(max_examples=30)
@given(
    seconds=st.floats(0.01, 3.0), most=st.integers(800, 40_000), seed=st.integers(0, 9)
)
def test_parts_fit_and_are_together_the_whole(seconds, most, seed):
    samples = noise(seconds, seed).astype(np.float32)
    parts = split(samples, most)
    assert all(0 < len(part.samples) <= most for part in parts)
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert np.array_equal(np.concatenate([part.samples for part in parts]), samples)


def test_a_long_sound_is_cut_in_its_pause():
    samples = np.ones(40 * SAMPLE_RATE, np.float32)
    pause = slice(27 * SAMPLE_RATE + 1_234, 27 * SAMPLE_RATE + 4_434)
    samples[pause] = 0.0
    first, _ = split(samples)
    assert pause.start < first.end < pause.stop


def test_of_two_pauses_the_quieter_is_taken_and_of_equal_ones_the_later():
    samples = np.ones(35 * SAMPLE_RATE, np.float32)
    for second, level in ((26, 0.01), (28, 0.01), (29, 0.02)):
        samples[second * SAMPLE_RATE :][: SAMPLE_RATE // 5] = level
    first, _ = split(samples)
    assert 28.0 < first.end / SAMPLE_RATE < 28.2
