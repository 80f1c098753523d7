"""Who may connect: bearer tokens, and the origins of browser pages.

Tokens come in the `Authorization` header, never in a URL, which proxies log.  It
knows headers and the configuration, not connections.
"""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from stream.config import AuthConfig
from stream.errors import UnauthorizedError, quote

NOBODY = ""
"""Owner of the sessions of a server that asks for no token."""
ANY_ORIGIN = "*"


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
    _check_origin(headers, config.origins)
    if not config.tokens:
        return NOBODY
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise UnauthorizedError("no token; expected the header Authorization: Bearer …")
    given = token.strip().encode()
    # All are compared, so that the time does not tell which one came near.
    matches = [hmac.compare_digest(given, known.encode()) for known in config.tokens]
    if not any(matches):
        raise UnauthorizedError("the token is not known here")
    return hashlib.sha256(given).hexdigest()[:16]


def _check_origin(headers: Mapping[str, str], allowed: tuple[str, ...]) -> None:
    """Let pages of this host and of the allowed origins through.

    Programs send no origin; what they are told, a browser's visitor did not ask for.
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
