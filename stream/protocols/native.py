"""The native protocol on a WebSocket: one connection, from its handshake to its end.

    handshake ─▶ start ─▶ ┌ read:  messages ─▶ hub          ┐ ─▶ close
                          │ write: hub's log ─▶ messages    │
                          └ watch: another connection comes ┘

It moves messages; the session decides.  docs/protocol.md is what clients read.
"""

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

from starlette.websockets import WebSocket

from stream.config import LimitsConfig
from stream.errors import (
    InternalError,
    ProtocolError,
    StreamError,
)
from stream.events import (
    Ask,
    Cancel,
    End,
    Error,
    Flush,
    NameSpeaker,
    ServerEvent,
    Start,
    Started,
)
from stream.hub import Hub
from stream.live import Stream
from stream.messages import decode_client, encode
from stream.protocols.channel import Channel, ConnectionLogger, LeftError
from stream.resume import ForgottenError
from stream.sound_events import Unwatch, Watch
from stream.worker import SHOWN

SUBPROTOCOL = "salmonn"
"""Selected if a client offers it, as a page does that offers its token beside it."""
NORMAL = 1000
CLOSE_CODES = {error.code: error.close_code for error in StreamError.__subclasses__()}

_log = logging.getLogger(__name__)


class _SupersededError(Exception):
    """The session goes on over another connection."""


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
        self._channel = Channel(websocket, hub)
        self._logger = ConnectionLogger(_log)

    async def run(self) -> None:
        """Serve the client until either side has had enough."""
        offered = self._websocket.scope["subprotocols"]
        await self._websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        try:
            start = await self._first()
            await self._hub.recall(start, self._owner)
            stream, started = self._hub.open(start, self._owner, is_resumable=True)
        except LeftError:
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
        about, how = {"session": stream.name[:SHOWN]}, "left"
        try:
            async with asyncio.TaskGroup() as tasks:
                others = [
                    tasks.create_task(self._read(stream, superseded)),
                    tasks.create_task(_watch(superseded)),
                ]
                close_code = await self._write(stream, started)
                for task in others:
                    task.cancel()
            how = str(close_code)
            await self._channel.close(close_code)
        except* LeftError:
            pass
        except* _SupersededError:
            how = "superseded"
            await self._refuse(ProtocolError("another connection has this session"))
        except* Exception:
            how = InternalError.code
            self._logger.exception("failed", extra=about)
            self._hub.fail(stream, InternalError())
            await self._refuse(InternalError())
        session = stream.session
        self._logger.info(
            "%s, %d samples accepted, %d settled, %d events",
            *(how, session.accepted, session.settled, session.seq),
            extra=about,
        )

    async def _first(self) -> Start:
        """Return the message that a connection has to begin with.

        Raises:
            ProtocolError: If it is another one, or does not come in time.
        """
        timeout_s = self._limits.start_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                message = await self._channel.receive()
        except TimeoutError as exc:
            raise ProtocolError(f"no start within {timeout_s:g} s") from exc
        if (text := message.get("text")) is None:
            raise ProtocolError("audio before start")
        event = decode_client(text)
        if not isinstance(event, Start):
            raise ProtocolError(f"{event.type} before start")
        return event

    async def _read(self, stream: Stream, superseded: asyncio.Event) -> None:
        """Take the client's messages, until one of them is wrong.

        What comes behind the connection that takes over is not taken: that one was
        told how far the audio had arrived, and sends the rest again.
        """
        try:
            while True:
                message = await self._channel.receive()
                if superseded.is_set():
                    return
                self._take(stream, message)
                await self._channel.hold(stream)
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
            case Ask() as ask:
                self._hub.ask(stream, ask)
            case Cancel() as cancel:
                self._hub.cancel(stream, cancel)
            case Watch() as watch:
                self._hub.watch(stream, watch)
            case Unwatch() as unwatch:
                self._hub.unwatch(stream, unwatch)
            case NameSpeaker() as event:
                self._hub.name_speaker(stream, event)
            case End():
                self._hub.end(stream)
            case Start():
                raise ProtocolError("a second start")

    async def _write(self, stream: Stream, started: Started) -> int:
        """Send all events of the session, to its last; return the close code.

        Raises:
            LeftError: If the client reads so slowly that events were forgotten.
        """
        await self._send(started)
        seq, close_code = started.seq, NORMAL
        while True:
            stream.changed.clear()
            try:
                events = stream.log.lasting_after(seq)
            except ForgottenError as exc:
                raise LeftError from exc
            for event in events:
                await self._send(event)
                seq = event.seq
                if isinstance(event, Error) and event.ends_session:
                    close_code = CLOSE_CODES[event.code]
                    self._hub.metrics.refused.labels(event.code).inc()
            if stream.session.is_over and seq == stream.session.seq:
                return close_code
            await stream.changed.wait()

    async def _send(self, event: ServerEvent) -> None:
        self._logger.debug("> %s %d", event.type, event.seq)
        await self._channel.send(encode(event))

    async def _refuse(self, error: StreamError) -> None:
        """Tell an error that is no part of a session, and close."""
        self._logger.info("refused", extra={"code": error.code})
        self._hub.metrics.refused.labels(error.code).inc()
        try:
            await self._send(Error(seq=0, code=error.code, message=str(error)))
            await self._channel.close(error.close_code)
        except LeftError:
            self._logger.info("the client did not wait for it")


async def _watch(superseded: asyncio.Event) -> None:
    """Wait for the connection that takes over.

    Raises:
        _SupersededError: When it comes.
    """
    await superseded.wait()
    raise _SupersededError
