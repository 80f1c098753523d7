"""Release recorded audio at the speed at which it was spoken.

Knows no socket and no audio format; clock and sleep are arguments.  While a `Gate` is
shut its clock stands still, so that nothing is made up for when it opens.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable


async def paced(
    pieces: Iterable[bytes],
    *,
    bytes_per_second: int,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[bytes]:
    """Yield each piece when its last sample would have been spoken.

    Each is due at a time counted from the start, not from the piece before: lateness
    is made up for, and rounding does not add up.
    """
    start_s = clock()
    num_bytes = 0
    for piece in pieces:
        num_bytes += len(piece)
        due_s = start_s + num_bytes / bytes_per_second
        if (wait_s := due_s - clock()) > 0:
            await sleep(wait_s)
        yield piece


async def unpaced(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield each piece as soon as it is asked for."""
    for piece in pieces:
        yield piece


class Gate:
    """Where recorded audio waits while it is paused."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stood_s = 0.0
        self._shut_s: float | None = None
        self._opened = asyncio.Event()
        self._opened.set()

    def now(self) -> float:
        """Return the time, in seconds, without that for which it was shut."""
        now_s = self._clock() if self._shut_s is None else self._shut_s
        return now_s - self._stood_s

    def shut(self) -> None:
        """Let nothing pass; twice is once."""
        if self._shut_s is None:
            self._shut_s = self._clock()
            self._opened.clear()

    def open(self) -> None:
        """Let everything pass again."""
        if self._shut_s is not None:
            self._stood_s += self._clock() - self._shut_s
            self._shut_s = None
            self._opened.set()

    async def passed(self) -> None:
        """Wait while it is shut."""
        await self._opened.wait()
