"""What the commands of `tests.trust` share: an engine, a server, a conversation."""

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import astuple, dataclass
from typing import Any

import psutil

from clients.client import connect
from clients.conversation import Client
from clients.paced import paced, unpaced
from stream.audio import SAMPLE_RATE
from stream.events import Final, ServerEvent
from stream.segmenter import SegmenterConfig
from stream.vad import VoiceDetector
from tests.fakes.server import Running, running

PIECE_BYTES = 3_200  # 0.1 s


@dataclass(frozen=True)
class Setup:
    """What is heard, and by what."""

    name: str
    engine: Any
    segmenter: SegmenterConfig
    detector: Callable[[], VoiceDetector]
    reading: Callable[[float], bytes]
    """Returns at least so many seconds of speech, s16le at 16 kHz."""
    load: Callable[[], Any]
    """Returns one more such engine."""

    def server(
        self, engine: Any = None, **limits
    ) -> AbstractAsyncContextManager[Running]:
        """Serve; unless told otherwise, whatever is asked is done, however late."""
        return running(
            engine=engine or self.engine,
            segmenter=self.segmenter,
            detector=self.detector,
            **{"max_wait_s": 3_600.0} | limits,
        )


@dataclass(frozen=True)
class Outcome:
    """A table, and what is not as promised."""

    columns: list[str]
    rows: list[list[Any]]
    problems: list[str]


@dataclass(frozen=True)
class Holdings:
    """What this process holds, the server in it included."""

    tasks: int
    threads: int
    descriptors: int
    memory_mb: float

    @classmethod
    def now(cls) -> "Holdings":
        gc.collect()
        process = psutil.Process()
        return cls(
            tasks=len(asyncio.all_tasks()),
            threads=sum(not _is_pooled(thread) for thread in threading.enumerate()),
            descriptors=process.num_fds(),
            memory_mb=round(process.memory_info().rss / 1e6, 1),
        )

    def least(self, other: "Holdings") -> "Holdings":
        """Return the smaller one of each."""
        return Holdings(*map(min, astuple(self), astuple(other)))


def _is_pooled(thread: threading.Thread) -> bool:
    """Tell the threads of asyncio's own pool: it starts one when two calls meet, keeps
    it, and bounds their number itself."""
    return thread.name.startswith("asyncio_")


def pieces(audio: bytes) -> Iterator[bytes]:
    for first in range(0, len(audio), PIECE_BYTES):
        yield audio[first : first + PIECE_BYTES]


async def converse(url: str, audio: bytes, *, is_paced=False) -> list[ServerEvent]:
    """Say all of it over connections that resume; return what was told."""
    parts = pieces(audio)
    source = (
        paced(parts, bytes_per_second=2 * SAMPLE_RATE) if is_paced else unpaced(parts)
    )
    async with connect(url) as client, say(client, source):
        return [event async for event in client]


@contextlib.asynccontextmanager
async def say(client: Client, source: AsyncIterator[bytes]) -> AsyncIterator[None]:
    """Send a source to its end while the block runs."""

    async def send() -> None:
        async for piece in source:
            await client.send(piece)
        await client.end()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send())
        yield


def finals(events: list[ServerEvent]) -> list[Final]:
    return [event for event in events if isinstance(event, Final)]


def url_of(server: Running) -> str:
    return f"ws://127.0.0.1:{server.port}"
