"""Many sessions at once from one process, each as if spoken: who loads a server.

A process a client, as `salmonn-bench load` has it, would load the machine with starting
them; here all are connected first and begin together, but for some milliseconds: pieces
of all at the same moment, again and again, no microphones send.  What they are told
comes back in the form that the benchmarks read.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from engine.benchmarks.timing import PIECE_MS
from engine.evaluation.live import Event, LiveError
from stream.audio import SAMPLE_RATE
from stream.events import End, Start
from stream.messages import encode

PATH = "/v1/stream"
PIECE_BYTES = 2 * SAMPLE_RATE * PIECE_MS // 1000
POSITIONS = ("start", "end")
OPEN_S = 60.0  # for a handshake; the server may be busy with another one's
LATE_S = 0.1
"""A piece of audio that is sent later than this was not sent as if spoken."""


class Crowd:
    """Sessions that begin together, and how well they kept to the time of speech."""

    def __init__(self, url: str) -> None:
        self._url = url + PATH
        self.most_late_s = 0.0
        """By how much the piece that was sent latest missed its time."""
        self.span_s = self.taken_s = 0.0
        """For how long they spoke, and this process computed for that."""

    def speak(
        self,
        clips: Sequence[bytes],
        *,
        meanwhile: Callable[[], None] | None = None,
        every_s: float = 0.5,
    ) -> list[list[Event] | None]:
        """Stream clips, s16le at 16 kHz, at the same time, a session each.

        Args:
            clips: What is said.
            meanwhile: Called again and again while they speak.
            every_s: How often.

        Returns:
            The events of each; None of one that was refused or cut off.
        """
        begun_s, taken_s = time.monotonic(), time.process_time()
        told = asyncio.run(self._speak(clips, meanwhile, every_s))
        self.span_s += time.monotonic() - begun_s
        self.taken_s += time.process_time() - taken_s
        return told

    async def _speak(
        self,
        clips: Sequence[bytes],
        meanwhile: Callable[[], None] | None,
        every_s: float,
    ) -> list[list[Event] | None]:
        ready = asyncio.Barrier(len(clips))
        async with _again_and_again(meanwhile, every_s):
            speaking = [
                self._one(clip, ready, number / len(clips) * PIECE_MS / 1000)
                for number, clip in enumerate(clips)
            ]
            return await asyncio.gather(*speaking)

    async def _one(
        self, clip: bytes, ready: asyncio.Barrier, later_s: float
    ) -> list[Event] | None:
        try:
            async with connect(self._url, open_timeout=OPEN_S, proxy=None) as socket:
                await socket.send(encode(Start()))
                await socket.recv()
                await ready.wait()
                await asyncio.sleep(later_s)
                return await self._converse(socket, clip)
        except (OSError, TimeoutError, WebSocketException, asyncio.BrokenBarrierError):
            # Whoever waits for this one would wait for ever.
            await ready.abort()
            return None

    async def _converse(self, socket: ClientConnection, clip: bytes) -> list[Event]:
        sent_s: list[float] = []
        speaking = asyncio.create_task(self._say(socket, clip, sent_s))
        events = list[Event]()
        try:
            async for message in socket:
                event = as_seconds(json.loads(message))
                add_latency(event, sent_s, asyncio.get_running_loop().time())
                events.append(event)
        finally:
            speaking.cancel()
        if not events or events[-1]["type"] != "ended":
            raise LiveError("a session of the crowd did not come to its end")
        return events

    async def _say(
        self, socket: ClientConnection, clip: bytes, sent_s: list[float]
    ) -> None:
        loop = asyncio.get_running_loop()
        begin_s = loop.time()
        for number, first in enumerate(range(0, len(clip), PIECE_BYTES), 1):
            due_s = begin_s + number * PIECE_MS / 1000
            await asyncio.sleep(due_s - loop.time())
            self.most_late_s = max(self.most_late_s, loop.time() - due_s)
            # Late is what comes after it was said, whether or not the server reads.
            sent_s.append(due_s)
            await socket.send(clip[first : first + PIECE_BYTES])
        await socket.send(encode(End()))


@asynccontextmanager
async def _again_and_again(
    do: Callable[[], None] | None, every_s: float
) -> AsyncIterator[None]:
    """Call something at intervals while inside."""

    async def call() -> None:
        while do is not None:
            do()
            await asyncio.sleep(every_s)

    calling = asyncio.create_task(call())
    try:
        yield
    finally:
        calling.cancel()


def as_seconds(event: dict[str, Any]) -> Event:
    """Return an event with its positions in seconds, as `salmonn-file` prints it."""
    seconds = {
        f"{name}_s": event[name] / SAMPLE_RATE for name in POSITIONS if name in event
    }
    rest = {name: value for name, value in event.items() if name not in POSITIONS}
    return rest | seconds


def add_latency(event: Event, sent_s: Sequence[float], now_s: float) -> None:
    """Note how late an event comes, counted from when the audio at its end was due."""
    if "end_s" in event and sent_s:
        piece = -(-round(1000 * event["end_s"]) // PIECE_MS)
        event["latency_s"] = now_s - sent_s[min(piece, len(sent_s)) - 1]
