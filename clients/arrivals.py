"""The events of a session that wait for their reader, a bounded number of them.

Who reads them is in the same event loop as who puts them in.
"""

import asyncio
from collections import deque

from clients.errors import ClientError
from clients.latency import Arrival


class ArrivalQueue:
    """First in, first out; it ends, with an error or without."""

    def __init__(self, most: int) -> None:
        """Begin empty.

        Args:
            most: Events; when it is full, `put` waits.
        """
        self._most = most
        self._waiting: deque[Arrival] = deque()
        self._is_over = False
        self._failure: ClientError | None = None
        self._changed = asyncio.Condition()  # guards all of it

    async def put(self, arrival: Arrival) -> None:
        """Add an event, once there is room for it."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) < self._most)
            self._waiting.append(arrival)
            self._changed.notify_all()

    async def end(self, failure: ClientError | None) -> None:
        """Note that no more come, and what ended them if something did."""
        async with self._changed:
            self._is_over, self._failure = True, failure
            self._changed.notify_all()

    async def next(self) -> Arrival | None:
        """Return the next event; None behind the last one.

        Raises:
            ClientError: What ended them, behind the last one.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting or self._is_over)
            if self._waiting:
                self._changed.notify_all()
                return self._waiting.popleft()
        if self._failure is not None:
            raise self._failure
        return None
