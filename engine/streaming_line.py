"""A line to a replica that is one streaming call, made and heard in another thread.

    post ──▶ door            by ticket; the replica fetches it there
    answer ◀── inbox ◀── the call's answers: a greeting first, then one for each call

Of the cluster that carries the call (`engine.ray`) it knows how handles are called.
"""

import asyncio
import itertools
import logging
import queue
import uuid
from dataclasses import dataclass
from typing import Any

from engine.coroutines import CoroutineThread
from engine.errors import FullError
from engine.hosting import Answer, Call, Failure, Opening
from engine.lines import LostError, value_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Greeting:
    """A replica has taken a seat's call."""

    replica: str


@dataclass(frozen=True, slots=True)
class Over:
    """No more answers come."""

    reason: str


class StreamingLine:
    """Implements `engine.lines.Line`."""

    def __init__(
        self,
        attend: Any,
        door: Any,
        opening: Opening,
        *,
        thread: CoroutineThread,
        full_after_s: float,
    ) -> None:
        """Call; nothing is waited for.

        Args:
            attend: What makes the call: `attend.remote(ticket, opening, door)` returns
                its answers, an asynchronous iterator that can be cancelled.
            door: The front end's (engine.door), as an actor.
            opening: What the seat is for.
            thread: Hears what is answered.
            full_after_s: How long a replica may take to answer the call.
        """
        self.ticket, self.replica = uuid.uuid4().hex, ""
        self._door, self._full_after_s = door, full_after_s
        self._inbox: queue.SimpleQueue[Greeting | Answer | Failure | Over]
        self._inbox = queue.SimpleQueue()
        self._over: Over | None = None
        self._numbers = itertools.count()
        self._following = thread.start(self._follow(attend, opening))

    def is_up(self, wait_s: float) -> bool:
        """Return whether a replica has taken it, or is lost already."""
        if self.replica or self._over:
            return True
        try:
            said = self._inbox.get(timeout=wait_s)
        except queue.Empty:
            return False
        if isinstance(said, Greeting):
            self.replica = said.replica
        elif isinstance(said, Over):
            self._over = said
        return True

    def post(self, call: Call) -> None:
        """Send a call."""
        if self._over is None:
            self._post(call)

    def answer(self) -> Any:
        """Return the next answer; see `engine.lines.Line`."""
        if not self.is_up(self._full_after_s):
            self.close()
            raise FullError(self._full_after_s)
        said = self._over or self._inbox.get()
        assert not isinstance(said, Greeting), f"a replica said {said!r}"
        if isinstance(said, Over):
            self._over = said
            raise LostError(said.reason)
        return value_of(said)

    def close(self) -> None:
        """Give the seat up, whether there is one or not yet."""
        if self._over is None:
            self._over = Over("the line was closed")
            if self.replica:
                self._post(None)
            else:
                self._following.cancel()

    def _post(self, call: Call | None) -> None:
        self._door.post.remote(self.ticket, next(self._numbers), call)

    async def _follow(self, attend: Any, opening: Opening) -> None:
        answers = attend.remote(self.ticket, opening, self._door)
        try:
            async for said in answers:
                self._inbox.put(said)
            self._inbox.put(Over("it ended the call"))
        except asyncio.CancelledError:
            answers.cancel()
            raise
        except Exception as exc:  # whatever Ray calls it: nothing more will come
            logger.debug("a line is lost", exc_info=True)
            self._inbox.put(Over(f"{type(exc).__name__}: {exc}".partition("\n")[0]))
        finally:
            self._door.forget.remote(self.ticket)
