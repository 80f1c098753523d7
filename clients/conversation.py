"""One session of a client, across dropped connections: its tasks, and what they share.

Knows the protocol; a socket is `clients.wire`'s, what to send again `clients.replay`'s
and `clients.questions`', and what became of a question `clients.answers`'.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Self

from clients.answers import PendingAnswer
from clients.arrivals import ArrivalQueue
from clients.errors import (
    BrokenServerError,
    ClientError,
    DroppedError,
    QuestionError,
    UnreachableError,
    raise_if_fatal,
)
from clients.latency import Arrival, SendTimes
from clients.questions import QuestionBook
from clients.replay import Receipts, ReplayBuffer, settled_by
from clients.retry import Retry, is_passing
from clients.wire import OPEN_TIMEOUT_S, Wire
from stream.audio import PcmFormat
from stream.events import (
    PROTOCOL_VERSION,
    Answer,
    AnswerPartial,
    Ask,
    ClientEvent,
    End,
    Ended,
    Error,
    Resume,
    ServerEvent,
    Start,
    Started,
)
from stream.sound_events import Unwatch, Watch

logger = logging.getLogger(__name__)

MAX_HELD_S = 120.0
"""Audio that is kept until it is settled.  Several times the longest segment: only a
long outage or a server far behind lets it fill, and then `send` waits."""
UNPACED_HELD_S = 45.0
"""The same for audio that comes faster than it is spoken: more than the longest
segment, else nothing would ever settle; less than what a server lets wait (60 s)."""
MAX_ARRIVALS = 256
"""Events that wait for their reader.  When it is full the client stops reading, and
the server sees a slow reader."""
MESSAGE_S, MESSAGE_BYTES = 0.1, 2**16
"""The longest audio message: what waits is sent in pieces of this size."""
GIVE_UP_S = 30.0


class Client:
    """One session.  Entering it connects; leaving it closes, at once.

    Any method raises the `ClientError` that ended the session.
    """

    def __init__(
        self,
        url: str,
        request: Start,
        *,
        voices: Mapping[str, bytes] | None = None,
        token: str | None = None,
        give_up_s: float | None = GIVE_UP_S,
        max_held_s: float = MAX_HELD_S,
    ) -> None:
        form = PcmFormat(
            rate=request.rate, encoding=request.encoding, channels=request.channels
        )
        self._url, self._token = url, token
        self.request = request
        self._retry = Retry(give_up_s) if give_up_s is not None else None
        self._sample_bytes = form.sample_bytes
        self._message_samples = min(
            int(MESSAGE_S * request.rate), MESSAGE_BYTES // form.sample_bytes
        )
        self._replay = ReplayBuffer(
            sample_bytes=form.sample_bytes,
            max_samples=round(max_held_s * request.rate),
        )
        self._receipts = Receipts()
        self._questions = QuestionBook(voices or {})
        self._answers: dict[str, PendingAnswer] = {}
        self._num_asked = 0
        self._times = SendTimes(rate=request.rate)
        self._arrivals = ArrivalQueue(MAX_ARRIVALS)
        self._changed = asyncio.Condition()  # guards all that follows, and the above
        self._is_ending = False
        self._is_over = False
        self._failure: ClientError | None = None
        self._runner: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Connect and begin the session.

        Raises:
            UnreachableError: If no server answers.
            RefusedError: If the server turns the connection away.
            ServerError: If it does not serve what is asked.
        """
        wire = await self._open(None)
        self._runner = asyncio.create_task(self._run(wire))
        await asyncio.sleep(0)  # cancelled before it begins, it would close nothing
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._runner is not None, "left without having been entered"
        self._runner.cancel()
        await asyncio.wait([self._runner])
        if not self._runner.cancelled():
            self._runner.result()

    async def send(self, pcm: bytes) -> None:
        """Send whole samples; wait while too much of what was sent is unsettled.

        It returns before the network has taken the audio: while a connection is being
        replaced, speaking goes on.

        Raises:
            ValueError: If it is not whole samples, of all channels.
        """
        if len(pcm) % self._sample_bytes:
            raise ValueError(
                f"{len(pcm)} bytes are not whole samples of {self._sample_bytes}"
            )
        spoken_s = time.monotonic()
        step = self._message_samples * self._sample_bytes
        for first in range(0, len(pcm), step):
            piece = pcm[first : first + step]
            async with self._changed:
                await self._wait_for_room(len(piece) // self._sample_bytes)
                self._replay.append(piece)
                self._times.add(self._replay.end, spoken_s)
                self._changed.notify_all()

    async def flush(self) -> None:
        """End the current segment here, without waiting for silence."""
        async with self._changed:
            await self._wait_for_room(0)
            self._replay.flush()
            self._changed.notify_all()

    async def ask(
        self,
        text: str | None = None,
        *,
        task: str | None = None,
        about: str = "recent",
        seconds: float = 10.0,
        max_tokens: int = 200,
        temperature: float = 0.0,
    ) -> PendingAnswer:
        """Ask about what was sent so far; return the answer, which is to come.

        It grows while somebody reads the events of the client.

        Args:
            text: The question; or else,
            task: ... the name of a task that the model is prompted with.
            about: `segment`, `last_segment` or `recent`.
            seconds: How much of the recent audio.
            max_tokens: After which it is cut off.
            temperature: 0 takes the likeliest token.
        """
        async with self._changed:
            await self._wait_for_room(0)
            self._num_asked += 1
            ask = Ask(
                id=str(self._num_asked),
                text=text,
                task=task,
                about=about,
                seconds=seconds,
                max_tokens=max_tokens,
                temperature=temperature,
            )
            answer = self._answers[ask.id] = PendingAnswer(ask.id, self._cancel)
            self._questions.ask(ask, self._replay.end)
            self._times.ask(ask.id, time.monotonic())
            self._changed.notify_all()
        return answer

    async def name_speaker(self, speaker: int | bytes, name: str) -> None:
        """Call who has a number, or a voice, by a name; an empty one takes it away."""
        async with self._changed:
            self._questions.name(speaker, name)
            self._changed.notify_all()

    async def watch(self, watch: Watch) -> None:
        """Be told of something from now on; one of the same id is replaced."""
        await self._listen(watch, watch)

    async def unwatch(self, name: str) -> None:
        """Be told of something no more."""
        await self._listen(Unwatch(id=name))

    async def _listen(self, event: Watch | Unwatch, *more: Watch) -> None:
        async with self._changed:
            others = [one for one in self.request.watches if one.id != event.id]
            self.request = replace(self.request, watches=(*others, *more))
            self._questions.tell(event, self._replay.end)
            self._changed.notify_all()

    async def _cancel(self, name: str) -> None:
        async with self._changed:
            self._questions.cancel(name, self._replay.end)
            self._changed.notify_all()

    async def end(self) -> None:
        """Say that no more audio follows; the events end after the last final."""
        async with self._changed:
            self._is_ending = True
            self._changed.notify_all()

    async def __aiter__(self) -> AsyncIterator[ServerEvent]:
        """Yield each event once; end after `ended`."""
        async for arrival in self.arrivals():
            yield arrival.event

    async def arrivals(self) -> AsyncIterator[Arrival]:
        """Yield each event once, with its latency; end after `ended`."""
        while (arrival := await self._arrivals.next()) is not None:
            yield arrival

    async def _wait_for_room(self, num_samples: int) -> None:
        assert not self._is_ending, "audio after the end"
        await self._changed.wait_for(
            lambda: self._replay.room >= num_samples or self._is_over
        )
        if self._failure is not None:
            raise self._failure
        assert not self._is_over, "audio after leaving"

    async def _run(self, wire: Wire) -> None:
        """Converse, over one connection after another, until the session is over."""
        try:
            while (failure := await self._converse(wire)) is not None:
                wire = await self._reconnect(failure)
        except ClientError as exc:
            self._failure = exc
        finally:
            async with self._changed:
                self._is_over = True
                self._changed.notify_all()
            await self._arrivals.end(self._failure)
            left = DroppedError(self._url, "the session was left")
            for answer in self._answers.values():
                await answer.fail(self._failure or left)

    async def _converse(self, wire: Wire) -> ClientError | None:
        """Use one connection to its end; return what broke it, None after `ended`."""
        failure = None
        async with wire, asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write(wire))
            try:
                await self._read(wire)
            except ClientError as exc:
                failure = exc
            writer.cancel()
        return failure

    async def _write(self, wire: Wire) -> None:
        # The reader hears of a lost connection, too, behind what the server said of it.
        with suppress(DroppedError):
            await self._write_all(wire)

    async def _write_all(self, wire: Wire) -> None:
        has_ended = False

        def has_more() -> bool:
            return not self._is_sent or (self._is_ending and not has_ended)

        while True:
            async with self._changed:
                await self._changed.wait_for(has_more)
                message = self._take()
            has_ended |= message is None
            await wire.send(message or End())

    @property
    def _is_sent(self) -> bool:
        return self._replay.is_sent and self._questions.position is None

    def _take(self) -> bytes | ClientEvent | None:
        """Return what is to be sent next; audio goes before what was asked after it."""
        most, position = self._message_samples, self._questions.position
        if position is not None:
            most = min(most, max(0, position - self._replay.cursor))
        if (message := self._replay.take(most)) is not None:
            return message
        return self._questions.take(self._replay.cursor)

    async def _read(self, wire: Wire) -> None:
        while True:
            event = await wire.receive()
            now_s = time.monotonic()
            if isinstance(event, Started):
                raise BrokenServerError("a second `started`")
            raise_if_fatal(event)
            latency_s = self._times.latency_s(event, now_s)
            await self._settle(event)
            if self._receipts.is_new(event):
                await self._follow(event)
                if self._retry is not None:
                    self._retry.reset()
                await self._arrivals.put(Arrival(event, latency_s))
            if isinstance(event, Ended):
                if not self._is_ending:
                    raise BrokenServerError("`ended`, though audio may follow")
                return

    async def _follow(self, event: ServerEvent) -> None:
        """Tell who asked what became of the answer."""
        self._questions.follow(event)
        match event:
            case AnswerPartial(id=name) if name in self._answers:
                await self._answers[name].follow(event)
            case Answer(id=name) | Error(question=str(name)) if name in self._answers:
                await self._answers.pop(name).follow(event)

    async def _settle(self, event: ServerEvent) -> None:
        if (settled := settled_by(event)) is not None:
            async with self._changed:
                self._replay.release(settled)
                self._times.forget(self._replay.settled)
                self._changed.notify_all()  # there is room again

    async def _open(self, resume: Resume | None) -> Wire:
        """Return a connection on which the session has begun, or goes on."""
        wire = await Wire.open(self._url, token=self._token)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                with suppress(DroppedError):  # `receive` says why
                    await wire.send(replace(self.request, resume=resume))
                event = await wire.receive()
            await self._begin(event, is_resumption=resume is not None)
        except TimeoutError as exc:
            await wire.close()
            raise UnreachableError(self._url, "it does not answer `start`") from exc
        except BaseException:
            await wire.close()
            raise
        return wire

    async def _begin(self, event: ServerEvent, *, is_resumption: bool) -> None:
        raise_if_fatal(event)
        if not isinstance(event, Started):
            raise BrokenServerError(f"`{event.type}` before `started`")
        if event.version != PROTOCOL_VERSION:
            raise BrokenServerError(
                f"version {event.version}; this client speaks {PROTOCOL_VERSION}"
            )
        if is_resumption:
            self._replay.rewind(event.accepted)
        self._receipts.begin(event)
        for name in self._questions.begin(event):
            reason = "the server that was to answer has gone; ask again"
            await self._answers.pop(name).fail(QuestionError(name, "lost", reason))
        await self._arrivals.put(Arrival(event, None))

    async def _reconnect(self, failure: ClientError) -> Wire:
        """Return a new connection for the session.

        Raises:
            ClientError: `failure`, if another connection would not mend it.
            DroppedError: If none came about in time.
        """
        if self._retry is None or not is_passing(failure):
            raise failure
        logger.warning("%s; resuming", failure)
        while (delay_s := self._retry.delay_s(time.monotonic())) is not None:
            await asyncio.sleep(delay_s)
            try:
                wire = await self._open(self._receipts.resume(self._replay.settled))
                self._retry.made(time.monotonic())
                return wire
            except ClientError as exc:
                if not is_passing(exc):
                    raise
                failure = exc
        reason = f"gave up after {self._retry.limit_s:g} s; {failure}"
        raise DroppedError(self._url, reason) from failure
