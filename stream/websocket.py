"""uvicorn's WebSocket protocol (`ws="websockets-sansio"`) with its gaps closed.

It is the one file that knows uvicorn's insides; docs/adr/0009 says what was found,
and tests/stream/test_websocket.py fails if a new version of uvicorn differs.

    message too big or malformed   an `error` event goes before the close frame, and
                                   the rest of the message is read and thrown away: to
                                   close at once would reset the connection, and the
                                   client might never read why
    messages that wait             stop reading once they hold as much memory as they
                                   may, not at the first: else no pong and no close is
                                   seen while the application is at the one before
    reading that stops             can be asked about at any time (`READING`), and no
                                   pong is missed for it: it may be there, unread
    a message in fragments         takes the memory of its bytes, however many they are
    what is sent once we closed    is told as to a client that has gone, and is no error
                                   of the application
    a refused handshake            is logged as an error of the application no more
    messages                       may be larger, and errors look otherwise, where the
                                   application says so when it accepts
    a peer that does not read      is not read from either, so that pings cannot pile
                                   up pongs; when its connection is to end, it is cut
"""

import asyncio
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import (
    WebSocketsSansIOProtocol,
)
from websockets.exceptions import PayloadTooBig
from websockets.frames import Frame, Opcode

from stream.errors import LimitError, ProtocolError, StreamError
from stream.events import Error
from stream.messages import encode

READING = "reading"
"""Key of the scope: the connection's `Reading`."""
READ_AHEAD_BYTES = 2 << 20
"""Memory of messages that wait to be received; no more than the largest message, where
that is smaller.  From there on the connection is read no further.  It holds half a
minute of a microphone as OpenAI's clients send it, and less than the one event for
which it may have to wait."""
MESSAGE_BYTES = 256
"""Memory of a message besides its data, so that empty ones cannot be without number."""
MAX_MESSAGE_BYTES = "max_message_bytes"
"""Key of `websocket.accept`: the largest message, where it is not the server's."""
EXPLAIN = "explain"
"""Key of `websocket.accept`: what returns the text message that tells an error, where
the client does not speak the native protocol."""


@dataclass(slots=True)
class Reading:
    """Whether a connection is read, as it is now.  Times are the event loop's."""

    has_left: bool = False
    """Whether the client has closed, or the connection is lost."""
    _stopped_at: float | None = None
    _resumed_at: float = -math.inf

    def unread_s(self, now: float) -> float:
        """Return for how long nothing was read, since too many messages wait."""
        return 0.0 if self._stopped_at is None else now - self._stopped_at

    def has_paused_since(self, time: float) -> bool:
        """Return whether there was a moment since then at which nothing was read."""
        return self._stopped_at is not None or self._resumed_at >= time

    def stop(self, now: float) -> None:
        """Note that nothing is read from now on."""
        self._stopped_at = now

    def go_on(self, now: float) -> None:
        """Note that it is read, again or still."""
        if self._stopped_at is not None:
            self._stopped_at, self._resumed_at = None, now


