"""What was told of a scene beside what there was in it.

An event is a hit if it overlaps one of its class that no earlier event has hit.
Borders are known to a hop, so `COLLAR` about them does not count.  Of music nobody has
said which instruments play: that one is told there is neither right nor wrong.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.sounds import SOUNDS
from stream.onsets import OnsetRules, OnsetTracker
from tests.heard_sounds import Passage
from tests.sound_scenes import MUSIC, RATE, Heard

COLLAR: Final = RATE
"""Samples; a second."""
LEAST: Final = RATE // 2
"""Samples of a sound, with which a passage has it."""
TINY: Final = 1e-9
STEPS: Final = 50
RIDGE: Final = 1e-3
"""So small a pull to zero that it tells only where all is told apart."""
THRESHOLDS: Final = tuple(round(0.05 * step, 2) for step in range(1, 20))

Span = tuple[int, int]
"""Where something begins and ends, in samples."""


@dataclass(slots=True)
class Counts:
    """Of one class, or of several together."""

    truths: int = 0
    told: int = 0
    hits: int = 0
    onsets_s: list[float] = field(default_factory=list)
    """By how much each hit was told to begin too late."""

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.truths + other.truths,
            self.told + other.told,
            self.hits + other.hits,
            [*self.onsets_s, *other.onsets_s],
        )

    @property
    def precision(self) -> float | None:
        """Share of the events that are right; None if there are none."""
        return self.hits / self.told if self.told else None

    @property
    def recall(self) -> float | None:
        """Share of what there was that was told; None if there was nothing."""
        return self.hits / self.truths if self.truths else None

    def onset_error_s(self, share: float) -> float | None:
        """Return what a share of the hits' onsets is off by at most."""
        if not self.onsets_s:
            return None
        return float(np.quantile(np.abs(self.onsets_s), share))


def caption(label: str) -> str:
    """Return what captions call a label; itself if they know nothing of it."""
    return SOUNDS.get(label, label)


def count(truths: Iterable[Heard], told: Iterable[Span]) -> Counts:
    """Return how events of one class and what there was of it agree."""
    wanted = sorted(truths, key=lambda heard: heard.start)
    found, hit = Counts(truths=len(wanted)), set[int]()
    for start, end in sorted(told):
        found.told += 1
        for number, heard in enumerate(wanted):
            if number not in hit and _overlaps(heard, start, end):
                hit.add(number)
                found.hits += 1
                found.onsets_s.append((start - heard.start) / RATE)
                break
    return found


def by_class(
    truths: Sequence[Heard], told: Sequence[tuple[str, Span]], known: Iterable[str]
) -> dict[str, Counts]:
    """Return the counts of each caption that the model knows.

    Args:
        truths: What there was.
        told: Captions of what was told, and where.
        known: Captions that could be told.
    """
    blocks = [heard for heard in truths if heard.label == MUSIC]
    found = {}
    for name in known:
        spans = [span for text, span in told if text == name]
        if name.startswith(f"{MUSIC}:"):
            spans = [s for s in spans if not any(_overlaps(b, *s) for b in blocks)]
        here = [heard for heard in truths if caption(heard.label) == name]
        found[name] = count(here, spans)
    return found


def _overlaps(heard: Heard, start: int, end: int) -> bool:
    return start < heard.end + COLLAR and heard.start - COLLAR < end


@dataclass(frozen=True, slots=True)
class Point:
    """Of a curve of misses against false alarms."""

    threshold: float
    missed: float
    """Share of what there was."""
    false_alarms_per_hour: float


def curve(
    truths: Sequence[Heard],
    passages: Sequence[Passage],
    name: str,
    rules: OnsetRules,
    *,
    hours: float,
) -> list[Point]:
    """Return how often a name's scores miss and are wrong, by threshold.

    Args:
        truths: When it is heard.
        passages: With the scores of the name.
        name: One that was weighed.
        rules: Of onsets; the release stays as far below the threshold.
        hours: Of audio.
    """
    below = rules.threshold - rules.release
    points = []
    for threshold in THRESHOLDS:
        tracker = OnsetTracker(
            OnsetRules(
                threshold=threshold,
                release=max(threshold / 2, threshold - below),
                min_samples=rules.min_samples,
                cooldown_samples=rules.cooldown_samples,
            )
        )
        told = [tracker.push(p.start, p.end, p.scores[name]) for p in passages]
        spans = [(s.start, s.end) for s in (*told, tracker.flush()) if s and s.complete]
        counts = count(truths, spans)
        points.append(
            Point(
                threshold,
                missed=1.0 - (counts.recall or 0.0),
                false_alarms_per_hour=(counts.told - counts.hits) / hours,
            )
        )
    return points


def pooled(curves: Mapping[str, Sequence[Point]]) -> list[Point]:
    """Return the mean over classes at each threshold."""
    return [
        Point(
            points[0].threshold,
            float(np.mean([point.missed for point in points])),
            float(np.mean([point.false_alarms_per_hour for point in points])),
        )
        for points in zip(*curves.values(), strict=True)
    ]


def calibration(
    truths: Sequence[Heard], passages: Sequence[Passage], names: Mapping[str, str]
) -> tuple[float, float] | None:
    """Return the scale and the bias that fit log-odds to what there was.

    They make the likelihood of all passages' scores greatest (Platt's way, by Newton's
    steps).  A passage has a sound if it overlaps it by `LEAST` or all of it.

    Args:
        truths: What there was.
        passages: With the scores of the names.
        names: By label.

    Returns:
        None if nothing is ever heard, or always, or tell nothing.
    """
    odds, present = [], []
    for label, name in names.items():
        here = [heard for heard in truths if heard.label == label]
        for passage in passages:
            score = min(max(passage.scores[name], TINY), 1 - TINY)
            odds.append(np.log(score / (1 - score)))
            present.append(any(_is_in(heard, passage) for heard in here))
    rows = np.stack([np.array(odds), np.ones(len(odds))], 1)
    wanted = np.array(present, float)
    weights = np.zeros(2)
    if not 0 < wanted.mean() < 1 or np.ptp(rows[:, 0]) == 0:
        return None

    def unlikely(weights: NDArray[np.float64]) -> float:
        told = rows @ weights
        of_all = np.logaddexp(0, told) - wanted * told
        return float(of_all.sum() + RIDGE / 2 * weights @ weights)

    for _ in range(STEPS):
        chances = 0.5 * (1 + np.tanh(rows @ weights / 2))
        slope = rows.T @ (chances - wanted) + RIDGE * weights
        bend = (rows * (chances * (1 - chances))[:, None]).T @ rows + RIDGE * np.eye(2)
        step = np.linalg.solve(bend, slope)
        # A whole step goes too far where most chances are next to 0 or 1.
        while (
            unlikely(weights - step) > unlikely(weights) and np.abs(step).max() > TINY
        ):
            step = step / 2
        weights = weights - step
    scale, bias = weights.tolist()
    return (scale, bias) if scale > 0 and np.isfinite(bias) else None


def _is_in(heard: Heard, passage: Passage) -> bool:
    overlap = min(heard.end, passage.end) - max(heard.start, passage.start)
    return overlap >= min(LEAST, heard.end - heard.start)
