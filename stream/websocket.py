"""uvicorn's WebSocket protocol (`ws="websockets-sansio"`) with eight gaps closed.

It is the one file that knows uvicorn's insides; docs/adr/0009 says what was found,
and tests/stream/test_websocket.py fails if a new version of uvicorn differs.

    message too big or malformed   an `error` event goes before the close frame, and
                                   the rest of the message is read and thrown away: to
                                   close at once would reset the connection, and the
                                   client might never read why
    `receive`                      says whether reading has gone on (`READS_ON`)
    a message in fragments         takes the memory of its bytes, however many they are
    what is sent once we closed    is told as to a client that has gone, and is no error
                                   of the application
    a refused handshake            is logged as an error of the application no more
    messages                       may be larger, and errors look otherwise, where the
                                   application says so when it accepts
    a peer that does not read      is not read from either, so that pings cannot pile
                                   up pongs; when its connection is to end, it is cut
"""

from collections.abc import Callable
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

READS_ON = "reads_on"
"""Key of a received message: whether uvicorn had no further message waiting, and so
went on reading from the connection.  Until then it reads no pongs either."""
MAX_MESSAGE_BYTES = "max_message_bytes"
"""Key of `websocket.accept`: the largest message, where it is not the server's."""
EXPLAIN = "explain"
"""Key of `websocket.accept`: what returns the text message that tells an error, where
the client does not speak the native protocol."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection, from its handshake to its end."""

    _unread = 0
    """Bytes of a refused message that the client has still to send."""
    _joined: bytearray | None = None
    """The fragments of a message so far, once there are several."""
    _tell: Callable[[StreamError], str] | None = None

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
        """Go on reading, unless messages are still waiting."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def keepalive_timeout(self) -> None:
        """End a connection whose peer does not answer."""
        super().keepalive_timeout()
        self._cut_if_blocked()

    async def run_asgi(self) -> None:
        """Run the application to its end."""
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
        """Return the next message, marked with `READS_ON`."""
        message = cast(dict[str, Any], await super().receive())
        if not self.writable.is_set():
            self.transport.pause_reading()
        return {**message, READS_ON: self.queue.empty()}

    def _cut_if_blocked(self) -> None:
        # To close politely would wait until the peer reads what is in the buffer.
        if not self.writable.is_set():
            self.transport.abort()


def _native(error: StreamError) -> str:
    return encode(Error(seq=0, code=error.code, message=str(error)))


def _explain(cause: Exception | None) -> StreamError:
    if isinstance(cause, PayloadTooBig):
        return LimitError(str(cause))
    if cause is None:  # text that is not UTF-8, which uvicorn itself finds
        return ProtocolError("a text message that is not UTF-8")
    return ProtocolError(str(cause))
