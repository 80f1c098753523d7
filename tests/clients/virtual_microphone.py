"""A microphone without sound hardware: an ALSA `file` device that PortAudio opens.

    feeder thread --FIFO--> `file` plugin (capturing from `null`) --> PortAudio

The `null` device has no clock.  Were the plugin's `infile` an ordinary file, PortAudio
would read it some hundred times faster than time, and after its end the last block
over and over.  A FIFO that is fed in time paces the reads, which wait in it.  The
plugin fills a block with what one read returns, so writes and reads must be of one
size: the client's block.  The FIFO holds one page, so that feeding begins when the
client begins to hear.

Both plugins are part of libasound; a private configuration names only them.
"""

import ctypes.util
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

NAME = "virtual_microphone"
RATE = 16_000
BLOCK_BYTES = 2 * RATE * 20 // 1000
PAGE_BYTES = 4096
CONFIGURATION = """
pcm.null {{ type null }}
pcm.{name} {{
    type file
    slave.pcm "null"
    file "/dev/null"
    infile "{fifo}"
    format "raw"
}}
pcm.!default {name}
"""


def need_portaudio() -> None:
    """Skip a test where PortAudio is missing, but never in CI."""
    if ctypes.util.find_library("portaudio") is None and not os.environ.get("CI"):
        pytest.skip("needs Debian's libportaudio2")


@contextmanager
def virtual_microphone(folder: Path, pcm: bytes) -> Iterator[dict[str, str]]:
    """Speak s16le at 16 kHz, then silence; yield the environment that hears it."""
    fifo, configuration = folder / "speech", folder / "asound.conf"
    os.mkfifo(fifo)
    configuration.write_text(CONFIGURATION.format(name=NAME, fifo=fifo))
    # Open for both, so that neither opening nor writing depends on a reader.
    pipe = os.open(fifo, os.O_RDWR)
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PAGE_BYTES)
    over = threading.Event()
    feeder = threading.Thread(target=_feed, args=(pipe, pcm, over))
    feeder.start()
    try:
        yield os.environ | {"ALSA_CONFIG_PATH": str(configuration)}
    finally:
        over.set()
        drain = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            os.read(drain, PAGE_BYTES)  # room for the write that may be waiting
        feeder.join()
        os.close(drain)
        os.close(pipe)


def _feed(pipe: int, pcm: bytes, over: threading.Event) -> None:
    """Write a block every 20 ms, once the first page has been heard."""
    first, start_s, num_unpaced = 0, 0.0, PAGE_BYTES // BLOCK_BYTES
    num_written = 0
    while not over.is_set():
        block = pcm[first : first + BLOCK_BYTES]
        os.write(pipe, block + bytes(BLOCK_BYTES - len(block)))
        first += BLOCK_BYTES
        num_written += 1
        if num_written <= num_unpaced + 1:
            start_s = time.monotonic()
        else:
            due_s = start_s + (num_written - num_unpaced - 1) * 0.02
            over.wait(max(0.0, due_s - time.monotonic()))
