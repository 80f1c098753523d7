"""Whether one way is right more often than another, on the same clips."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.evaluation.bootstrap import interval
from engine.evaluation.metrics import pairs, share


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """How two ways differ."""

    both: int
    """Clips that both are right about."""
    only_first: int
    only_second: int
    difference: float
    """The share that the second is right about, less the first's."""
    low: float | None
    high: float | None


def paired(first: Sequence[bool], second: Sequence[bool]) -> Paired:
    """Return how two ways differ.

    Args:
        first: Of each clip, whether it is right.
        second: Likewise, of the same clips.
    """
    both = list(zip(first, second, strict=True))
    gained = pairs([(float(after) - float(before), 1.0) for before, after in both])
    bounds = interval(gained, share)
    return Paired(
        both=sum(before and after for before, after in both),
        only_first=sum(before and not after for before, after in both),
        only_second=sum(after and not before for before, after in both),
        difference=share(gained.sum(axis=0)),
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
    )
