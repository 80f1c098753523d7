"""Answers over HTTP that go on for a while: server-sent events, and clients that leave.

It knows no request and no event, only that the one may end before the other.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from stream.messages import json_text

logger = logging.getLogger(__name__)

GONE = 499  # for the log of a proxy: nobody reads this answer
DONE = "data: [DONE]\n\n"


def line(event: dict[str, Any]) -> str:
    """Return an event as it is sent."""
    return f"data: {json_text(event)}\n\n"


class EventStream(StreamingResponse):
    """Server-sent events; a client that does not read them is let go.

    Args:
        events: As `line` returns them.
        close: Called once at the end, whatever ended it.
        timeout_s: How long a client may not read.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        events: AsyncIterator[str],
        *,
        close: Callable[[], None],
        timeout_s: float,
    ) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"})
        self._close, self._timeout_s = close, timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all events, then close."""

        async def patient(message: Message) -> None:
            async with asyncio.timeout(self._timeout_s):
                await send(message)

        try:
            await super().__call__(scope, receive, patient)
        except TimeoutError:
            logger.info("a client did not read its answer")
        finally:
            self._close()


async def unless_gone(request: Request, answering: Awaitable[Response]) -> Response:
    """Return the answer, unless the client goes first: then nobody waits for it."""

    async def gone() -> Response:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return Response(status_code=GONE)

    tasks = [asyncio.ensure_future(answering), asyncio.create_task(gone())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return (tasks[0] if tasks[0] in done else tasks[1]).result()
    finally:
        for task in tasks:
            task.cancel()
