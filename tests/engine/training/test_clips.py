"""How clips are read for training."""

import numpy as np
import pytest
import soundfile

from engine.data.examples import Example
from engine.geometry import SAMPLE_RATE
from engine.training.clips import ClipError, read_joined


def write(path, samples, rate=SAMPLE_RATE):
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def read(*files, **part):
    return read_joined(Example(text="x", files=files, **part))


def ramp(seconds):
    return np.linspace(-0.5, 0.5, int(seconds * SAMPLE_RATE), dtype=np.float32)


def test_only_the_first_channel_counts(tmp_path):
    both = np.stack([ramp(1.5), -ramp(1.5)], 1)
    assert np.array_equal(read(write(tmp_path / "x.wav", both)), ramp(1.5))


def test_files_are_joined_with_a_tenth_of_a_second_of_silence(tmp_path):
    files = [write(tmp_path / f"{n}.wav", ramp(0.8)) for n in range(3)]
    joined = read(*files)
    assert len(joined) == 3 * 12_800 + 2 * 1600
    assert not joined[12_800:14_400].any()
    assert np.array_equal(joined[14_400:27_200], ramp(0.8))


def test_a_short_clip_is_followed_by_silence_to_one_second(tmp_path):
    samples = read(write(tmp_path / "x.wav", ramp(0.25)))
    assert len(samples) == SAMPLE_RATE
    assert np.array_equal(samples[:4000], ramp(0.25))
    assert not samples[4000:].any()


def test_a_long_clip_is_cut_at_thirty_seconds(tmp_path):
    samples = read(write(tmp_path / "x.wav", ramp(31.0)))
    assert np.array_equal(samples, ramp(31.0)[: 30 * SAMPLE_RATE])


def test_a_part_of_a_file_is_read_alone(tmp_path):
    path = write(tmp_path / "x.wav", ramp(5.0))
    part = read(path, start_s=2.0, duration_s=1.5)
    assert np.array_equal(part, ramp(5.0)[32_000:56_000])
    assert len(read(path, duration_s=1.5)) == len(ramp(5.0))


def test_other_rates_are_resampled(tmp_path):
    times = np.arange(2 * 8000) / 8000
    path = write(tmp_path / "x.wav", np.sin(2 * np.pi * 440 * times), 8000)
    samples = read(path)
    assert len(samples) == 2 * SAMPLE_RATE
    loudest = np.abs(np.fft.rfft(samples)).argmax() / 2
    assert loudest == pytest.approx(440, abs=1)


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "is not audio"), ([], "has no samples"), ([np.nan] * 9, "are no numbers")],
)
def test_a_broken_file_is_named(tmp_path, content, told):
    path = tmp_path / "x.wav"
    if content is None:
        path.write_text("no audio")
    else:
        write(path, np.array(content, np.float32))
    with pytest.raises(ClipError, match=told) as caught:
        read(path)
    assert str(path) in str(caught.value)
