"""What is done when a watch notices something: some things at once, never too many.

    noticed ─▶ waits, up to `MOST_WAITING` ─▶ command, webhook: `MOST_AT_ONCE` at a time

Nothing here holds up the session: what finds no place is left out, and told.  Knows
neither programs nor addresses.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

logger = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 4
MOST_WAITING: Final = 16

Action = Callable[[dict[str, Any]], Awaitable[str]]
"""Takes a record of what was noticed; returns what came of it, empty if all is well."""


class Actions:
    """Does something for each event that it is given.

    Leaving it waits for what has begun and what waits; each has its own time limit.
    """

    def __init__(
        self, actions: Sequence[Action], *, tell: Callable[[str], None]
    ) -> None:
        """Begin with nothing to do.

        Args:
            actions: What is done for each event.
            tell: Takes a line about what went wrong.
        """
        self._actions, self._tell = tuple(actions), tell
        self._waiting: asyncio.Queue[tuple[Action, dict[str, Any]]] = asyncio.Queue(
            MOST_WAITING
        )
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin to work."""
        if self._actions:
            self._workers = [
                asyncio.create_task(self._work()) for _ in range(MOST_AT_ONCE)
            ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc is None:
                await self._waiting.join()
        finally:
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)

    def offer(self, record: dict[str, Any]) -> None:
        """Have it done, soon, if there is room."""
        for action in self._actions:
            try:
                self._waiting.put_nowait((action, record))
            except asyncio.QueueFull:
                text = record.get("text")
                self._tell(f"{MOST_WAITING} actions wait already; none for {text!r}")

    async def _work(self) -> None:
        while True:
            action, record = await self._waiting.get()
            try:
                if problem := await action(record):
                    self._tell(problem)
            except Exception:  # a fault of ours; what waits is done all the same
                logger.exception("an action failed")
            finally:
                self._waiting.task_done()
