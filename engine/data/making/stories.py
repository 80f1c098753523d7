"""Sounds one after the other, and what happens in which order.

A few labelled clips are joined with silence of different lengths.  The facts are a
caption, a short story, and questions about the order with their answers.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from engine.api import Samples
from engine.data.audio import samples_of_clip
from engine.data.making.made import (
    MOST_S,
    Made,
    fitting,
    made_of,
    one_of,
    one_split,
    within_full_scale,
)
from engine.data.manifest import Clip, ManifestError
from engine.geometry import SAMPLE_RATE

EVENTS: Final = (2, 4)
PAUSE_S: Final = (0.2, 1.0)
LEVEL: Final = 0.08  # root of the mean square of every event
KINDS: Final = {"sound-event", "instrument"}
ORDINALS: Final = ("first", "second", "third", "fourth")
OPENINGS: Final = ("First there is", "It begins with", "At first one hears")
LINKS: Final = ("then", "after that", "next comes", "followed by")


def stories(
    clips: Sequence[Clip], count: int, rng: np.random.Generator
) -> Iterator[Made]:
    """Yield sequences of two to four different sounds.

    Raises:
        ManifestError: If there are not two labels, or splits differ.
    """
    sounds: dict[str, list[Clip]] = {}
    for clip in fitting(clips, MOST_S / EVENTS[1] - PAUSE_S[1]):
        kinds = set(str(clip.facts.get("task", "")).split(","))
        if kinds & KINDS and isinstance(clip.facts.get("label"), str):
            sounds.setdefault(name_of(clip), []).append(clip)
    if len(sounds) < EVENTS[0]:
        raise ManifestError("a story needs short sounds with two different labels")
    split = one_split([clip for clips_ in sounds.values() for clip in clips_])
    labels = sorted(sounds)
    for _ in range(count):
        most = min(EVENTS[1], len(labels))
        size = int(rng.integers(EVENTS[0], most + 1))
        names = [labels[int(i)] for i in rng.choice(len(labels), size, replace=False)]
        chosen = [one_of(rng, sounds[n]) for n in names]
        facts = {
            "set": "made_stories",
            "split": split,
            "events": names,
            "captions": [_caption(names, rng)],
            "qa": _questions(names),
            "source": made_of(*chosen),
        }
        yield Made(_joined([samples_of_clip(clip) for clip in chosen], rng), facts)


def name_of(clip: Clip) -> str:
    """Return a clip's label as one would say it."""
    return str(clip.facts["label"]).rpartition("/")[2].replace("_", " ").lower()


def _joined(parts: Sequence[Samples], rng: np.random.Generator) -> Samples:
    pieces: list[Samples] = []
    for part in parts:
        level = float(np.sqrt(np.mean(np.square(part)))) or 1.0
        pause = round(float(rng.uniform(*PAUSE_S)) * SAMPLE_RATE)
        pieces += [(part * (LEVEL / level)).astype(np.float32)]
        pieces += [np.zeros(pause, np.float32)]
    return within_full_scale(np.concatenate(pieces[:-1]))


def _caption(names: Sequence[str], rng: np.random.Generator) -> str:
    opening = one_of(rng, OPENINGS)
    said = f"{opening} {with_article(names[0])}"
    for name in names[1:]:
        said += f", {one_of(rng, LINKS)} {with_article(name)}"
    return said + "."


def _questions(names: Sequence[str]) -> list[list[str]]:
    listed = "; ".join(f"{n}. {name}" for n, name in enumerate(names, 1))
    asked = [
        ["List the sounds in their order.", listed],
        ["How many different sounds are there?", str(len(names))],
        ["What do you hear last?", names[-1]],
    ]
    for ordinal, name in zip(ORDINALS, names, strict=False):
        asked.append([f"What do you hear {ordinal}?", name])
    for before, after in pairwise(names):
        asked.append([f"What comes after the {before}?", after])
    return asked


def with_article(name: str) -> str:
    """Return a name with a or an; what cannot be counted, and plurals, without."""
    if name in UNCOUNTED or (name.endswith("s") and not name.endswith("ss")):
        return name
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


UNCOUNTED: Final = {"rain", "fire crackling", "music", "baby crying"}
