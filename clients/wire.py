"""One connection to a server: events and audio in and out, failures in our words.

Knows one socket, not how to replace it.  `websockets` is imported only here.
"""

import asyncio
import ipaddress
import json
import re
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
)
from websockets.http11 import Response

from clients.errors import (
    BrokenServerError,
    DroppedError,
    RefusedError,
    UnreachableError,
)
from stream.errors import ProtocolError
from stream.events import ClientEvent, ServerEvent
from stream.messages import decode_server, encode

NATIVE_PATH = "/v1/stream"
OPEN_TIMEOUT_S = 10
CLOSE_TIMEOUT_S = 2
PING_S = 20  # both between pings and for an answer
MAX_REASON = 200  # characters of a refusal's reason that are shown
RETRY_AFTER = re.compile("[0-9]{1,5}")
"""Seconds; the other form of this header, a date, no server of ours sends."""


def native_url(url: str) -> str:
    """Return a server's address with the path of the native protocol, if it has none.

    Raises:
        ValueError: If it is no address of a WebSocket.
    """
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.scheme not in ("ws", "wss"):
        raise ValueError(f"{url!r} is no address; expected ws://HOST:PORT or wss://…")
    path = NATIVE_PATH if parts.path in ("", "/") else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


class Wire:
    """An open connection."""

    def __init__(self, url: str, socket: ClientConnection) -> None:
        self._url = url
        self._socket = socket

    @classmethod
    async def open(cls, url: str, *, token: str | None = None) -> Self:
        """Connect; proxies of the environment are used, except to this machine.

        Raises:
            UnreachableError: If nobody answers, or it is no WebSocket server.
            RefusedError: If the server answers with an HTTP error.
        """
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            socket = await open_websocket(
                url,
                additional_headers=headers,
                compression=None,  # audio hardly shrinks, and latency grows
                proxy=None if _is_loopback(url) else True,
                open_timeout=OPEN_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                ping_interval=PING_S,
                ping_timeout=PING_S,
            )
        except InvalidStatus as exc:
            raise _refusal(url, exc.response) from exc
        except (InvalidHandshake, InvalidURI, TimeoutError, OSError, EOFError) as exc:
            raise UnreachableError(url, _reason(exc)) from exc
        return cls(url, socket)

    async def send(self, message: ClientEvent | bytes) -> None:
        """Send an event or audio; wait while the network is slower than we are.

        Raises:
            DroppedError: If the connection is lost.
        """
        try:
            await self._socket.send(
                message if isinstance(message, bytes) else encode(message)
            )
        except ConnectionClosed as exc:
            raise DroppedError(self._url, _reason(exc)) from exc

    async def receive(self) -> ServerEvent:
        """Return the next event.

        Raises:
            DroppedError: If the connection is lost, or the server closed it.
            BrokenServerError: If it is no event.
        """
        try:
            message = await self._socket.recv()
        except ConnectionClosed as exc:
            raise DroppedError(self._url, _reason(exc)) from exc
        if isinstance(message, bytes):
            raise BrokenServerError("a binary message")
        try:
            return decode_server(message)
        except ProtocolError as exc:
            raise BrokenServerError(str(exc)) from exc

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; twice is once."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._socket.close())
            # Events that nobody reads would hold up the close frame behind them.
            with suppress(ConnectionClosed):
                while True:
                    await self._socket.recv()


def _refusal(url: str, response: Response) -> RefusedError:
    """Return what a server, or a proxy before it, says in place of a handshake."""
    after = response.headers.get("Retry-After", "")
    return RefusedError(
        url,
        response.status_code,
        reason=_told(bytes(response.body)),
        retry_s=int(after) if RETRY_AFTER.fullmatch(after) else None,
    )


def _told(body: bytes) -> str | None:
    """Return the message of a server's refusal; None if it is in no form of ours."""
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    message = told.get("message") if isinstance(told, dict) else None
    if not isinstance(message, str) or not message.isprintable():
        return None
    return message[:MAX_REASON] or None


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def _reason(exc: Exception) -> str:
    if isinstance(exc, ConnectionClosed):
        if exc.rcvd is None:
            return "it broke off"
        words = f": {exc.rcvd.reason}" if exc.rcvd.reason else ""
        return f"the server closed it with code {exc.rcvd.code}{words}"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc) or type(exc).__name__
