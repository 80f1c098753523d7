import asyncio
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from clients.errors import AudioSourceError
from clients.stdin import StdinSource, main
from stream.audio import PcmFormat
from tests.clients.threaded_server import threaded_server

RAW = PcmFormat(rate=8000)
AUDIO = bytes(range(256)) * 40
HEADER = (
    b"RIFF\xff\xff\xff\xffWAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 2, 44_100, 176_400, 4, 16)
    + b"data\0\0\0\x80"
)
PROCESS_S = 30


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    try:
        yield reader, writer
    finally:
        os.close(reader)


async def read(*chunks: bytes) -> tuple[PcmFormat, list[bytes]]:
    """Return what a source makes of bytes that are written at these borders."""
    with pipe() as (reader, writer):

        def write() -> None:
            for chunk in chunks:
                os.write(writer, chunk)
            os.close(writer)

        writing = asyncio.create_task(asyncio.to_thread(write))
        try:
            source = await StdinSource.open(reader, RAW)
            return source.format, [piece async for piece in source.pieces()]
        finally:
            await writing


async def test_raw_samples_come_in_the_format_of_the_flags():
    audio, pieces = await read(AUDIO)
    assert (audio, b"".join(pieces)) == (RAW, AUDIO)


async def test_a_wav_stream_is_known_by_its_header_and_lasts_until_it_ends():
    audio, pieces = await read(HEADER + AUDIO)
    assert audio == PcmFormat(rate=44_100, channels=2)
    assert b"".join(pieces) == AUDIO


@pytest.mark.parametrize("cut", [1, 3, 4, 20, 43, 44, 47])
async def test_the_header_may_come_in_pieces(cut):
    data = HEADER + AUDIO
    audio, pieces = await read(data[:cut], data[cut:])
    assert audio.rate == 44_100
    assert b"".join(pieces) == AUDIO
    assert all(len(piece) % 4 == 0 for piece in pieces)


async def test_half_a_sample_at_the_end_is_told_and_left_out(capsys):
    _, pieces = await read(AUDIO + b"\1")
    assert b"".join(pieces) == AUDIO
    assert "it ended amid a sample" in capsys.readouterr().err


async def test_a_single_sample_is_audio():
    assert (await read(b"\1\2"))[1] == [b"\1\2"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it ended before any audio came"),
        (HEADER[:30], "the WAV stream ended within its header"),
        (b"RIFF\0\0\0\0AVI LIST", "not WAV"),
    ],
)
async def test_what_is_no_audio_is_named(data, problem):
    with pytest.raises(AudioSourceError, match=f"standard input: {problem}"):
        await read(data)


async def test_a_source_that_is_stopped_ends_though_its_input_does_not():
    with pipe() as (reader, writer):
        os.write(writer, AUDIO)
        source = await StdinSource.open(reader, RAW)
        pieces = source.pieces()
        assert await anext(pieces) == AUDIO
        source.stop()
        assert [piece async for piece in pieces] == []
        os.close(writer)


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--rate", "100"], "rate is 100; expected 8000 to 192000 Hz"),
        (["--channels", "9"], "channels is 9; expected 1 to 8"),
        (["--encoding", "mp3"], "invalid choice: 'mp3'"),
    ],
)
def test_a_format_that_is_none_is_wrong_usage(flags, problem, capsys):
    with pytest.raises(SystemExit) as info:
        main(flags)
    assert info.value.code == 2
    assert problem in capsys.readouterr().err


def run(url: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "clients.stdin", "--url", url, "--rate", "8000"]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, **streams, stderr=subprocess.PIPE)


def test_the_command_sends_its_input_and_ends_with_it():
    with threaded_server() as server, run(server.url) as process:
        out, err = process.communicate(AUDIO, timeout=PROCESS_S)
    assert process.returncode == 0, err
    assert bytes(server.audio) == AUDIO
    assert out.count(b"\n") == 1


def test_an_interrupt_ends_the_command_with_its_finals():
    with threaded_server() as server, run(server.url) as process:
        process.stdin.write(AUDIO)
        process.stdin.flush()
        for line in process.stderr:
            if b"8000 Hz" in line:
                break
        assert server.heard_in_thread.wait(PROCESS_S)
        process.send_signal(signal.SIGINT)
        out = process.stdout.read()
        assert process.wait(PROCESS_S) == 0
    assert out.startswith(b"[0.0")


def test_a_command_whose_reader_leaves_does_not_print_a_traceback():
    with threaded_server() as server, run(server.url) as process:
        process.stdout.close()
        process.stdin.write(AUDIO)
        process.stdin.close()
        err = process.stderr.read()
        assert process.wait(PROCESS_S) == 1
    assert b"Traceback" not in err
