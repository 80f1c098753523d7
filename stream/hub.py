"""The live sessions of a process: feeds them, and drains them to both sides.

Whatever wire protocol a connection speaks, it holds a `Stream` and calls the hub:
audio goes into the session, its jobs to the worker, its events into the stream's
log.  The hub knows no socket and no message format.

    protocols ──push──▶ hub ──▶ session ──jobs──▶ worker
        ▲                │         │                 │
        └───── log ◀─────┴─events──┘◀────results─────┘
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakValueDictionary

from engine.api import Engine
from stream import opening
from stream.audio import SAMPLE_RATE
from stream.auth import NOBODY
from stream.config import ServerConfig
from stream.errors import InternalError, OverloadedError, ShutdownError, StreamError
from stream.events import Ask, Cancel, Error, NameSpeaker, Start, Started, full_task
from stream.jobs import Result
from stream.live import Attached, Stream
from stream.metrics import Metrics
from stream.resume import ForgottenError, SessionStore
from stream.segmenter import SegmenterConfig
from stream.sound_events import Unwatch, Watch
from stream.vad import VoiceDetector
from stream.worker import SHOWN, Clock, Worker

logger = logging.getLogger(__name__)

MOST_STANDING = 32
"""Replies that belong to finals and that a session waits for.  Beyond it reading
waits, as it does for audio, since they are never dropped; at twice that the connection
ends."""
MOST_WAITING = 64
"""Prompts, of all sessions, that the engine has not begun with; further questions are
refused.  One may hold 30 s of audio, so 61 MB in all."""
LAST_WORD_S = 2.0
"""For clients to be told that the server stops without their finals."""
MOST_UNTOLD_S = 60.0
"""Audio of a session, in seconds, whose speakers are not told yet.  Captions go first,
so it is more than they may lag behind by; beyond it reading waits."""


class Hub:
    """Opens, feeds, resumes and ends streams."""

    def __init__(
        self,
        config: ServerConfig,
        engine: Engine,
        worker: Worker,
        metrics: Metrics,
        detector: Callable[[], VoiceDetector],
        store: SessionStore[Stream],
        *,
        clock: Clock = time.monotonic,
    ) -> None:
        """Begin without sessions.

        Args:
            config: Of the server.
            engine: Asked what it can do; the worker runs it.
            worker: Takes jobs; hands its results to `deliver`.
            metrics: Told how many sessions there are.
            detector: Makes a voice detector for a session.
            store: Keeps the sessions, also while their clients are away.
            clock: Monotonic, in seconds.
        """
        self.config, self.engine = config, engine
        self._worker, self.metrics = worker, metrics
        self._opener, self._clock = opening.Opener(engine, detector), clock
        self._store = store
        self._recalls: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By the names of the sessions that are asked for elsewhere right now."""
        self._connections: Counter[str] = Counter()
        self._attached = Attached()
        self._is_stopping = False
        self.is_ready = False

    @property
    def status(self) -> str:
        """One of `warming up`, `ready`, `stopping`."""
        if self._is_stopping:
            return "stopping"
        return "ready" if self.is_ready else "warming up"

    @property
    def num_connections(self) -> int:
        """How many connections are open."""
        return self._connections.total()

    @property
    def wait_s(self) -> float:
        """How long the most neglected work has waited for the engine, in seconds."""
        return self._worker.longest_wait()

    @property
    def streams(self) -> list[Stream]:
        """All streams, those that wait for their client included."""
        return self._store.sessions()

    def admit(self, owner: str) -> None:
        """Count a connection in; `leave` counts it out.

        Raises:
            OverloadedError: If there is no room for it.
            ShutdownError: If the server is about to stop.
        """
        limits = self.config.limits
        if self._connections.total() >= limits.max_sessions:
            raise OverloadedError(f"all {limits.max_sessions} places are taken")
        most = limits.max_sessions_per_token
        if owner != NOBODY and self._connections[owner] >= most:
            raise OverloadedError(f"a token may have {most} connections at once")
        self._check_load()
        self._connections[owner] += 1
        self.metrics.connections.set(self._connections.total())

    def leave(self, owner: str) -> None:
        """Count a connection out."""
        self._connections[owner] -= 1
        if not self._connections[owner]:
            del self._connections[owner]
        self.metrics.connections.set(self._connections.total())

    def open(
        self,
        request: Start,
        owner: str,
        *,
        segmenter: SegmenterConfig | None = None,
        detector: VoiceDetector | None = None,
        is_resumable: bool = False,
    ) -> tuple[Stream, Started]:
        """Begin a session, or go on with the one that the client names.

        Args:
            request: What the client wants.
            owner: Who is behind it.
            segmenter: Where segments begin and end; the server's own by default.
            detector: Which frames are voiced; one of the server's own by default.
            is_resumable: Whether what is for good is kept for the session's life, for
                clients that can come back for it.

        Raises:
            StreamError: If the session cannot be had as it is wanted.
        """
        request = replace(request, tasks=tuple(map(full_task, request.tasks)))
        resume = request.resume
        if resume and (found := self._store.find(resume.session, owner)):
            try:
                found.log.lasting_after(resume.seq)
            except ForgottenError:  # the client sends its audio again from `settled`
                self.give_up(found)
            else:
                return found, opening.resume(found, request, resume.seq)
        self._check_load()
        stream = self._opener.begin(
            request,
            owner,
            self.config,
            segmenter=segmenter,
            detector=detector,
            is_resumable=is_resumable,
        )
        self._keep(stream)
        session = stream.session
        return stream, session.started(seq=session.seq, resumed=False)

    async def recall(self, request: Start, owner: str) -> None:
        """Let a client find here the session that it had at another front end.

        Where several ask for one at once, it is had once, and all find it.

        Raises:
            StreamError: If there is no room for it, or it cannot be served here.
        """
        if (resume := request.resume) is None:
            return
        async with self._recalls.setdefault(resume.session, asyncio.Lock()):
            here = self._store.find(resume.session, owner)
            if here is None:
                self._check_load()
            saved = await self._store.recall(resume.session, owner)
            if saved is None:
                return
            if self._is_stopping:  # since then; it can be had elsewhere
                raise ShutdownError("the server stops")
            if here is not None:  # it went on elsewhere since
                self.give_up(here)
            stream = self._opener.go_on(saved.met(resume), self.config)
            self._keep(stream)
            self._store.detach(stream, self._clock())
        logger.info("taken over", extra={"session": stream.name[:SHOWN]})

    def give_up(self, stream: Stream) -> None:
        """Free a stream that goes on at another front end, and leave its client."""
        stream.superseded.set()
        self.forget(stream)

    def push(self, stream: Stream, data: bytes) -> None:
        """Hear a message of audio.

        Raises:
            StreamError: As `Session.push` does.
        """
        try:
            stream.session.push(data)
        finally:
            self._drain(stream)

    def flush(self, stream: Stream) -> None:
        """End the current segment."""
        stream.session.flush()
        self._drain(stream)

    def ask(self, stream: Stream, ask: Ask) -> None:
        """Take a question; under load it is refused, and the session goes on."""
        refused = None
        waited_s, waiting = self.wait_s, self._worker.num_waiting
        if waited_s > self.config.limits.max_wait_s:
            refused = OverloadedError(f"the engine is {waited_s:.1f} s behind")
        elif waiting >= MOST_WAITING:
            refused = OverloadedError(f"{waiting} questions wait already")
        stream.session.ask(ask, refused=refused)
        self._drain(stream)

    def cancel(self, stream: Stream, cancel: Cancel) -> None:
        """Want no more of an answer."""
        stream.session.cancel(cancel)
        self._drain(stream)

    def name_speaker(self, stream: Stream, event: NameSpeaker) -> None:
        """Call a speaker by a name; raise what `Session.name_speaker` does."""
        stream.session.name_speaker(event)
        self._drain(stream)

    def watch(self, stream: Stream, watch: Watch) -> None:
        """Listen for something more, in a session that goes on."""
        if not stream.session.is_over:
            stream.session.watches.add(watch)
            self._drain(stream)

    def unwatch(self, stream: Stream, unwatch: Unwatch) -> None:
        """Listen no more for something."""
        stream.session.watches.remove(unwatch.id)

    def end(self, stream: Stream) -> None:
        """Hear no more."""
        stream.session.end()
        self._drain(stream)

    def fail(self, stream: Stream, error: StreamError) -> None:
        """End a session with an error; it cannot be resumed."""
        stream.session.fail(error)
        self._drain(stream)
        self.forget(stream)

    def find(self, name: str, owner: str) -> Stream | None:
        """Return a stream by its name, if it is there and its owner's."""
        return self._store.find(name, owner)

    def forget(self, stream: Stream) -> None:
        """Free a stream at once: its client has all, or cannot come back for it."""
        if self._store.remove(stream):
            self._free(stream)

    def backlog_s(self, stream: Stream) -> float:
        """Return how much audio of a stream the engine has not heard, in seconds."""
        return self._worker.backlog(stream.name) / SAMPLE_RATE

    def load(self, stream: Stream) -> float:
        """Return what the engine owes a stream, by its bound: 1 is full."""
        return max(
            self.backlog_s(stream) / self.config.limits.max_backlog_s,
            self._worker.num_standing(stream.name) / MOST_STANDING,
            self._worker.voice_backlog(stream.name) / SAMPLE_RATE / MOST_UNTOLD_S,
        )

    async def room(self, stream: Stream) -> None:
        """Wait until what the engine owes a stream is within its bound."""
        while self.load(stream) > 1:
            stream.progressed.clear()
            await stream.progressed.wait()

    def attach(self, stream: Stream) -> asyncio.Event:
        """Give a stream a new connection, and take it from the one it had.

        Returns:
            What is set when the next connection does the same.
        """
        stream.superseded.set()
        stream.superseded = asyncio.Event()
        stream.changed.set()
        self._store.attach(stream)
        self._attached.add()
        return stream.superseded

    def detach(self, stream: Stream, superseded: asyncio.Event) -> None:
        """Let a stream wait for its client, unless another connection has it."""
        self._attached.remove()
        if stream.superseded is superseded:
            self._store.detach(stream, self._clock())

    def deliver(self, name: str, result: Result | None) -> None:
        """Take a result of the worker, or the news that there is more room."""
        stream = self._store.named(name)
        if stream is None:
            return
        stream.progressed.set()
        if result is None:
            return
        try:
            stream.session.deliver(result)
            self._drain(stream)
        except Exception:  # the worker, who calls this, serves the others as well
            logger.exception("failed on a result", extra={"session": name[:SHOWN]})
            self.fail(stream, InternalError())

    async def expire(self) -> None:
        """Free, until cancelled, the sessions whose clients did not come back."""
        while True:
            await asyncio.sleep(self.config.limits.resume_s / 10)
            keep_s = self.config.limits.resume_s
            for stream in self._store.expire(self._clock(), keep_s=keep_s):
                self._free(stream)

    async def stop(self) -> None:
        """End all streams; return when all clients have their finals, or too late.

        Who is too late for them is told so, as far as it reads on.
        """
        self._is_stopping = True
        error = ShutdownError("the server stops; the session can be resumed elsewhere")
        for stream in self.streams:
            stream.session.end(error)
            self._drain(stream)
        drain_s = self.config.limits.drain_s
        if await self._attached.emptied(drain_s):
            return
        logger.warning("finals are missing after %.0f s; stopping anyway", drain_s)
        for stream in self.streams:  # what is known of it elsewhere stays
            stream.session.fail(error)
            self._drain(stream)
            self._free(stream)
        await self._attached.emptied(LAST_WORD_S)

    def _check_load(self) -> None:
        """Refuse new work if there is already too much.

        Raises:
            OverloadedError: If work waits too long for the engine.
            ShutdownError: If the server is about to stop.
        """
        if self._is_stopping:
            raise ShutdownError("the server stops")
        if not self.is_ready:
            raise OverloadedError("the model is still warming up")
        waited_s = self.wait_s
        if waited_s > self.config.limits.max_wait_s:
            raise OverloadedError(f"the engine is {waited_s:.1f} s behind")

    def _keep(self, stream: Stream) -> None:
        most = self.config.limits.max_sessions
        if given_up := self._store.add(stream, most=most):
            self._free(given_up)
        self.metrics.sessions.set(len(self._store))
        self._drain(stream)

    def _drain(self, stream: Stream) -> None:
        session = stream.session
        for event in session.events():
            if isinstance(event, Error) and event.question is not None:
                self.metrics.questions_refused.labels(event.code).inc()
            stream.log.append(event)
            stream.changed.set()
        if stream.is_resumable:
            self._store.note(stream)
        jobs = session.jobs()
        # A connection may still feed a session that was discarded a moment ago.
        if jobs and self._store.named(session.name) is stream:
            self._worker.add(session.name, jobs)

    def _free(self, stream: Stream) -> None:
        logger.info("freed", extra={"session": stream.name[:SHOWN]})
        self._worker.cancel(stream.name)
        stream.progressed.set()
        self.metrics.sessions.set(len(self._store))
