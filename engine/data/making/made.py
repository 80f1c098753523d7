"""What a maker yields: samples, and what is known of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from engine.api import Samples
from engine.data.manifest import Clip, ManifestError

T = TypeVar("T")

MOST_S = 30.0  # what SALMONN hears


@dataclass(frozen=True, slots=True)
class Made:
    """A new clip."""

    samples: Samples
    facts: dict[str, Any]
    """Fields of its line in a manifest; `source` names what it was made of."""


Maker = Callable[[Sequence[Clip], int, np.random.Generator], Iterator[Made]]
"""From clips, how many to make, and randomness."""


def power(samples: Samples) -> float:
    """Return the mean square of samples; never zero."""
    return float(np.mean(np.square(samples, dtype=np.float64))) + 1e-12


def at_level(samples: Samples, other: Samples, difference_db: float) -> Samples:
    """Return samples so loud that they are so many decibels above others."""
    wanted = power(other) * 10 ** (difference_db / 10)
    return (samples * np.sqrt(wanted / power(samples))).astype(np.float32)


def within_full_scale(samples: Samples, most: float = 0.99) -> Samples:
    """Return samples made softer, all of them, if some are too loud."""
    peak = float(np.abs(samples).max(initial=0.0))
    return samples if peak <= most else (samples * (most / peak)).astype(np.float32)


def one_split(clips: Sequence[Clip]) -> str:
    """Return the split of clips that are mixed.

    Raises:
        ManifestError: If they are of several: what is for measuring would be learnt.
    """
    splits = {str(clip.facts.get("split", "train")) for clip in clips}
    if len(splits) != 1:
        raise ManifestError(
            f"clips of {' and '.join(sorted(splits))} must not be mixed; name a --split"
        )
    return splits.pop()


def made_of(*clips: Clip) -> str:
    """Return how the source of a clip is written."""
    return "made of " + " + ".join(clip.path for clip in clips)


def fitting(clips: Sequence[Clip], most_s: float = MOST_S) -> list[Clip]:
    """Return the clips that are short enough to become part of one."""
    return [clip for clip in clips if 0 < clip.duration_s <= most_s]


def one_of(rng: np.random.Generator, items: Sequence[T]) -> T:
    """Return one of some things, drawn at random."""
    return items[int(rng.integers(len(items)))]


def pick(rng: np.random.Generator, clips: Sequence[Clip], count: int) -> list[Clip]:
    """Return different clips, drawn at random."""
    chosen = rng.choice(len(clips), size=count, replace=False)
    return [clips[int(index)] for index in chosen]
