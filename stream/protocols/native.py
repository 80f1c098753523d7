"""The native protocol on a WebSocket: one connection, from its handshake to its end.

    handshake ─▶ start ─▶ ┌ read:  messages ─▶ hub          ┐ ─▶ close
                          │ write: hub's log ─▶ messages    │
                          └ watch: another connection comes ┘

It moves messages; the session decides.  docs/protocol.md is what clients read.
"""

import asyncio
import itertools
import logging
from collections.abc import MutableMapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from stream.config import LimitsConfig
from stream.errors import (
    InternalError,
    OverloadedError,
    ProtocolError,
    StreamError,
)
from stream.events import (
    End,
    Error,
    Flush,
    ServerEvent,
    Start,
    Started,
    decode_client,
    encode,
)
from stream.hub import Hub, Stream
from stream.resume import ForgottenError
from stream.websocket import READS_ON
from stream.worker import SHOWN

NORMAL = 1000
CLOSE_CODES = {error.code: error.close_code for error in StreamError.__subclasses__()}

_numbers = itertools.count(1)
_log = logging.getLogger(__name__)


class _LeftError(Exception):
    """The client has gone, or does not read; its session waits for it."""


class _SupersededError(Exception):
    """The session goes on over another connection."""


class _ConnectionLogger(logging.LoggerAdapter[logging.Logger]):
    """Says which connection a line is about."""

    def process(
        self, msg: str, kwargs: MutableMapping[str, Any]
    ) -> tuple[str, MutableMapping[str, Any]]:
        assert self.extra is not None
        return f"connection {self.extra['connection']}: {msg}", kwargs


class NativeConnection:
    """One client of the native protocol."""

    def __init__(self, websocket: WebSocket, hub: Hub, owner: str) -> None:
        """Prepare for a connection that has been admitted.

        Args:
            websocket: The connection, its handshake not yet answered.
            hub: Of the server.
            owner: Who is behind it.
        """
        self._websocket, self._hub, self._owner = websocket, hub, owner
        self._limits: LimitsConfig = hub.config.limits
        self._logger = _ConnectionLogger(_log, {"connection": next(_numbers)})
        self._held_s = 0.0

    async def run(self) -> None:
        """Serve the client until either side has had enough."""
        await self._websocket.accept()
        try:
            stream, started = self._hub.open(await self._first(), self._owner)
        except _LeftError:
            return
        except StreamError as exc:
            await self._refuse(exc)
            return
        superseded = self._hub.attach(stream)
        try:
            await self._serve(stream, started, superseded)
        finally:
            self._hub.detach(stream, superseded)

    async def _serve(
        self, stream: Stream, started: Started, superseded: asyncio.Event
    ) -> None:
        name, how = stream.name[:SHOWN], "left"
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [
                    tasks.create_task(self._read(stream)),
                    tasks.create_task(_watch(superseded)),
                ]
                close_code = await self._write(stream, started)
                for task in others:
                    task.cancel()
            how = str(close_code)
            await self._close(close_code)
        except* _LeftError:
            pass
        except* _SupersededError:
            how = "superseded"
            await self._refuse(ProtocolError("another connection has this session"))
        except* Exception:
            how = InternalError.code
            self._logger.exception("session %s failed", name)
            self._hub.fail(stream, InternalError())
            await self._refuse(InternalError())
        session = stream.session
        self._logger.info(
            "session %s: %s, %d samples accepted, %d settled, %d events",
            *(name, how, session.accepted, session.settled, session.seq),
        )

    async def _first(self) -> Start:
        """Return the message that a connection has to begin with.

        Raises:
            ProtocolError: If it is another one, or does not come in time.
        """
        timeout_s = self._limits.start_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                message = await self._receive()
        except TimeoutError as exc:
            raise ProtocolError(f"no start within {timeout_s:g} s") from exc
        if (text := message.get("text")) is None:
            raise ProtocolError("audio before start")
        event = decode_client(text)
        if not isinstance(event, Start):
            raise ProtocolError(f"{event.type} before start")
        return event

    async def _read(self, stream: Stream) -> None:
        """Take the client's messages, until one of them is wrong."""
        try:
            while True:
                message = await self._receive()
                self._take(stream, message)
                await self._hold(stream, reads_on=message.get(READS_ON, True))
                # Messages at hand are received without a pause; others have a turn.
                await asyncio.sleep(0)
        except StreamError as exc:
            self._hub.fail(stream, exc)  # the writer tells it, and closes

    def _take(self, stream: Stream, message: MutableMapping[str, Any]) -> None:
        if (data := message.get("bytes")) is not None:
            self._hub.push(stream, data)
            return
        match decode_client(message["text"]):
            case Flush():
                self._hub.flush(stream)
            case End():
                self._hub.end(stream)
            case Start():
                raise ProtocolError("a second start")

    async def _hold(self, stream: Stream, *, reads_on: bool) -> None:
        """Wait while the stream's backlog is over its bound, so that TCP slows it.

        No pong is read while we wait with messages at hand, so all waits between
        two moments at which reading goes on take half the ping timeout at most.

        Raises:
            OverloadedError: If the backlog is far over its bound all the same.
        """
        if reads_on:
            self._held_s = 0.0
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._limits.ping_timeout_s / 2 - self._held_s):
                await self._hub.room(stream)
        except TimeoutError:
            pass
        self._held_s += loop.time() - began
        if self._hub.backlog_s(stream) > 2 * self._limits.max_backlog_s:
            raise OverloadedError("the engine does not keep up with this session")

    async def _write(self, stream: Stream, started: Started) -> int:
        """Send all events of the session, to its last; return the close code.

        Raises:
            _LeftError: If the client reads so slowly that events were forgotten.
        """
        await self._send(started)
        seq, close_code = started.seq, NORMAL
        while True:
            stream.changed.clear()
            try:
                events = stream.log.after(seq)
            except ForgottenError as exc:
                raise _LeftError from exc
            for event in events:
                await self._send(event)
                seq = event.seq
                if isinstance(event, Error) and event.segment is None:
                    close_code = CLOSE_CODES[event.code]
                    self._hub.metrics.refused.labels(event.code).inc()
            if stream.session.is_over and seq == stream.session.seq:
                return close_code
            await stream.changed.wait()

    async def _receive(self) -> MutableMapping[str, Any]:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise _LeftError
        return message

    async def _send(self, event: ServerEvent) -> None:
        self._logger.debug("> %s %d", event.type, event.seq)
        try:
            async with asyncio.timeout(self._limits.send_timeout_s):
                await self._websocket.send_text(encode(event))
        except (TimeoutError, WebSocketDisconnect) as exc:
            raise _LeftError from exc

    async def _refuse(self, error: StreamError) -> None:
        """Tell an error that is no part of a session, and close."""
        self._logger.info("refused: %s: %s", error.code, error)
        self._hub.metrics.refused.labels(error.code).inc()
        try:
            await self._send(Error(seq=0, code=error.code, message=str(error)))
            await self._close(error.close_code)
        except _LeftError:
            self._logger.info("the client did not wait for it")

    async def _close(self, close_code: int) -> None:
        try:
            async with asyncio.timeout(self._limits.send_timeout_s):
                await self._websocket.close(close_code)
        except (TimeoutError, WebSocketDisconnect) as exc:
            raise _LeftError from exc


async def _watch(superseded: asyncio.Event) -> None:
    """Wait for the connection that takes over.

    Raises:
        _SupersededError: When it comes.
    """
    await superseded.wait()
    raise _SupersededError
