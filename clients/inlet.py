"""Bring bytes from another thread into the event loop, through a bounded queue.

    thread: put (waits for room) | offer (never waits) ... finish
    loop:   async for chunk in inlet.chunks()          ... close

Knows nothing of what the bytes mean.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator

from clients.errors import ClientError


class Inlet:
    """A queue with one writing thread and one reading coroutine.

    It is made in the loop that reads it.
    """

    def __init__(self, max_chunks: int) -> None:
        """Begin empty.

        Args:
            max_chunks: When so many wait, `put` waits and `offer` refuses.
        """
        self._max_chunks = max_chunks
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._changed = threading.Condition()  # guards all that follows
        self._chunks: deque[bytes] = deque()
        self.refused_bytes = 0
        """What was offered while there was no room."""
        self._is_finished = False
        self._is_closed = False
        self._error: ClientError | None = None

    def offer(self, chunk: bytes) -> None:
        """Add a chunk if there is room; else count it as refused."""
        with self._changed:
            if self._is_shut:
                return
            if len(self._chunks) < self._max_chunks:
                self._add(chunk)
            else:
                self.refused_bytes += len(chunk)

    def put(self, chunk: bytes) -> bool:
        """Add a chunk once there is room; return whether more are taken."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self._chunks) < self._max_chunks or self._is_shut
            )
            if self._is_shut:
                return False
            self._add(chunk)
        return True

    def finish(self, error: ClientError | None = None) -> None:
        """Take no chunk more; from any thread, and the first time counts.

        Args:
            error: What the reader gets after the last chunk.
        """
        with self._changed:
            if self._is_shut:
                return
            self._is_finished, self._error = True, error
            self._changed.notify_all()
            self._wake()

    def close(self) -> None:
        """Read no more: let a waiting writer go."""
        with self._changed:
            self._is_closed = True
            self._chunks.clear()
            self._changed.notify_all()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield chunks in order, to the end.

        Raises:
            ClientError: That of `finish`.
        """
        while True:
            self._news.clear()
            while (chunk := self._take()) is not None:
                yield chunk
            if self._is_over():
                break
            await self._news.wait()
        if self._error is not None:
            raise self._error

    @property
    def _is_shut(self) -> bool:
        return self._is_finished or self._is_closed

    def _add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        if len(self._chunks) == 1:
            self._wake()

    def _wake(self) -> None:
        # Under the lock, and only while open: the loop lives until after `close`.
        self._loop.call_soon_threadsafe(self._news.set)

    def _take(self) -> bytes | None:
        with self._changed:
            if not self._chunks:
                return None
            self._changed.notify_all()
            return self._chunks.popleft()

    def _is_over(self) -> bool:
        with self._changed:
            return self._is_closed or (self._is_finished and not self._chunks)
