"""Which examples each step sees: a function of the seed and the step, and of no state.

    seed, epoch ─▶ permutation ─▶ one endless row of examples
    row ─▶ pools of some steps ─▶ sorted by length ─▶ batches, shuffled

What is put in order is one example or several about the same clip, which stay together.

A run that is resumed, or that runs on other processes, so sees what it would have seen.
Knows examples by their numbers only.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


class Visit(NamedTuple):
    """One look at one example; what is drawn for it, is drawn from these."""

    epoch: int
    example: int
    """Its place in the data."""

    def number(self, num_examples: int) -> int:
        """Return which visit of the run it is, counted through all epochs."""
        return self.epoch * num_examples + self.example


@dataclass(frozen=True, slots=True, eq=False)  # hashed by identity: it is long
class Order:
    """The order of one run.

    Attributes:
        members: Examples that are visited together, by their numbers; all of them, each
            once.
        lengths: Of each of those, in any unit.
        batch: How many of them a batch has.
        batches: Of all processes together, before the weights change.
        sort_steps: Steps whose examples are sorted together.
        seed: Of the run.
    """

    members: tuple[tuple[int, ...], ...]
    lengths: tuple[float, ...]
    batch: int
    batches: int
    sort_steps: int
    seed: int

    def step(self, step: int) -> Sequence[tuple[Visit, ...]]:
        """Return the batches of a step; of n processes, the p-th takes every n-th."""
        pool = _pool(self, step // self.sort_steps)
        first = step % self.sort_steps * self.batches
        return pool[first : first + self.batches]


@lru_cache(maxsize=2)
def _pool(order: Order, pool: int) -> list[tuple[Visit, ...]]:
    num_batches = order.sort_steps * order.batches
    size = num_batches * order.batch
    visits = [_visit(order, n) for n in range(pool * size, (pool + 1) * size)]
    if order.sort_steps > 1:
        visits.sort(key=lambda visit: order.lengths[visit.example])
    cut = [
        _expanded(order, visits[first : first + order.batch])
        for first in range(0, size, order.batch)
    ]
    if order.sort_steps > 1:
        random.Random(f"{order.seed} pool {pool}").shuffle(cut)
    return cut


def _expanded(order: Order, visits: Sequence[Visit]) -> tuple[Visit, ...]:
    """Return the visits to examples that visits to groups of them stand for."""
    return tuple(
        Visit(epoch, example)
        for epoch, group in visits
        for example in order.members[group]
    )


def gather(clips: Sequence[object], most: int) -> tuple[tuple[int, ...], ...]:
    """Return the numbers of examples, those of one clip together.

    Args:
        clips: What each example is about.
        most: Examples in one group.
    """
    open_groups: dict[object, list[int]] = {}
    groups: list[list[int]] = []
    for number, clip in enumerate(clips):
        group = open_groups.get(clip)
        if group is None or len(group) == most:
            open_groups[clip] = group = []
            groups.append(group)
        group.append(number)
    return tuple(map(tuple, groups))


def _visit(order: Order, position: int) -> Visit:
    epoch, place = divmod(position, len(order.lengths))
    return Visit(epoch, _permutation(len(order.lengths), order.seed, epoch)[place])


@lru_cache(maxsize=2)
def _permutation(size: int, seed: int, epoch: int) -> list[int]:
    shuffled = list(range(size))
    random.Random(f"{seed} epoch {epoch}").shuffle(shuffled)
    return shuffled
