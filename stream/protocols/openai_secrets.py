"""Client secrets: keys for a short time, for pages that must not hold a real one.

    POST /v1/realtime/client_secrets   a secret, and the settings of its sessions

Who has a key asks for a secret and hands it to a page, which connects to
`/v1/realtime` with it.  It knows requests; which secrets hold, stream/auth.py knows.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from stream.auth import ClientSecrets
from stream.errors import quote
from stream.hub import Hub
from stream.protocols import openai_session
from stream.protocols.openai_body import read_object
from stream.protocols.openai_checks import Json
from stream.protocols.openai_errors import FieldError
from stream.protocols.openai_http import served
from stream.protocols.openai_realtime import new_session

MAX_BYTES = 1 << 18
DEFAULT_S = 600
LASTS_S = (10, 7_200)


def routes(hub: Hub, issued: ClientSecrets) -> list[Route]:
    """Return what is served at which address."""

    async def create(request: Request, owner: str) -> Response:
        settings, lasts_s = await read_wishes(
            request, lambda kind: new_session(hub, kind), hub.engine.info.model
        )
        now = time.time()
        secret = issued.issue(owner, settings, lasts_s=lasts_s, now=now)
        told = {
            "value": secret.value,
            "expires_at": secret.expires_at,
            "session": settings,
        }
        # In ASCII: what a client wants in its settings may be no valid Unicode.
        return Response(json.dumps(told), media_type="application/json")

    path = "/v1/realtime/client_secrets"
    return [Route(path, served(hub, create), methods=["POST"])]


async def read_wishes(
    request: Request, new: Callable[[object], Json], model: str
) -> tuple[Json, int]:
    """Return the settings that a request wants, and for how many seconds.

    Args:
        request: Its body has them, or nothing.
        new: Returns the settings of a new session of a kind.
        model: What is served.

    Raises:
        StreamError: If it wants what cannot be had.
    """
    wanted = await read_object(request, MAX_BYTES)
    lasts_s = _lasts_s(wanted.get("expires_after"))
    session = wanted.get("session", {})
    kind = session.get("type") if isinstance(session, dict) else None
    return openai_session.updated(new(kind), session, model=model), lasts_s


def _lasts_s(wanted: Any) -> int:
    """Return for how long a secret is to hold.

    Raises:
        FieldError: If it is out of range.
    """
    if wanted is None:
        return DEFAULT_S
    if not isinstance(wanted, dict):
        raise FieldError("expires_after", f"is {quote(wanted)}; expected an object")
    anchor = wanted.get("anchor", "created_at")
    if anchor != "created_at":
        problem = f"is {quote(anchor)}; expected created_at"
        raise FieldError("expires_after.anchor", problem)
    lasts_s = wanted.get("seconds", DEFAULT_S)
    least, most = LASTS_S
    if type(lasts_s) is not int or not least <= lasts_s <= most:
        problem = f"is {quote(lasts_s)}; expected a whole number {least} to {most}"
        raise FieldError("expires_after.seconds", problem)
    return lasts_s
