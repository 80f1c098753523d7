"""How sure a score is: the percentile bootstrap over clips.

A metric turns every clip into a few numbers that may be added up (errors and words;
matches of each order), and such a sum into its value.  Drawing clips anew, with the
same seed for every score, then costs a product of matrices.  Knows no metric.

Source:
    Efron 1979; for error rates Bisani & Ney 2004.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 1000
LEVEL: Final = 0.95
_AT_ONCE: Final = 50

Statistics = NDArray[np.float64]
"""Numbers of clips, (n, k); their sum over clips is what a value is made from."""
Value = Callable[[Statistics], float]
"""From a sum, (k,), to the score."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the score of other clips of the same kind would lie, 95 times in 100."""

    low: float
    high: float


def interval(statistics: Statistics, value: Value, *, seed: int = 0) -> Interval | None:
    """Return the interval of a score; None where there are not two clips.

    Args:
        statistics: Of each clip, (n, k).
        value: From their sum, (k,), to the score.
        seed: Of the draws.
    """
    n = len(statistics)
    if n < 2:
        return None
    rng = np.random.default_rng(seed)
    values: list[float] = []
    while len(values) < DRAWS:
        times = rng.multinomial(n, np.full(n, 1 / n), size=_AT_ONCE)  # (draws, n)
        values.extend(value(total) for total in times @ statistics)
    found = np.array([v for v in values if np.isfinite(v)])
    if not len(found):
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return Interval(float(low), float(high))
