"""One WebSocket while it lasts, whatever protocol is spoken over it.

It waits for no client longer than the limits say, and knows no events.
"""

import asyncio
import itertools
import logging
from collections.abc import MutableMapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from stream.errors import OverloadedError
from stream.hub import Hub
from stream.live import Stream
from stream.websocket import READING, Reading

_numbers = itertools.count(1)


class LeftError(Exception):
    """The client has gone, or does not read."""


class ConnectionLogger(logging.LoggerAdapter[logging.Logger]):
    """Says which connection a line is about."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger, {"connection": next(_numbers)})

    def process(
        self, msg: str, kwargs: MutableMapping[str, Any]
    ) -> tuple[str, MutableMapping[str, Any]]:
        """Add the connection's number to what the line is about."""
        about = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, {**kwargs, "extra": about}


class Channel:
    """Messages of a client, both ways."""

    def __init__(self, websocket: WebSocket, hub: Hub) -> None:
        """Prepare for a connection.

        Args:
            websocket: The connection.
            hub: Asked for the limits, and how far behind the engine is.
        """
        self._websocket, self._hub = websocket, hub
        self._limits = hub.config.limits
        self._reading: Reading = websocket.scope[READING]

    async def receive(self) -> MutableMapping[str, Any]:
        """Return the next message.

        Raises:
            LeftError: If there is none any more.
        """
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise LeftError
        return message

    async def send(self, text: str) -> None:
        """Send a text message.

        Raises:
            LeftError: If the client does not take it.
        """
        try:
            async with asyncio.timeout(self._limits.send_timeout_s):
                await self._websocket.send_text(text)
        except (TimeoutError, WebSocketDisconnect) as exc:
            raise LeftError from exc

    async def close(self, close_code: int) -> None:
        """End the connection.

        Raises:
            LeftError: If the client does not read what came before.
        """
        try:
            async with asyncio.timeout(self._limits.send_timeout_s):
                await self._websocket.close(close_code)
        except (TimeoutError, WebSocketDisconnect) as exc:
            raise LeftError from exc

    async def hold(self, stream: Stream, *, more: bool = False) -> None:
        """Wait while the engine owes the stream too much, so that TCP slows it.

        While too much waits behind, nothing is read and no ping of the client is
        answered; so reading is not kept waiting for longer than half the ping timeout.
        In the midst of a message nothing is won by going on, since its rest is here
        already: there, each call may take so long.

        Args:
            stream: What the client's audio goes into.
            more: Whether more of the same message follows.

        Raises:
            LeftError: If the client has gone meanwhile.
            OverloadedError: If it is far over the bound all the same.
        """
        if self._hub.load(stream) <= 1:  # as nearly always; a timer costs time, too
            return
        now = asyncio.get_running_loop().time()
        unread_s = 0.0 if more else self._reading.unread_s(now)
        try:
            async with asyncio.timeout(self._limits.ping_timeout_s / 2 - unread_s):
                await self._hub.room(stream)
        except TimeoutError:
            pass
        if self._reading.has_left:
            raise LeftError
        if self._hub.load(stream) > 2:
            raise OverloadedError("the engine does not keep up with this session")
