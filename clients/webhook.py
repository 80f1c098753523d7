"""An address that is told when a watch notices something.

    POST, application/json
    Salmonn-Timestamp: seconds since 1970
    Salmonn-Signature: sha256=HMAC-SHA256 of `timestamp.body` with the shared secret

Who receives it can tell by the signature that it is from somebody who has the secret,
and by the timestamp that it is not an old one.  It goes to `https` or to this machine,
unless somebody says otherwise; no redirection is followed, and no cookie kept.
"""

import asyncio
import hashlib
import hmac
import http.client
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from stream.messages import json_text

LIMIT_S: Final = 10.0
"""For each step of a request."""
TIMESTAMP: Final = "Salmonn-Timestamp"
SIGNATURE: Final = "Salmonn-Signature"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return what proves that a body was sent by somebody who has the secret."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def checked_address(address: str, *, insecure: bool = False) -> str:
    """Return an address that may be told.

    Args:
        address: `https://…`, or `http://…` of this machine.
        insecure: Whether any `http://…` will do.

    Raises:
        ValueError: If it may not.
    """
    parts = _parts(address)
    if parts.scheme == "http" and not insecure and not _is_loopback(parts.hostname):
        raise ValueError(
            f"{address!r} would send what was heard unencrypted; expected https://…, "
            "or http:// on this machine"
        )
    return address


class Webhook:
    """Tells an address."""

    def __init__(
        self,
        address: str,
        secret: str,
        *,
        limit_s: float = LIMIT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare.

        Args:
            address: One that `checked_address` lets through.
            secret: Shared with who is told.
            limit_s: For each step of a request.
            clock: Seconds since 1970.
        """
        self._parts, self._secret = _parts(address), secret
        self._limit_s, self._clock = limit_s, clock

    async def __call__(self, record: dict[str, Any]) -> str:
        """Tell it; return what went wrong, empty if nothing did."""
        body = json_text(record).encode()
        timestamp = str(int(self._clock()))
        headers = {
            "Content-Type": "application/json",
            TIMESTAMP: timestamp,
            SIGNATURE: signature(self._secret, timestamp, body),
        }
        shown = f"webhook {self._parts.hostname}"
        try:
            status = await asyncio.to_thread(self._post, body, headers)
        except (OSError, http.client.HTTPException) as exc:
            return f"{shown}: {exc or type(exc).__name__}"
        return "" if 200 <= status < 300 else f"{shown}: HTTP {status}"

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        """Return the status of the answer; its text is not read."""
        parts = self._parts
        kind = (
            http.client.HTTPSConnection
            if parts.scheme == "https"
            else http.client.HTTPConnection
        )
        connection = kind(parts.hostname or "", parts.port, timeout=self._limit_s)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body=body, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()


def _parts(address: str) -> SplitResult:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{address!r} is no address; expected https://HOST/…")
    if not f"{parts.path}{parts.query}".isascii():
        raise ValueError(f"{address!r} has letters behind the host that need %-escapes")
    if parts.username is not None:
        raise ValueError("a webhook's address must have no user and no password")
    _ = parts.port  # raises where it is none
    return parts


def _is_loopback(host: str | None) -> bool:
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return host == "localhost"
