"""The Wyoming protocol on a TCP connection: how Home Assistant hears and asks.

    audio-start, audio-chunk …, audio-stop ─▶ hub ─▶ transcript-start, …, transcript
    transcript (of what was heard before)  ─▶ hub ─▶ handled-start, …, handled

It moves frames; wyoming_frames.py reads them, wyoming_events.py knows their fields,
and the session decides.  docs/wyoming.md is what users read.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from stream.auth import NOBODY
from stream.errors import InternalError, ProtocolError, StreamError
from stream.events import Ask, Cancel, Error, Start
from stream.hub import Hub
from stream.live import Stream
from stream.protocols.channel import ConnectionLogger, LeftError
from stream.protocols.wyoming_events import (
    ENCODINGS,
    AudioFormat,
    Handled,
    Told,
    Transcript,
    read_format,
    read_language,
    read_text,
    services,
)
from stream.protocols.wyoming_frames import FrameReader, WyomingFrame, encode
from stream.recent import MAX_SECONDS
from stream.resume import ForgottenError
from stream.worker import SHOWN

READ_BYTES = 1 << 16
LINGER_S = 2.0
"""For a client to read the error that it is told before the connection ends."""
TAIL_S = 0.12
"""Of silence behind the last sample: what resampling holds back, and a frame."""
QUESTION = "question"
"""The id of a question; a session has one at a time."""
TAKEN = {
    *("describe", "ping", "transcribe", "transcript"),
    *("audio-start", "audio-chunk", "audio-stop"),
}
"""Types of a client's frames that mean something here."""
MOST_HEARD = 8
"""Utterances of one peer that a question may be about; older ones are forgotten."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Heard:
    """An utterance that was told; its session waits as one that may be resumed."""

    name: str
    """Of the session."""
    text: str
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Memory:
    """What was heard lately, by the address that it came from.

    Home Assistant opens a connection for each step, and its question names no audio.
    It is the text of the utterance itself, where that was spoken, so that text tells
    which of several rooms is asking.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._of_peer: dict[str, deque[_Heard]] = {}

    def add(self, peer: str, heard: _Heard) -> None:
        """Keep an utterance, and forget those whose sessions are gone."""
        for known in list(self._of_peer):
            there = [one for one in self._of_peer[known] if self._is_there(known, one)]
            self._of_peer[known] = deque(there, MOST_HEARD)
            if not there:
                del self._of_peer[known]
        self._of_peer.setdefault(peer, deque(maxlen=MOST_HEARD)).append(heard)

    def find(self, peer: str, text: str) -> _Heard | None:
        """Return the utterance of a text, or else the last of a peer."""
        latest_first = reversed(self._of_peer.get(peer, ()))
        there = [heard for heard in latest_first if self._is_there(peer, heard)]
        same = (heard for heard in there if heard.text == text)
        return next(same, there[0] if there else None)

    def _is_there(self, peer: str, heard: _Heard) -> bool:
        return self._hub.find(heard.name, peer) is not None


@dataclass(slots=True)
class _Hearing:
    """An utterance that goes on."""

    stream: Stream
    superseded: asyncio.Event
    format: AudioFormat
    telling: "asyncio.Task[None] | None" = None
    transcript: Transcript = field(default_factory=Transcript)
    seq: int = 0
    is_stopped: bool = False


class _FailedError(Exception):
    """The session, or the engine on what was said, has failed."""

    def __init__(self, event: Error) -> None:
        self.event = event


