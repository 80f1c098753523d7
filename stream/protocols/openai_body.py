"""The JSON object with which OpenAI's clients ask over HTTP.

It knows bounds of size and time, not what is in the object.
"""

import asyncio

from starlette.requests import Request

from stream.errors import LimitError, ProtocolError, quote
from stream.protocols.openai_checks import Json, read_json

BODY_S = 300  # for a body to arrive


async def read_object(request: Request, most: int) -> Json:
    """Return the object in a request's body; none where there is no body.

    What is too much is read and thrown away, then told: to answer at once would reset
    the connection, and the client never read why.

    Args:
        request: Its body not yet read.
        most: Bytes of the body.

    Raises:
        LimitError: If it is too large.
        ProtocolError: If it is none, or does not come in time.
    """
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size <= most:
                    body += chunk
    except TimeoutError as exc:
        raise ProtocolError(f"no whole body within {BODY_S} s") from exc
    if size > most:
        raise LimitError(f"a body of {size} bytes; at most {most} are taken")
    try:
        found = read_json(bytes(body) or b"{}")
    except (ValueError, RecursionError) as exc:
        raise ProtocolError("the body is not JSON") from exc
    if not isinstance(found, dict):
        raise ProtocolError(f"the body is {quote(found)}; expected an object")
    return found
