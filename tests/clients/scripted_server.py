"""A server that keeps the protocol and hears nothing.

Each second of audio is a segment, a flush ends one early, and the text of a final is
the checksum of its audio: what is lost or doubled shows.
"""

import asyncio
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from stream.audio import ENCODINGS
from stream.events import (
    PROTOCOL_VERSION,
    End,
    Ended,
    Error,
    Final,
    Flush,
    Partial,
    Progress,
    ServerEvent,
    SpeechEnded,
    SpeechStarted,
    Start,
    Started,
)
from stream.messages import decode_client, encode

SAMPLE_BYTES = 2
EVENT_RATE = 16_000


@dataclass(frozen=True)
class Drop:
    """When a connection breaks off: after so many messages in, or events out."""

    received: int | None = None
    sent: int | None = None
    forget: bool = False
    """Whether the session is forgotten with it, as by a server that restarts."""
    error: Error | None = None
    """Said before, if any."""


@dataclass
class ScriptedSession:
    """One conversation; its log outlives its connections."""

    start: Start
    settled: int = 0
    seq: int = 0
    segment: int = 0
    accepted: int = 0
    fails: bool = False
    """Whether a segment is answered with an error."""
    speech: bytearray = field(default_factory=bytearray)
    log: list[ServerEvent] = field(default_factory=list)

    @property
    def sample_bytes(self) -> int:
        return ENCODINGS[self.start.encoding].size_bytes * self.start.channels

    def push(self, pcm: bytes) -> None:
        size = self.start.rate * self.sample_bytes
        while pcm:
            taken, pcm = pcm[: size - len(self.speech)], pcm[size - len(self.speech) :]
            self.speech += taken
            self.accepted += len(taken) // self.sample_bytes
            if len(self.speech) == size:
                self.finish_segment()
        self._log(Progress, accepted=self.accepted, settled=self.settled)

    def finish_segment(self) -> None:
        if not self.speech:
            return
        self.segment += 1
        scale = EVENT_RATE / self.start.rate
        start, end = int(self.settled * scale), int(self.accepted * scale)
        here = {"segment": self.segment}
        self._log(SpeechStarted, start=start, **here)
        if self.start.partials:
            hypothesis = {"text": "so far", "stable": 2, "start": start, "end": end}
            self._log(Partial, task=self.start.tasks[0], **hypothesis, **here)
        self._log(SpeechEnded, end=end, **here)
        if self.fails:
            self._log(Error, code="engine", message="out of order", **here)
        for task in () if self.fails else self.start.tasks:
            if task == self.start.tasks[-1]:
                self.settled = self.accepted
            self._log(
                Final,
                task=task,
                text=checksum(self.speech),
                start=start,
                end=end,
                language="en",
                mode="streaming",
                settled=self.settled,
                **here,
            )
        self.speech.clear()

    def end(self) -> None:
        self.finish_segment()
        self._log(Ended, accepted=self.accepted, settled=self.settled)

    def _log(self, kind: type, **fields: object) -> None:
        self.seq += 1
        self.log.append(kind(seq=self.seq, **fields))


