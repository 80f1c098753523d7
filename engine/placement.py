"""Which of several replicas the next seat goes to: the one that holds fewest.

A front end knows at once which seats it gave out itself, those that are still on their
way with them; of seats that others gave out, what a replica last said.  The higher of
both counts.  Of equals, one is drawn, lest several front ends choose the same.  Knows
no Ray.
"""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Aim(Generic[K]):
    replica: K
    is_given_up: Callable[[], bool]


class Placement(Generic[K]):
    """The seats that one front end gave out; replicas go by any key.

    Args:
        draw: Draws among equals, from 0 to below 1.
    """

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._aims: dict[str, _Aim[K]] = {}
        """By seat."""

    def rank(self, replicas: Sequence[K], said: Callable[[K], int | None]) -> list[K]:
        """Return replicas, the one first that a seat should be tried at first.

        Args:
            replicas: Those that there are.
            said: How many seats one last said it has, from whomever; None if it did
                not say so lately.
        """
        given_up = [seat for seat, aim in self._aims.items() if aim.is_given_up()]
        for seat in given_up:
            del self._aims[seat]
        ours = Counter(aim.replica for aim in self._aims.values())
        return sorted(
            replicas, key=lambda one: (max(ours[one], said(one) or 0), self._draw())
        )

    def held(self, replica: K) -> int:
        """Return how many seats were given out there."""
        return sum(aim.replica == replica for aim in self._aims.values())

    def aim(self, seat: str, replica: K, is_given_up: Callable[[], bool]) -> None:
        """Count a seat where it is tried, in place of where it was tried before.

        Args:
            seat: Its name.
            replica: Where.
            is_given_up: Tells whether nobody wants it any more, from then on.
        """
        self._aims[seat] = _Aim(replica, is_given_up)

    def move(self, seat: str, replica: K) -> None:
        """Count a seat where it was taken, if it was not freed meanwhile."""
        if aim := self._aims.get(seat):
            self._aims[seat] = replace(aim, replica=replica)

    def free(self, seat: str) -> None:
        """Count a seat no more."""
        self._aims.pop(seat, None)
