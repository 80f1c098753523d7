"""A sound in the middle of speech or music, and what can be heard beside it.

What a listener is there for: an event at a known time and loudness, in a scene that
goes on.  In a quarter of the scenes nothing happens, and the right answer is that there
is nothing else.  Every scene is asked for a sound that is in it as often as for one
that is not, so that neither yes nor no is right more often.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from engine.api import Samples
from engine.data.audio import samples_of_clip
from engine.data.making.made import (
    Made,
    at_level,
    fitting,
    made_of,
    one_of,
    one_split,
    pick,
    within_full_scale,
)
from engine.data.making.rooms import looped
from engine.data.making.stories import KINDS, name_of, with_article
from engine.data.manifest import Clip, ManifestError
from engine.geometry import SAMPLE_RATE

LENGTH_S: Final = (4.0, 10.0)
MOST_EVENT_S: Final = 4.0
SNR_DB: Final = (0.0, 20.0)
"""How much louder the event is than what goes on, while it lasts."""
QUIET_EVERY: Final = 4
"""In one of so many scenes nothing happens."""
HEARD: Final = ("Do you hear {}?", "Can you hear {}?", "Is there {} in this audio?")
BESIDE: Final = ("What else do you hear?", "What sound is there beside the {}?")
NOTHING: Final = "Nothing else."
ALL_HEARD: Final = ("What do you hear?", "What sounds are there?", "Name all you hear.")
"""Answered with the sound first, then what goes on."""


def scenes(
    clips: Sequence[Clip], count: int, rng: np.random.Generator
) -> Iterator[Made]:
    """Yield speech or music in which a sound is heard, or none.

    Raises:
        ManifestError: If there are not two labels, neither speech nor music, or clips
            of several splits.
    """
    fit = fitting(clips)
    events = [clip for clip in fit if _is_event(clip)]
    going_on = [clip for clip in fit if _background(clip)]
    names = sorted({name_of(clip) for clip in events})
    if len(names) < 2 or not going_on:
        raise ManifestError(
            "a scene needs sounds with two different labels, and speech or music"
        )
    split = one_split([*events, *going_on])
    for number in range(count):
        (scene,), (event,) = pick(rng, going_on, 1), pick(rng, events, 1)
        length = round(float(rng.uniform(*LENGTH_S)) * SAMPLE_RATE)
        samples = looped(samples_of_clip(scene), length, rng)
        background, heard = _background(scene), name_of(event)
        facts: dict[str, Any] = {"set": "made_scenes", "split": split}
        facts["background"] = background
        used = [scene]
        if number % QUIET_EVERY == 0:
            other = one_of(rng, names)
            facts |= {"events": [], "qa": _quiet(background, other, rng)}
        else:
            snr_db = float(rng.uniform(*SNR_DB))
            samples, start = _with(samples, samples_of_clip(event), snr_db, rng)
            others = [name for name in names if name != heard]
            other = one_of(rng, others)
            facts |= {
                "events": [heard],
                "event_start_s": round(start / SAMPLE_RATE, 3),
                "snr_db": round(snr_db, 1),
                "qa": _questions(background, heard, other, rng),
            }
            used.append(event)
        facts["source"] = made_of(*used)
        yield Made(within_full_scale(samples), facts)


def _is_event(clip: Clip) -> bool:
    kinds = set(str(clip.facts.get("task", "")).split(","))
    return bool(kinds & KINDS) and isinstance(clip.facts.get("label"), str)


def _background(clip: Clip) -> str:
    """Return what goes on in a clip; empty if it is no scene."""
    if _is_event(clip):
        return ""
    if clip.facts.get("tags_estimated") or clip.facts.get("tags"):
        return "music"
    return "speech" if clip.facts.get("speaker") or clip.facts.get("text") else ""


def _with(
    scene: Samples, event: Samples, snr_db: float, rng: np.random.Generator
) -> tuple[Samples, int]:
    """Return a scene with an event in it, and the event's first sample."""
    event = event[: round(MOST_EVENT_S * SAMPLE_RATE)][: len(scene)]
    start = int(rng.integers(len(scene) - len(event) + 1))
    end = start + len(event)
    mixed = scene.copy()
    mixed[start:end] += at_level(event, scene, snr_db)
    return mixed, start


def _questions(
    background: str, heard: str, other: str, rng: np.random.Generator
) -> list[list[str]]:
    beside = one_of(rng, BESIDE).format(background)
    return [
        [_asked(heard, rng), "Yes."],
        [_asked(other, rng), "No."],
        [beside, with_article(heard).capitalize() + "."],
        [
            one_of(rng, ALL_HEARD),
            f"I hear {with_article(heard)} and {background}.",
        ],
    ]


def _quiet(background: str, other: str, rng: np.random.Generator) -> list[list[str]]:
    beside = one_of(rng, BESIDE).format(background)
    return [
        [one_of(rng, HEARD).format(background), "Yes."],
        [_asked(other, rng), "No."],
        [beside, NOTHING],
        [one_of(rng, ALL_HEARD), f"I hear {background}."],
    ]


def _asked(name: str, rng: np.random.Generator) -> str:
    return one_of(rng, HEARD).format(with_article(name))
