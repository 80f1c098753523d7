import io

import numpy as np
import pytest
import soundfile

from stream.audio import to_float
from stream.errors import AudioFormatError
from stream.uploads import READ_SAMPLES, Upload


def file_of(samples, *, rate=16_000, format="WAV", subtype="PCM_16"):
    written = io.BytesIO()
    soundfile.write(written, samples, rate, format=format, subtype=subtype)
    return written.getvalue()


def all_of(upload):
    pieces = []
    while piece := upload.read():
        pieces.append(piece)
    return pieces


@pytest.mark.parametrize("num_samples", [1, READ_SAMPLES, 2 * READ_SAMPLES + 7])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_file_is_read_to_its_last_sample(num_samples, channels):
    generator = np.random.default_rng(0)
    samples = generator.integers(-32_768, 32_767, (num_samples, channels), np.int16)
    upload = Upload(file_of(samples, rate=44_100))
    assert (upload.format.rate, upload.format.channels) == (44_100, channels)
    pieces = all_of(upload)
    assert b"".join(pieces) == samples.tobytes()
    assert all(len(piece) <= READ_SAMPLES * channels * 2 for piece in pieces)


def test_floats_beyond_full_scale_are_clipped():
    upload = Upload(file_of(np.float32([0.5, 1.5, -2.0]), subtype="FLOAT"))
    heard = to_float(b"".join(all_of(upload)))
    assert heard == pytest.approx([0.5, 1.0, -1.0], abs=1e-4)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")],
)
def test_a_file_says_how_long_it_is(container, subtype):
    samples = np.zeros(48_000, np.int16)
    upload = Upload(file_of(samples, format=container, subtype=subtype))
    assert upload.seconds == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("data", [b"", b"no audio", b"RIFF", bytes(1000)])
def test_what_is_no_audio_is_refused_in_words(data):
    with pytest.raises(AudioFormatError, match="no audio that can be read"):
        Upload(data)


@pytest.mark.parametrize(("rate", "channels"), [(4_000, 1), (16_000, 9)])
def test_what_no_session_takes_is_refused(rate, channels):
    with pytest.raises(AudioFormatError, match="expected"):
        Upload(file_of(np.zeros((100, channels), np.int16), rate=rate))
