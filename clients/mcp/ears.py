"""Listening: stretches of audio into one session of a server, and questions about it.

It opens a device when it is told to, and at no other moment; it says so where a person
can read it, and closes the device at the end of the stretch, or when whoever asked
for it wants no more.  Knows no MCP, and no model.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from clients.client import connect
from clients.conversation import Client
from clients.errors import (
    AudioSourceError,
    BusyError,
    ClientError,
    DeviceError,
    NothingHeardError,
)
from clients.mcp.heard import Heard, Segment, Span
from clients.mcp.inputs import Capture, Input
from clients.mcp.waiting import Waiting
from clients.values import MAX_RECENT_S
from stream.audio import SAMPLE_RATE, PcmReader
from stream.events import Answer, ServerEvent

PAUSE_S = 1.0
"""Silence between two stretches: they were not spoken one behind the other.  So long
that the server says how far it has heard, which it does once a second."""
MOST_RECENT_S = MAX_RECENT_S - PAUSE_S
"""What a question can be about: what the protocol allows, the last pause apart.  If
there are more pauses in it, it is so much less."""
REPORT_S = 1.0
STALL_S = 5.0
"""So much later than it should a stretch ends by itself: the device gives nothing."""
GIVE_UP_S = 10.0
"""How long a lost connection is tried again; a tool call waits for it."""

Report = Callable[[float, str], Awaitable[None]]
"""Takes how many seconds of a stretch were heard, and what is going on."""


@dataclass(frozen=True, slots=True)
class Listened:
    """One stretch."""

    name: str
    """What was listened to."""
    span: Span
    segments: list[Segment]
    note: str | None
    """What to tell beside it: that it ended early, or audio was lost."""


@dataclass(frozen=True, slots=True)
class About:
    """An answer, and when what it is about was heard."""

    answer: Answer
    span: Span


@dataclass(slots=True)
class _Stretch:
    capture: Capture
    until_s: float
    """When it should be over, by the clock that never jumps."""
    waiting: Waiting | None = None
    """What ends it sooner."""
    num_samples: int = 0
    is_unwanted: bool = False
    """Whether whoever asked for it has left."""
    is_over: bool = False
    """Whether its device is closed; what was heard may still be under way."""
    task: asyncio.Task[None] | None = None

    @property
    def heard_s(self) -> float:
        return self.num_samples / SAMPLE_RATE


class Ears:
    """One session with a server after the other, usually one.

    Args:
        address: Says where the server is, once it is ready.
        source: What can be listened to.
        tell: Shows a line to a person.
        token: For the server, if it wants one.
        language: Code of the spoken language; None lets the model tell.
        speakers: The most speakers that are told apart; 0 tells none.
        voices: Of speakers that are known, by their names: s16le at 16 kHz.
        give_up_s: How long a lost connection is tried again.
    """

    def __init__(
        self,
        address: Callable[[], Awaitable[str]],
        source: Input,
        *,
        tell: Callable[[str], None],
        token: str | None = None,
        language: str | None = None,
        speakers: int = 0,
        voices: Mapping[str, bytes] | None = None,
        give_up_s: float = GIVE_UP_S,
    ) -> None:
        self.heard = Heard(tells_speakers=speakers > 0)
        self.source = source
        self.on_change: Callable[[], Awaitable[None]] = _nobody
        """Awaited when the transcript has grown, or listening begins or ends."""
        self._address = address
        self._tell = tell
        self._token, self._language, self._speakers = token, language, speakers
        self._voices = voices or {}
        self._give_up_s = give_up_s
        self._stretch: _Stretch | None = None
        self._is_opening = False
        self._client: Client | None = None
        self._reader: asyncio.Task[None] | None = None
        self._failure: ClientError | None = None
        self._changed = asyncio.Condition()
        self._farewells: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stretch is not None and self._stretch.task is not None:
            self._stretch.task.cancel()
            await asyncio.wait([self._stretch.task])
        await self._leave()

    @property
    def listens_to(self) -> str | None:
        """What is being listened to; None if nothing is."""
        stretch = self._stretch
        return None if stretch is None or stretch.is_over else stretch.capture.name

    async def listen(
        self,
        seconds: float,
        device: str | None,
        report: Report,
        *,
        waiting: Waiting | None = None,
    ) -> Listened:
        """Listen for so long; return what was heard, once all of it has its text.

        What is waited for ends it sooner.  Cancelled, it stops at once; what was heard
        until then is kept.

        Raises:
            BusyError: If it listens already.
            WatchError: If the server does not listen for what is waited for.
            ClientError: If the device or the server fails.
        """
        last = self._stretch
        is_wanted = last is not None and not (last.is_over or last.is_unwanted)
        if self._is_opening or is_wanted:
            raise self._busy()
        self._is_opening = True
        try:
            if last is not None and last.task is not None:
                await asyncio.wait([last.task])
            capture = await self.source.capture(device, seconds)
            client = await self._session(report)
            stretch = _Stretch(capture, time.monotonic() + seconds, waiting)
            stretch.task = asyncio.create_task(self._hear(client, stretch, seconds))
            stretch.task.add_done_callback(_note)
            self._stretch = stretch
        finally:
            self._is_opening = False
        try:
            if waiting is not None:
                await client.watch(waiting.watch)
            await self._watch(stretch, stretch.task, report)
            await self._until(lambda: self.heard.is_settled)
        except asyncio.CancelledError:
            stretch.is_unwanted = True
            raise
        finally:
            capture.stop()
            if waiting is not None:
                self._say_farewell(client.unwatch(waiting.watch.id))
        if waiting is not None and waiting.failure is not None:
            raise waiting.failure
        return self._listened(stretch, seconds)

    async def ask(self, question: str, last_s: float) -> About:
        """Ask about the last seconds that were heard; return the answer.

        Raises:
            NothingHeardError: If nothing was heard in this session.
            QuestionError: If the server does not answer it; it says why.
            ClientError: If the session has ended.
        """
        if self._client is None or self.heard.is_empty:
            raise NothingHeardError
        if self._failure is not None:
            raise self._failure
        seconds = min(MAX_RECENT_S, self.heard.reach_s(last_s))
        pending = await self._client.ask(question, about="recent", seconds=seconds)
        try:
            answer = await pending.complete()
        except asyncio.CancelledError:
            self._say_farewell(pending.cancel())
            raise
        return About(answer, self.heard.between(answer.start, answer.end))

    async def _watch(
        self, stretch: _Stretch, task: asyncio.Task[None], report: Report
    ) -> None:
        """Report until a stretch has ended; raise its failure."""
        while not task.done():
            await report(stretch.heard_s, f"listening to {stretch.capture.name}")
            await asyncio.wait([task], timeout=REPORT_S)
        task.result()

    async def _hear(self, client: Client, stretch: _Stretch, seconds: float) -> None:
        """Send a stretch, and the pause behind it: also behind a device that failed."""
        try:
            await self._capture(client, stretch, seconds)
        except (AudioSourceError, DeviceError):
            await self._close(client, stretch)
            raise
        await self._close(client, stretch)

    async def _capture(self, client: Client, stretch: _Stretch, seconds: float) -> None:
        """Open the device, send what it gives, close it; tell a person of both."""
        capture, reader = stretch.capture, PcmReader(stretch.capture.format)
        self._tell(
            f"listening to {capture.name} for {seconds:g} s: a tool asked for it"
        )
        try:
            await self.on_change()
            async with (
                asyncio.timeout(seconds + STALL_S),
                aclosing(capture.pieces()) as pieces,
            ):
                async for piece in pieces:
                    frames = reader.push(piece)
                    await self._send(client, stretch, [f.pcm for f in frames])
        except TimeoutError as exc:
            problem = f"it gave {stretch.heard_s:.1f} s of audio in {seconds:g} s"
            raise DeviceError(problem, device=capture.name) from exc
        finally:
            stretch.is_over = True
            self._tell(f"no longer listening; {stretch.heard_s:.1f} s were heard")
        await self._send(client, stretch, [f.pcm for f in reader.flush()])

    async def _close(self, client: Client, stretch: _Stretch) -> None:
        """End the segment that goes on; keep what comes next apart from it."""
        if stretch.num_samples:
            num_samples = round(PAUSE_S * SAMPLE_RATE)
            self.heard.pause(num_samples)
            await client.flush()
            await client.send(bytes(2 * num_samples))
        await self.on_change()

    async def _send(
        self, client: Client, stretch: _Stretch, frames: list[bytes]
    ) -> None:
        pcm = b"".join(frames)
        num_samples = len(pcm) // 2
        if not num_samples:
            return
        if not stretch.num_samples:
            now_s = time.monotonic() - num_samples / SAMPLE_RATE
            self.heard.begin(now_s, datetime.now().astimezone())
        stretch.num_samples += num_samples
        self.heard.hear(num_samples)
        await client.send(pcm)

    def _listened(self, stretch: _Stretch, seconds: float) -> Listened:
        if not stretch.num_samples:
            raise DeviceError("it gave no audio", device=stretch.capture.name)
        span = self.heard.stretch()
        notes = []
        is_wanted = stretch.waiting is not None and stretch.waiting.is_over
        if stretch.heard_s < seconds - 0.1 and not is_wanted:
            notes.append(f"the audio ended after {stretch.heard_s:.1f} s")
        if stretch.capture.loss is not None:
            notes.append(stretch.capture.loss)
        segments = self.heard.transcript(span.start_s, span.end_s)
        return Listened(stretch.capture.name, span, segments, "; ".join(notes) or None)

    def _busy(self) -> BusyError:
        if self._stretch is None or self._is_opening:
            return BusyError("what another call asked for", 0.0)
        left_s = max(0.0, self._stretch.until_s - time.monotonic())
        return BusyError(self._stretch.capture.name, left_s)

    async def _session(self, report: Report) -> Client:
        """Return the client of a session that goes on, or of a new one."""
        if self._client is not None and self._failure is None:
            return self._client
        await self._leave()
        await report(0.0, "waiting for the server")
        client = connect(
            await self._address(),
            language=self._language,
            speakers=self._speakers,
            voices=self._voices,
            token=self._token,
            give_up_s=self._give_up_s,
        )
        await client.__aenter__()
        self._client, self._failure = client, None
        self.heard.begin_stream()
        self._reader = asyncio.create_task(self._read(client))
        return client

    async def _leave(self) -> None:
        """Close the session, if there is one."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
        if self._client is not None:
            await self._client.__aexit__(None, None, None)
        self._client = self._reader = None

    async def _read(self, client: Client) -> None:
        """Follow what the server says, to the end of the session."""
        try:
            async for event in client:
                has_grown = self.heard.follow(event)
                self._wait_for(event)
                async with self._changed:
                    self._changed.notify_all()
                if has_grown:
                    await self.on_change()
        except ClientError as exc:
            self._failure = exc
            self._tell(str(exc))
        async with self._changed:
            self._changed.notify_all()

    def _wait_for(self, event: ServerEvent) -> None:
        """End a stretch once what it waits for is heard, or cannot be."""
        stretch = self._stretch
        if stretch is not None and stretch.waiting is not None:
            stretch.waiting.follow(event)
            if stretch.waiting.is_over:
                stretch.capture.stop()

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, or raise what ended the session."""
        async with self._changed:
            await self._changed.wait_for(lambda: condition() or self._failure)
        if self._failure is not None:
            raise self._failure

    def _say_farewell(self, cancelling: Awaitable[None]) -> None:
        """Tell the server that something is not wanted, from outside of who asked."""

        async def cancel() -> None:
            try:
                await cancelling
            except ClientError as exc:
                self._tell(str(exc))

        task = asyncio.create_task(cancel())
        self._farewells.add(task)
        task.add_done_callback(self._farewells.discard)


async def _nobody() -> None:
    """Tell nobody."""


def _note(task: asyncio.Task[None]) -> None:
    """Look at what became of a task whose caller may have left."""
    if not task.cancelled():
        task.exception()
