from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clients.errors import AudioSourceError
from clients.pcm import AudioFile, to_wire
from stream.audio import PcmFormat

DEMO = Path(__file__).parents[2] / "demo"


def decoded(pcm: bytes) -> list[int]:
    return np.frombuffer(pcm, "<i2").tolist()


def test_floats_are_scaled_and_clipped():
    samples = np.array([0.0, 0.5, -1.0, 1.0, 7.0, -7.0])
    assert decoded(to_wire(samples)) == [0, 16384, -32768, 32767, 32767, -32768]


@pytest.mark.parametrize(
    ("dtype", "low", "middle"),
    [
        ("uint8", 0, 128),
        ("int8", -128, 0),
        ("int32", -(2**31), 0),
        ("uint16", 0, 2**15),
    ],
)
def test_integers_use_the_range_of_their_type(dtype, low, middle):
    assert decoded(to_wire(np.array([low, middle], dtype))) == [-32768, 0]


@given(samples=arrays.arrays(np.int16, st.integers(0, 50)))
def test_sixteen_bits_pass_unchanged_as_integers_and_as_floats(samples):
    assert to_wire(samples) == samples.tobytes()
    assert to_wire(samples.astype(np.float32) / 32768) == samples.tobytes()


@given(
    samples=arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=1, max_dims=2),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
    )
)
def test_any_finite_floats_give_two_bytes_a_sample(samples):
    assert len(to_wire(samples)) == 2 * samples.size


def test_channels_are_interleaved():
    samples = np.array([[1, 2], [3, 4]], np.int16)
    assert decoded(to_wire(samples)) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        (np.zeros((1, 1, 1)), r"shape \(1, 1, 1\); expected \(n,\)"),
        (np.array([np.nan]), "no finite numbers"),
        (np.array(["a"]), "samples of type <U1"),
    ],
)
def test_what_is_no_audio_is_refused(samples, problem):
    with pytest.raises(ValueError, match=problem):
        to_wire(samples)


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [("wav", "PCM_16"), ("wav", "FLOAT"), ("wav", "PCM_U8"), ("flac", "PCM_24")],
)
def test_a_file_is_sent_with_its_rate_and_channels(tmp_path, suffix, subtype):
    samples = np.linspace(-1, 0.99, 5000).reshape(-1, 2)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, samples, 44_100, subtype=subtype)
    file = AudioFile(path)
    assert file.format == PcmFormat(rate=44_100, channels=2)
    pieces = list(file.pieces(999))
    assert [len(piece) // 4 for piece in pieces] == [999, 999, 502]
    sent = np.frombuffer(b"".join(pieces), "<i2").reshape(-1, 2) / 32768
    np.testing.assert_allclose(sent, samples, atol=2 / 256)


@pytest.mark.parametrize("name", ["jfk.ogg", "crow.ogg", "guitar.ogg"])
@pytest.mark.parametrize("piece_samples", [640, 777, 20_000])
def test_the_size_of_the_pieces_does_not_change_the_audio(name, piece_samples):
    whole = b"".join(AudioFile(DEMO / name).pieces(10**6))
    *pieces, last = AudioFile(DEMO / name).pieces(piece_samples)
    assert {len(piece) for piece in pieces} <= {2 * piece_samples}
    assert b"".join([*pieces, last]) == whole


def test_a_file_that_is_no_audio_is_named(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("to whom it may concern")
    with pytest.raises(AudioSourceError, match=r"notes\.txt: not audio"):
        AudioFile(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AudioSourceError, match=r"none\.wav: No such file"):
        AudioFile(tmp_path / "none.wav")


def test_an_empty_file_and_one_without_samples_are_told_apart(tmp_path):
    empty, silent = tmp_path / "empty.wav", tmp_path / "silent.wav"
    empty.touch()
    soundfile.write(silent, np.zeros(0, np.int16), 16_000)
    with pytest.raises(AudioSourceError, match=r"empty\.wav: it is empty"):
        AudioFile(empty)
    with pytest.raises(AudioSourceError, match=r"silent\.wav: it holds no audio"):
        AudioFile(silent)


def test_a_folder_is_no_audio(tmp_path):
    with pytest.raises(AudioSourceError, match="Is a directory"):
        AudioFile(tmp_path)


def test_a_file_with_more_channels_than_a_server_mixes_is_named(tmp_path):
    path = tmp_path / "many.wav"
    soundfile.write(path, np.zeros((10, 9)), 16_000)
    with pytest.raises(AudioSourceError, match="channels is 9; expected 1 to 8"):
        AudioFile(path)