class _Waiting(asyncio.Queue[Any]):
    """What is to be received, and the memory that it takes."""

    num_bytes = 0

    def _put(self, item: Any) -> None:
        super()._put(item)
        self.num_bytes += _memory(item)

    def _get(self) -> Any:
        item = super()._get()
        self.num_bytes -= _memory(item)
        return item


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection, from its handshake to its end."""

    queue: _Waiting
    _unread = 0
    """Bytes of a refused message that the client has still to send."""
    _joined: bytearray | None = None
    """The fragments of a message so far, once there are several."""
    _tell: Callable[[StreamError], str] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Prepare for a connection; the arguments are uvicorn's."""
        super().__init__(*args, **kwargs)
        self.queue = _Waiting()
        self.reading = Reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that it is lost."""
        self.reading.has_left = True
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the connection, or throw them away after an error."""
        if self.conn.parser_exc is None:
            self._unread = -len(data)
            super().data_received(data)
            return
        self.conn.receive_data(data)
        self._unread -= len(data)
        if self._unread <= 0:
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        """Join a fragment to those before it."""
        if self._joined is None:
            self._joined = bytearray(self.frames[0])
        self._joined += event.data
        if event.fin:
            self.frames, self._joined = [bytes(self._joined)], None
            self.send_receive_event_to_app()

    def handle_close(self, event: Frame) -> None:
        """Take note that the client closes."""
        self.reading.has_left = True
        super().handle_close(event)

    def send_receive_event_to_app(self) -> None:
        """Let a message wait; read on unless that is one too many."""
        was_stopped, self.read_paused = self.read_paused, True  # else it would stop now
        super().send_receive_event_to_app()
        self.read_paused = was_stopped and not self.close_sent
        if not (was_stopped or self.close_sent or self._has_room()):
            self.read_paused = True
            self.reading.stop(self.loop.time())
            self.transport.pause_reading()

    def handle_parser_exception(self) -> None:
        """Say what was wrong, and close once the client has sent its message."""
        cause = self.conn.parser_exc
        error = _explain(cause)
        close = self.conn.data_to_send()
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": error.close_code, "reason": ""}
        )
        if self.handshake_complete and not self.close_sent:
            told = (self._tell or _native)(error).encode()
            frame = Frame(Opcode.TEXT, told).serialize(mask=False)
            self.transport.write(b"".join([frame, *close]))
        self.close_sent = True
        if isinstance(cause, PayloadTooBig):
            self._unread += cause.size or 0
        if self._unread <= 0:
            self.transport.close()
            return
        self.read_paused = False
        self.transport.resume_reading()
        self.close_timer = self.loop.call_later(
            self.close_timeout, self.transport.close
        )

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on reading, unless too many messages wait."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def keepalive_timeout(self) -> None:
        """End a connection whose peer does not answer, or ask again.

        If its answer may lie unread behind messages, that is no fault of its own.  Who
        is gone is found out once reading has gone on for as long as an answer may take.
        """
        if self.writable.is_set() and self.reading.has_paused_since(self.ping_sent_at):
            self.pong_timer = None
            self.send_keepalive_ping()
            return
        super().keepalive_timeout()
        self._cut_if_blocked()

    async def run_asgi(self) -> None:
        """Run the application to its end."""
        cast(dict[str, Any], self.scope)[READING] = self.reading
        await super().run_asgi()
        self._cut_if_blocked()

    async def send(self, event: Any) -> None:
        """Send; a handshake that is refused with an HTTP answer is complete, too.

        Raises:
            ClientDisconnected: If the client has gone, or we have closed.
        """
        await self.writable.wait()
        if self.close_sent and event["type"] in ("websocket.send", "websocket.close"):
            raise ClientDisconnected
        if event["type"] == "websocket.accept":
            self._tell = event.get(EXPLAIN, self._tell)
            most = event.get(MAX_MESSAGE_BYTES, self.conn.max_message_size)
            self.conn.max_message_size = most
        await super().send(event)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True

    async def receive(self) -> Any:
        """Return the next message; read on once there is room for more."""
        message = await super().receive()
        if self.read_paused and self._has_room():
            self.read_paused = False
            self.transport.resume_reading()
        if not self.read_paused:
            self.reading.go_on(self.loop.time())
        if not self.writable.is_set():
            self.transport.pause_reading()
        return message

    def _has_room(self) -> bool:
        """Return whether more messages may wait."""
        most = self.conn.max_message_size or READ_AHEAD_BYTES
        return self.queue.num_bytes < min(READ_AHEAD_BYTES, most)

    def _cut_if_blocked(self) -> None:
        # To close politely would wait until the peer reads what is in the buffer.
        if not self.writable.is_set():
            self.transport.abort()


def _memory(message: dict[str, Any]) -> int:
    data = message.get("text") or message.get("bytes")
    return MESSAGE_BYTES + sys.getsizeof(data)


def _native(error: StreamError) -> str:
    return encode(Error(seq=0, code=error.code, message=str(error)))


def _explain(cause: Exception | None) -> StreamError:
    if isinstance(cause, PayloadTooBig):
        return LimitError(str(cause))
    if cause is None:  # text that is not UTF-8, which uvicorn itself finds
        return ProtocolError("a text message that is not UTF-8")
    return ProtocolError(str(cause))
