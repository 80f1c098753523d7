"""Release recorded audio at the speed at which it was spoken.

Knows no socket and no audio format; clock and sleep are arguments.
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