class ScriptedServer:
    """Serve on loopback; connection i breaks off as `drops[i]` says."""

    def __init__(
        self,
        drops: Sequence[Drop] = (),
        *,
        status: HTTPStatus | None = None,
        body: str = "",
        statuses: Sequence[HTTPStatus | None] = (),
        greeting: ServerEvent | str | bytes | None = None,
        fails: bool = False,
    ) -> None:
        self._fails = fails
        self._drops = list(drops)
        self._statuses = list(statuses)
        self._status, self._body = status, body
        self._greeting = greeting
        self._sessions: dict[str, ScriptedSession] = {}
        self._num_sessions = 0
        self.starts: list[Start] = []
        self.headers: list[Headers] = []
        self.paths: list[str] = []
        self.heard = asyncio.Event()
        """Set once audio has arrived, like the next, which threads wait for."""
        self.heard_in_thread = threading.Event()
        self.audio = bytearray()
        self.longest_bytes = 0
        """Of all messages of audio."""

    async def __aenter__(self) -> Self:
        self._server: Server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._admit,
            close_timeout=0.2,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self._server.wait_closed()

    def close(self) -> None:
        """Take no connection more, and end those there are."""
        self._server.close()

    def break_off(self) -> None:
        """Cut the connections there are."""
        for socket in self._server.connections:
            socket.transport.abort()

    @property
    def url(self) -> str:
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}"

    def _admit(self, socket: ServerConnection, request: Request) -> Response | None:
        self.headers.append(request.headers)
        self.paths.append(request.path)
        status = self._statuses.pop(0) if self._statuses else self._status
        return None if status is None else socket.respond(status, self._body)

    async def _serve(self, socket: ServerConnection) -> None:
        drop = self._drops.pop(0) if self._drops else Drop()
        if self._greeting is not None:
            greeting = self._greeting
            is_event = not isinstance(greeting, str | bytes)
            await socket.send(encode(greeting) if is_event else greeting)
            return
        try:
            await self._converse(socket, drop)
        except ConnectionClosed:
            return  # the client left
        except ConnectionAbortedError:
            if drop.forget:
                self._sessions.clear()
            if drop.error is not None:
                await socket.send(encode(drop.error))
                await socket.close(1011)
            socket.transport.abort()

    async def _converse(self, socket: ServerConnection, drop: Drop) -> None:
        start = decode_client(await socket.recv())
        assert isinstance(start, Start), "`start` comes first"
        self.starts.append(start)
        session, started = self._begin(start)
        await socket.send(encode(started))
        num_sent = start.resume.seq if started.resumed and start.resume else 0
        sent = [event for event in session.log if event.seq <= num_sent]
        delivered, num_events, num_messages = len(sent), 0, 0
        while True:
            for event in session.log[delivered:]:
                if num_events == drop.sent:
                    raise ConnectionAbortedError
                await socket.send(encode(event))
                num_events += 1
                delivered += 1
                if isinstance(event, Ended):
                    return
            message = await socket.recv()
            if num_messages == drop.received:
                raise ConnectionAbortedError
            num_messages += 1
            if isinstance(message, bytes):
                self.heard.set()
                self.heard_in_thread.set()
                self.audio += message
                self.longest_bytes = max(self.longest_bytes, len(message))
                session.push(message)
            else:
                event = decode_client(message)
                assert isinstance(event, Flush | End), "nothing else may follow"
                session.finish_segment() if isinstance(event, Flush) else session.end()

    def _begin(self, start: Start) -> tuple[ScriptedSession, Started]:
        resume = start.resume
        known = None if resume is None else self._sessions.get(resume.session)
        if known is not None and resume is not None:
            name, session = resume.session, known
        else:
            self._num_sessions += 1
            name, session = f"session-{self._num_sessions}", ScriptedSession(start)
            session.fails = self._fails
            if resume is not None:
                session.accepted = session.settled = resume.settled
                session.segment, session.seq = resume.segment, resume.seq
            session.seq += 1
            self._sessions[name] = session
        return session, Started(
            seq=session.seq,
            version=PROTOCOL_VERSION,
            session=name,
            model="scripted",
            tasks=start.tasks,
            resumed=known is not None,
            accepted=session.accepted,
            settled=session.settled,
        )


def checksum(pcm: bytes | bytearray) -> str:
    return f"{zlib.crc32(pcm):08x}"


def expected_texts(
    audio: bytes, *, rate: int, flushes: Sequence[int] = ()
) -> list[str]:
    """Return the finals of a session, given the samples before which it was flushed."""
    bounds = [0]
    stops = sorted({flush * SAMPLE_BYTES for flush in flushes} | {len(audio)})
    for stop in stops:
        while bounds[-1] + rate * SAMPLE_BYTES < stop:
            bounds.append(bounds[-1] + rate * SAMPLE_BYTES)
        if bounds[-1] < stop:
            bounds.append(stop)
    return [checksum(audio[first:last]) for first, last in pairwise(bounds)]
