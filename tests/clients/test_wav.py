import io
import struct
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from clients.wav import GUID_TAIL, WavError, WavReader, parse_format
from stream.audio import PcmFormat

AUDIO = bytes(range(100))


def fmt(
    tag: int = 1,
    channels: int = 1,
    rate: int = 16_000,
    bits: int = 16,
    tail: bytes = b"",
) -> bytes:
    block = channels * bits // 8
    body = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + tail
    return chunk(b"fmt ", body)


def chunk(name: bytes, body: bytes, *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return name + struct.pack("<I", size) + body + b"\0" * (len(body) % 2)


def wav(*chunks: bytes, form: bytes = b"RIFF") -> bytes:
    return form + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + b"".join(chunks)


def read(data: bytes, sizes: tuple[int, ...] = ()) -> tuple[PcmFormat | None, bytes]:
    reader = WavReader()
    audio, first = b"", 0
    for size in sizes:
        audio += reader.push(data[first : first + size])
        first += size
    audio += reader.push(data[first:])
    reader.flush()
    return reader.format, audio


def test_a_plain_file_gives_its_format_and_audio():
    form, audio = read(wav(fmt(rate=44_100, channels=2), chunk(b"data", AUDIO)))
    assert form == PcmFormat(rate=44_100, channels=2)
    assert audio == AUDIO


@given(sizes=st.lists(st.integers(0, 40), max_size=12).map(tuple))
def test_the_audio_does_not_depend_on_how_the_stream_was_cut(sizes):
    data = wav(
        chunk(b"LIST", b"odd"), fmt(), chunk(b"fact", bytes(4)), chunk(b"data", AUDIO)
    )
    assert read(data, sizes) == read(data)
    assert read(data)[1] == AUDIO


@pytest.mark.parametrize(
    "length", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFF000 - 36 + 0x1000]
)
def test_a_length_that_cannot_be_true_means_until_the_end(length):
    data = wav(fmt(), chunk(b"data", AUDIO, length=length))
    assert read(data)[1] == AUDIO


def test_a_length_that_can_be_true_keeps_later_chunks_out_of_the_audio():
    data = wav(fmt(), chunk(b"data", AUDIO), chunk(b"LIST", b"made by a program"))
    assert read(data, (70, 60))[1] == AUDIO


def test_a_stream_that_stops_short_of_its_length_gives_what_came():
    assert read(wav(fmt(), chunk(b"data", AUDIO, length=1000)))[1] == AUDIO


def test_the_long_form_of_riff_is_read_until_the_end():
    sizes = chunk(b"ds64", bytes(28))
    data = wav(sizes, fmt(), chunk(b"data", AUDIO, length=0xFFFFFFFF), form=b"RF64")
    assert read(data)[1] == AUDIO


@pytest.mark.parametrize(
    ("tag", "bits", "encoding"),
    [
        (1, 8, "u8"),
        (1, 16, "s16le"),
        (1, 24, "s24le"),
        (1, 32, "s32le"),
        (3, 32, "f32le"),
        (6, 8, "alaw"),
        (7, 8, "mulaw"),
    ],
)
@pytest.mark.parametrize("extensible", [False, True])
def test_each_format_that_can_be_sent(tag, bits, encoding, extensible):
    tail = struct.pack("<HHIH", 22, bits, 1, tag) + GUID_TAIL if extensible else b""
    header = fmt(0xFFFE if extensible else tag, 2, 8000, bits, tail)
    form, _ = read(wav(header, chunk(b"data", b"")))
    assert form == PcmFormat(rate=8000, encoding=encoding, channels=2)


@pytest.mark.parametrize(
    ("subtype", "encoding"),
    [
        ("PCM_U8", "u8"),
        ("PCM_16", "s16le"),
        ("PCM_24", "s24le"),
        ("PCM_32", "s32le"),
        ("FLOAT", "f32le"),
        ("ALAW", "alaw"),
        ("ULAW", "mulaw"),
    ],
)
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_what_libsndfile_writes_is_read(subtype, encoding, container):
    samples = np.linspace(-0.5, 0.5, 60).reshape(-1, 2)
    file = io.BytesIO()
    soundfile.write(file, samples, 22_050, format=container, subtype=subtype)
    form, audio = read(file.getvalue())
    assert form == PcmFormat(rate=22_050, encoding=encoding, channels=2)
    assert len(audio) == 30 * form.sample_bytes


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"OggS" + bytes(40), "not WAV: it begins with b'OggS"),
        (wav(form=b"RIFX") + bytes(40), "not WAV"),
        (wav(chunk(b"data", AUDIO)), "no fmt chunk before its data"),
        (wav(fmt(tag=2, bits=4)), "WAV format 2 of 4 bits; there are PCM"),
        (wav(fmt(tag=3, bits=64)), "WAV format 3 of 64 bits"),
        (wav(fmt(channels=0)), "contradicts itself: 0 channels"),
        (wav(chunk(b"fmt ", bytes(8))), "fmt chunk has 8 bytes; expected 16 to 1024"),
        (wav(chunk(b"fmt ", b"", length=10**6)), "fmt chunk has 1000000 bytes"),
        (wav(fmt(tag=0xFFFE)), "extensible fmt chunk is cut short"),
        (wav(fmt(tag=0xFFFE, tail=bytes(24))), "a private format"),
        (b"RIFF", "ended within its header"),
        (wav(fmt()), "ended within its header"),
        (wav(fmt(rate=0)), "rate is 0"),
    ],
)
def test_what_cannot_be_read_is_named(data, problem):
    with pytest.raises(WavError, match=problem):
        read(data)


@given(data=st.binary(max_size=200))
def test_no_garbage_breaks_the_reader(data):
    with suppress(WavError):
        read(b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + data)


@given(data=st.binary(min_size=16, max_size=60))
def test_any_format_chunk_gives_a_format_or_an_error(data):
    with suppress(WavError):
        assert parse_format(data).sample_bytes > 0
