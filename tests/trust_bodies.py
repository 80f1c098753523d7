"""Bodies that are too large, too long, or not what they say, and what is left of them.

Each goes to each HTTP route of a server that is a process of its own, three times: what
allocators keep of the first two is the level that the third has to come back to.  A
body is made while it is sent: here no more of it is held than a piece.
"""

import asyncio
import base64
import contextlib
import io
import json
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import numpy as np
import psutil
import soundfile

from stream.audio import SAMPLE_RATE
from tests.fakes.process import serving
from tests.trust_setup import Outcome

PIECE_BYTES = 3 * 2**18  # three bytes are four characters of base64
BOUNDARY = "frontier"
POLL_S = 0.02
NUM_BEFORE = 2
"""Behind a first large block, glibc takes the next from the heap, which it keeps."""
GROWTH_MB = 16.0
"""As of a crowd (tests/trust_crowd.py)."""
DEADLINE_S = 600.0
ROUTES = ("audio/transcriptions", "audio/translations", "chat/completions")

Pieces = Iterator[bytes]


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is sent, and what the server is told to take; None is its default."""

    enormous_bytes: int = 2**28
    long_s: float = 2 * 3_600.0
    silence_s: float = 7 * 3_600.0
    """In a small file: more than a session may last."""
    max_upload_bytes: int | None = None
    max_session_s: float | None = None

    @property
    def settings(self) -> str:
        """The server's, as TOML."""
        limits = {
            "max_upload_bytes": self.max_upload_bytes,
            "max_session_s": self.max_session_s,
        }
        told = [f"{name} = {value}" for name, value in limits.items() if value]
        return "\n".join(["[limits]", *told])


@dataclass(frozen=True)
class Answered:
    """What came of one body."""

    status: int
    code: str
    message: str
    took_s: float
    peak_mb: float
    """The most memory of the server meanwhile."""


async def run(sizes: Sizes) -> Outcome:
    """Send every body to every route; return what was answered, and the memory."""
    rows, problems = list[list[Any]](), list[str]()
    with TemporaryDirectory() as folder:
        async with (
            serving(Path(folder), sizes.settings) as address,
            httpx2.AsyncClient(
                base_url=f"http://{address}", trust_env=False, timeout=DEADLINE_S
            ) as client,
        ):
            (server,) = psutil.Process().children()
            for route in ROUTES:
                for name, file in _files(sizes).items():
                    for _ in range(NUM_BEFORE):
                        await _send(client, server, route, file)
                    level_mb = _memory_mb(server)
                    found = await _send(client, server, route, file)
                    left_mb = round(_memory_mb(server) - level_mb, 1)
                    above_mb = round(max(0.0, found.peak_mb - level_mb), 1)
                    told = f"{found.status} {found.code}: {found.message}"
                    rows.append(
                        [f"{route}: {name}", told, found.took_s, above_mb, left_mb]
                    )
                    problems += problems_of(f"{route}: {name}", found, left_mb)
            if (await client.get("/health")).status_code != 200:
                problems.append("the server takes no sessions any more")
    columns = ["the one error", "seconds", "MB above the level", "MB left behind"]
    return Outcome(columns, rows, problems)


def problems_of(name: str, found: Answered, left_mb: float) -> list[str]:
    """Return what is not as promised."""
    problems = []
    if not 400 <= found.status < 500 or not found.message:
        problems.append(f"{name}: {found.status} is no error that tells what is wrong")
    if left_mb > GROWTH_MB:
        problems.append(f"{name}: memory grew by {left_mb:.0f} MB")
    return problems


@dataclass(frozen=True)
class _File:
    make: Callable[[], Pieces]
    format: str = "wav"
    """What it is said to be."""


def _files(sizes: Sizes) -> dict[str, _File]:
    silence, archive = _silence(sizes.silence_s), _archive()
    return {
        "an enormous file": _File(lambda: _zeros(sizes.enormous_bytes)),
        "two hours of sound": _File(lambda: _wav(sizes.long_s)),
        "hours of silence in a small file": _File(lambda: iter([silence]), "flac"),
        "another container": _File(lambda: iter([archive])),
    }


async def _send(
    client: httpx2.AsyncClient,
    server: psutil.Process,
    route: str,
    file: _File,
) -> Answered:
    """Send a file; return what is answered, once all is quiet."""
    peak = _memory_mb(server)

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, _memory_mb(server))
            await asyncio.sleep(POLL_S)

    content, kind = _form(file), f"multipart/form-data; boundary={BOUNDARY}"
    if route.startswith("chat"):
        content, kind = _chat(file), "application/json"
    watching = asyncio.create_task(watch())
    began = time.monotonic()
    try:
        answer = await client.post(
            f"/v1/{route}", content=_sent(content), headers={"Content-Type": kind}
        )
    finally:
        took_s = round(time.monotonic() - began, 2)
        watching.cancel()
        await asyncio.wait([watching])
    error: dict[str, Any] = {}
    with contextlib.suppress(ValueError, AttributeError):  # no object: no message
        error = answer.json().get("error") or {}
    code, message = str(error.get("code", "")), str(error.get("message", ""))
    return Answered(answer.status_code, code, message, took_s, peak)


def _memory_mb(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


async def _sent(pieces: Pieces) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _form(file: _File) -> Pieces:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\nx\r\n'
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; "
        f'name="file"; filename="talk.{file.format}"\r\n\r\n'
    )
    yield head.encode()
    yield from file.make()
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def _chat(file: _File) -> Pieces:
    audio = {"format": file.format, "data": "@"}
    content = [
        {"type": "text", "text": "What is it?"},
        {"type": "input_audio", "input_audio": audio},
    ]
    body = {"model": "x", "messages": [{"role": "user", "content": content}]}
    head, tail = json.dumps(body).encode().split(b"@")
    yield head
    held = b""
    for piece in file.make():
        held += piece
        whole = len(held) // 3 * 3
        yield base64.b64encode(held[:whole])
        held = held[whole:]
    yield base64.b64encode(held)
    yield tail


def _zeros(size: int) -> Pieces:
    yield from repeat(bytes(PIECE_BYTES), size // PIECE_BYTES)
    yield bytes(size % PIECE_BYTES)


def _wav(seconds: float) -> Pieces:
    """Return a file of noise of s16le at 16 kHz, its header first."""
    size = round(seconds * SAMPLE_RATE) * 2
    file = io.BytesIO()
    soundfile.write(file, np.zeros(0, np.int16), SAMPLE_RATE, format="WAV")
    head = bytearray(file.getvalue())
    head[4:8] = (len(head) - 8 + size).to_bytes(4, "little")
    head[-4:] = size.to_bytes(4, "little")
    yield bytes(head)
    noise = np.random.default_rng(0).integers(-3_000, 3_000, PIECE_BYTES // 2)
    piece = noise.astype("<i2").tobytes()
    yield from repeat(piece, size // PIECE_BYTES)
    yield piece[: size % PIECE_BYTES]


def _silence(seconds: float) -> bytes:
    """Return hours of silence as FLAC, some bytes a second."""
    file = io.BytesIO()
    minute = np.zeros(60 * SAMPLE_RATE, np.int16)
    with soundfile.SoundFile(file, "w", SAMPLE_RATE, 1, format="FLAC") as flac:
        for _ in range(round(seconds / 60)):
            flac.write(minute)
    return file.getvalue()


def _archive() -> bytes:
    """Return what is called talk.wav and is none."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("talk.wav", bytes(SAMPLE_RATE))
    return file.getvalue()