class WyomingConnection:
    """One client of the Wyoming protocol."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        hub: Hub,
        memory: Memory,
    ) -> None:
        """Prepare for a connection.

        Args:
            reader: What the client sends.
            writer: What it is told.
            hub: Of the server.
            memory: What was heard over other connections.
        """
        self._reader, self._writer = reader, writer
        self._hub, self._memory = hub, memory
        self._limits = hub.config.limits
        address, *_ = writer.get_extra_info("peername") or ("gone",)
        self._peer = f"wyoming {address}"
        self._frames = FrameReader(self._limits.max_message_bytes)
        self._language: str | None = None
        self._hearing: _Hearing | None = None
        self._logger = ConnectionLogger(_log)

    async def run(self) -> None:
        """Serve the client until either side has had enough."""
        try:
            self._hub.admit(NOBODY)
        except StreamError as exc:
            await self._refuse(exc.code, str(exc))
            return
        try:
            await self._serve()
        finally:
            self._hub.leave(NOBODY)

    async def _serve(self) -> None:
        code = message = ""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._read(tasks)
        except* (LeftError, ForgottenError):
            self._logger.debug("left")
        except* StreamError as group:
            error = group.exceptions[0]
            assert isinstance(error, StreamError)
            code, message = error.code, str(error)
        except* _FailedError as group:
            failed = group.exceptions[0]
            assert isinstance(failed, _FailedError)
            code, message = failed.event.code, failed.event.message
        except* Exception:
            self._logger.exception("wyoming connection failed")
            code, message = InternalError.code, str(InternalError())
        finally:
            if self._hearing is not None:
                self._free(self._hearing)
        if code:
            await self._refuse(code, message)

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        """Take the client's frames until one of them is wrong.

        Raises:
            StreamError: If one is.
            LeftError: If there is none any more.
        """
        info = self._hub.engine.info
        while True:
            frame = await self._next()
            self._logger.debug("< %s", frame.type if frame.type in TAKEN else "other")
            match frame.type:
                case "describe":
                    await self._tell([services(info, version("salmonn-live"))])
                case "ping":
                    await self._tell([("pong", {"text": read_text(frame, "text")})])
                case "transcribe":
                    self._language = read_language(frame, info)
                case "audio-start":
                    if self._hearing is not None:
                        raise ProtocolError("audio-start before audio-stop")
                    self._hearing = self._begin(read_format(frame, None), tasks)
                case "audio-chunk":
                    await self._hear(frame, tasks)
                case "audio-stop":
                    await self._stop()
                case "transcript":
                    await self._answer(read_text(frame, "text") or "")
            # Others are dropped: they are of services that are not ours, or newer.

    def _begin(self, spoken: AudioFormat, tasks: asyncio.TaskGroup) -> _Hearing:
        rate, width, channels = spoken
        start = Start(
            rate=rate,
            encoding=ENCODINGS[width],
            channels=channels,
            language=self._language,
        )
        stream, _ = self._hub.open(start, self._peer)
        hearing = _Hearing(stream, self._hub.attach(stream), spoken)
        hearing.telling = tasks.create_task(self._tell_all(hearing))
        return hearing

    async def _hear(self, frame: WyomingFrame, tasks: asyncio.TaskGroup) -> None:
        hearing = self._hearing
        spoken = read_format(frame, hearing.format if hearing else None)
        if hearing is None:
            hearing = self._hearing = self._begin(spoken, tasks)
        self._hub.push(hearing.stream, frame.payload)
        await self._hub.room(hearing.stream)
        # Frames at hand are read without a pause; others have a turn.
        await asyncio.sleep(0)

    async def _stop(self) -> None:
        """End the utterance; once it is told, keep it for questions."""
        hearing = self._hearing
        if hearing is None:
            raise ProtocolError("audio-stop before audio-start")
        assert hearing.telling is not None, "it is told from its beginning on"
        rate, width, channels = hearing.format
        # No end, after which no question could be asked.
        silence = bytes([128 if width == 1 else 0]) * width * channels
        self._hub.push(hearing.stream, silence * round(rate * TAIL_S))
        self._hub.flush(hearing.stream)
        hearing.is_stopped = True
        hearing.stream.changed.set()
        await hearing.telling
        self._hearing = None
        self._logger.info(
            "%.1f s heard",
            hearing.stream.session.accepted / rate,
            extra={"session": hearing.stream.name[:SHOWN]},
        )
        if not self._hub.engine.info.answers_questions:
            self._free(hearing)
            return
        self._hub.detach(hearing.stream, hearing.superseded)
        heard = _Heard(hearing.stream.name, hearing.transcript.text)
        self._memory.add(self._peer, heard)

    async def _tell_all(self, hearing: _Hearing) -> None:
        """Tell what is said, to its end.

        Raises:
            LeftError: If the client does not read it.
            ForgottenError: If it reads so slowly that some of it is lost.
            _FailedError: If it cannot be told.
        """
        stream, transcript = hearing.stream, hearing.transcript
        while True:
            stream.changed.clear()
            for event in stream.log.after(hearing.seq):
                hearing.seq = event.seq
                if isinstance(event, Error):
                    raise _FailedError(event)
                await self._tell(transcript.push(event))
            is_told = hearing.seq == stream.session.seq
            if hearing.is_stopped and is_told and transcript.is_settled:
                await self._tell(transcript.end())
                return
            await stream.changed.wait()

    async def _answer(self, question: str) -> None:
        """Answer a question about what this client, or its host, let us hear last."""
        info = self._hub.engine.info
        heard = self._memory.find(self._peer, question)
        if not info.answers_questions:
            problem = f"{info.model} answers no questions"
        elif heard is None:
            problem = f"nothing was heard in the last {self._limits.resume_s:g} s"
        else:
            async with heard.asking:
                stream = self._hub.find(heard.name, self._peer)
                if stream is not None:
                    await self._ask(stream, question)
                    return
            problem = "what was heard is forgotten"
        await self._tell([("not-handled", {"text": problem})])

    async def _ask(self, stream: Stream, question: str) -> None:
        superseded = self._hub.attach(stream)
        seq, answer = stream.session.seq, Handled(QUESTION)
        ask = Ask(id=QUESTION, text=question, seconds=MAX_SECONDS)
        try:
            self._hub.ask(stream, ask)
            async with aclosing(stream.follow(seq)) as events:
                async for event in events:
                    await self._tell(answer.push(event))
                    if answer.is_over:
                        return
        finally:
            if not answer.is_over:
                self._hub.cancel(stream, Cancel(id=QUESTION))
            self._hub.detach(stream, superseded)

    def _free(self, hearing: _Hearing) -> None:
        self._hub.detach(hearing.stream, hearing.superseded)
        self._hub.forget(hearing.stream)

    async def _next(self) -> WyomingFrame:
        """Return the next frame.

        Raises:
            LeftError: If the client has gone.
            ProtocolError: If it is none, or nothing comes: there are no pings.
            LimitError: If it is larger than it may be.
        """
        while (frame := self._frames.next()) is None:
            idle_s = self._limits.ping_interval_s + self._limits.ping_timeout_s
            try:
                async with asyncio.timeout(idle_s):
                    data = await self._reader.read(READ_BYTES)
            except TimeoutError as exc:
                raise ProtocolError(f"nothing came for {idle_s:g} s") from exc
            except OSError as exc:
                raise LeftError from exc
            if not data:
                raise LeftError
            self._frames.push(data)
        return frame

    async def _tell(self, events: Iterable[Told]) -> None:
        """Send events.

        Raises:
            LeftError: If the client does not take them.
        """
        for kind, data in events:
            self._logger.debug("> %s", kind)
            self._writer.write(encode(kind, data))
            try:
                async with asyncio.timeout(self._limits.send_timeout_s):
                    await self._writer.drain()
            except (TimeoutError, OSError) as exc:
                raise LeftError from exc

    async def _refuse(self, code: str, message: str) -> None:
        """Tell an error, and let the client read it: a close alone may overtake it."""
        self._logger.info("refused", extra={"code": code})
        self._hub.metrics.refused.labels(code).inc()
        told: dict[str, Any] = {"text": message, "code": code}
        try:
            await self._tell([("error", told)])
            self._writer.write_eof()
            async with asyncio.timeout(LINGER_S):
                while await self._reader.read(READ_BYTES):
                    pass
        except (LeftError, OSError, TimeoutError):
            self._logger.info("the client did not wait for it")
