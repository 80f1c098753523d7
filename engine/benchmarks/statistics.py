"""Many measurements in a few numbers.

Knows nothing of what was measured, nor in which unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVELS = (0.5, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """How measurements are spread: half of them are at most `p50`, and so on."""

    count: int
    p50: float
    p90: float
    p95: float

    def told(self, unit: str) -> str:
        """Return what a table says of it."""
        return f"{self} {unit} (n {self.count})"

    def __str__(self) -> str:
        return f"{self.p50:.2f} / {self.p90:.2f} / {self.p95:.2f}"


def quantiles(values: Sequence[float], *, of: str) -> Quantiles:
    """Return how values are spread.

    Raises:
        ValueError: If there are none; it says what they would have been values of.
    """
    if not values:
        raise ValueError(f"there was no {of} to measure")
    p50, p90, p95 = (round(float(np.quantile(values, q)), 4) for q in LEVELS)
    return Quantiles(len(values), p50, p90, p95)


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the slope of the least-squares line through points (x, y).

    None where fewer than two x differ: there is no such line.
    """
    if len({x for x, _ in points}) < 2:
        return None
    xs, ys = np.array(points).T
    xs = xs - xs.mean()
    return float(xs @ (ys - ys.mean()) / (xs @ xs))
