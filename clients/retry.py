"""Whether a failed connection is worth another attempt, and when.

Pure: the clock is the caller's.  Knows no socket.
"""

import random
from collections.abc import Callable

from clients.errors import (
    ClientError,
    DroppedError,
    RefusedError,
    ServerError,
    UnreachableError,
)

FIRST_DELAY_S, MAX_DELAY_S = 0.1, 2.0
MAX_DOUBLINGS = 16
PASSING_CODES = frozenset({"shutdown", "overloaded"})
"""Errors of one server process at one moment, not of the session."""


def is_passing(failure: ClientError) -> bool:
    """Return whether another attempt, perhaps at another process, may succeed."""
    match failure:
        case RefusedError():
            return failure.status == 503
        case ServerError():
            return failure.code in PASSING_CODES
        case _:
            return isinstance(failure, DroppedError | UnreachableError)


class Retry:
    """The waits between attempts, from the loss of a connection until it is made good.

    The first attempt is made at once; then the waits double, up to `MAX_DELAY_S`.
    While there is a connection, though nothing came over it, no time is up.
    """

    def __init__(
        self,
        limit_s: float,
        *,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.limit_s = limit_s
        self._jitter = jitter
        self._lost_s: float | None = None
        self._made_s: float | None = None
        self._num_attempts = 0

    def delay_s(self, now_s: float) -> float | None:
        """Return how long to wait before the next attempt; None if time is up."""
        if self._lost_s is None:
            self._lost_s = now_s
        if self._made_s is not None:
            self._lost_s += now_s - self._made_s
            self._made_s = None
        if now_s - self._lost_s >= self.limit_s:
            return None
        attempt, self._num_attempts = self._num_attempts, self._num_attempts + 1
        if attempt == 0:
            return 0.0
        longest_s = FIRST_DELAY_S * 2.0 ** min(attempt - 1, MAX_DOUBLINGS)
        # Jitter keeps the clients of a restarted server from coming back as one.
        return min(MAX_DELAY_S, longest_s) * self._jitter(0.5, 1.0)

    def made(self, now_s: float) -> None:
        """Note that there is a connection again, though nothing came over it yet."""
        self._made_s = now_s

    def reset(self) -> None:
        """Note that the session goes on."""
        self._lost_s = self._made_s = None
        self._num_attempts = 0
