"""Who may connect: bearer tokens, keys for a short time, origins of browser pages.

Tokens come in the `Authorization` header, never in a URL, which proxies log.  It
knows headers and the configuration, not connections.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from stream.config import AuthConfig
from stream.errors import UnauthorizedError, quote

NOBODY = ""
"""Owner of the sessions of a server that asks for no token."""
ANY_ORIGIN = "*"
SECRET_PREFIX = "ek_"
SECRET_BYTES = 32  # of randomness
MOST_SECRETS = 10_000
"""Of some hundred bytes each."""


class ForeignOriginError(UnauthorizedError):
    """Raised when a page of another site connects through a visitor's browser."""


def authorize(headers: Mapping[str, str], config: AuthConfig) -> str:
    """Return who is behind a request: a short digest of their token.

    Args:
        headers: Of the request; names in lower case.
        config: What is asked for.

    Raises:
        UnauthorizedError: If the token is missing or unknown.
        ForeignOriginError: If the page that connects is from another site.
    """
    check_origin(headers, config.origins)
    if not config.tokens:
        return NOBODY
    token = bearer(headers)
    if token is None:
        raise UnauthorizedError("no token; expected the header Authorization: Bearer …")
    given = token.encode()
    # All are compared, so that the time does not tell which one came near.
    matches = [hmac.compare_digest(given, known.encode()) for known in config.tokens]
    if not any(matches):
        raise UnauthorizedError("the token is not known here")
    return _owner(token)


def is_known(owner: str, config: AuthConfig) -> bool:
    """Return whether an owner's token, or that none is asked for, still holds."""
    return owner in (map(_owner, config.tokens) if config.tokens else (NOBODY,))


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token of a request, if it has one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def check_origin(headers: Mapping[str, str], allowed: tuple[str, ...]) -> None:
    """Let pages of this host and of the allowed origins through.

    Programs send no origin; what they are told, a browser's visitor did not ask for.

    Raises:
        ForeignOriginError: If the page is from another site.
    """
    origin = headers.get("origin")
    if origin is None or ANY_ORIGIN in allowed or origin in allowed:
        return
    try:
        host = urlsplit(origin).netloc
    except ValueError:  # an address that is none
        host = None
    if host is None or host != headers.get("host"):
        raise ForeignOriginError(
            f"origin is {quote(origin)}; expected this server's own or one of its list"
        )


def _owner(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A key for a short time, which a browser's page may hold."""

    value: str
    owner: str
    """Who asked for it, and whose sessions it opens."""
    expires_at: int
    """In seconds since 1970."""
    settings: dict[str, Any]
    """With which its sessions begin."""


class ClientSecrets:
    """The client secrets that were issued and have not expired."""

    def __init__(self) -> None:
        self._issued: dict[str, ClientSecret] = {}

    def issue(
        self, owner: str, settings: dict[str, Any], *, lasts_s: int, now: float
    ) -> ClientSecret:
        """Return a new one; with too many, the oldest is given up.

        Args:
            owner: Who asks for it.
            settings: With which its sessions begin.
            lasts_s: For so many seconds.
            now: In seconds since 1970.
        """
        for value in [v for v, s in self._issued.items() if s.expires_at <= now]:
            del self._issued[value]
        if len(self._issued) >= MOST_SECRETS:
            del self._issued[next(iter(self._issued))]
        value = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        issued = ClientSecret(value, owner, int(now) + lasts_s, settings)
        self._issued[value] = issued
        return issued

    def find(self, value: str | None, *, now: float) -> ClientSecret | None:
        """Return the one of this value, if it holds."""
        found = self._issued.get(value or "")
        return found if found and found.expires_at > now else None
