"""Clips changed a little: the same label, another recording of it.

A set of a few hundred clips is learnt by heart.  What does not change what one would
call a sound is drawn anew for each copy:

    speed and pitch ─▶ a cut ─▶ a tilt of the spectrum ─▶ noise, or none ─▶ gain
                             └▶ or what a far microphone hears (`channels`)

What is drawn depends on a seed, the clip's path and the number of the copy, not on what
other clips there are: a longer list has the same copies.  What is said in a clip, and
when, is no longer true of a copy and is left out.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from engine.api import Samples
from engine.data.audio import faster, samples_of_clip
from engine.data.making.channels import heard_far, in_noise, tilted
from engine.data.making.made import (
    Made,
    fitting,
    made_of,
    one_split,
    power,
    within_full_scale,
)
from engine.data.making.silences import LABEL as SILENCE
from engine.data.manifest import Clip, ManifestError
from engine.geometry import SAMPLE_RATE

SPEED: Final = 0.14
"""How much faster or slower, as a logarithm: 0.87 to 1.15 times, 2.4 semitones."""
KEPT: Final = (0.6, 1.0)
"""How much of a clip is left of it."""
LEAST_S: Final = 1.0
LEAST_LEVEL: Final = 0.3
"""Of a part, times the level of the whole; what is softer may not hold the sound."""
TILT_DB: Final = 9.0
"""How much the highest frequencies gain on the lowest ones, or lose."""
NOISY: Final = 0.6
"""Of the copies, so many have noise."""
NOISES: Final = ("white", "pink")
SNR_DB: Final = (12.0, 30.0)
GAIN_DB: Final = (-14.0, 4.0)
FACTS: Final = (
    "set",
    "split",
    "label",
    "task",
    "speaker",
    "gender",
    "age",
    "lang",
    "tags_estimated",
    "licence",
)
"""What is true of a copy, too."""


def variants(
    clips: Sequence[Clip], copies: int, seed: int, *, rooms: bool = False
) -> Iterator[Made]:
    """Yield changed copies of each clip that has a label, one clip after the other.

    Args:
        clips: Of the train split.
        copies: Of each clip.
        seed: Of what is drawn.
        rooms: Whether they sound as if heard in a room and through a narrow channel;
            silence does not, which would be noise there.

    Raises:
        ManifestError: If no clip has a label, splits differ, or they are not for
            training: what is for measuring must stay as it is.
    """
    labelled = [c for c in fitting(clips) if isinstance(c.facts.get("label"), str)]
    if not labelled:
        raise ManifestError("there is no clip with a label to make variants of")
    if (split := one_split(labelled)) != "train":
        raise ManifestError(f"clips of {split} are for measuring; expected train")
    for clip in labelled:
        samples = samples_of_clip(clip)
        far = rooms and clip.facts["label"] != SILENCE
        plays = "instrument" in str(clip.facts.get("task")).split(",")
        for number in range(copies):
            drawn = random.Random(f"{seed} {clip.path} {number}").getrandbits(63)
            rng = np.random.default_rng(drawn)
            changed, how = varied(samples, rng, far=far, plays=plays)
            facts = {name: clip.facts[name] for name in FACTS if name in clip.facts}
            yield Made(changed, facts | how | {"source": made_of(clip)})


def varied(
    samples: Samples,
    rng: np.random.Generator,
    *,
    far: bool = False,
    plays: bool = False,
) -> tuple[Samples, dict[str, Any]]:
    """Return samples changed as chance has it, (n,) → (m,), and how.

    Args:
        samples: To change.
        rng: Draws how.
        far: Whether they are heard in a room and through a narrow channel.
        plays: Whether it is an instrument, which may be overdriven where it is far.
    """
    speed = float(np.exp(rng.uniform(-SPEED, SPEED)))
    how: dict[str, Any] = {"speed": round(speed, 3)}
    changed = cut(faster(samples, speed), float(rng.uniform(*KEPT)), rng)
    if far:
        changed, more = heard_far(changed, rng, may_overdrive=plays)
        return changed, how | more
    changed = tilted(changed, float(rng.uniform(-TILT_DB, TILT_DB)))
    changed, more = in_noise(changed, rng, NOISY, NOISES, SNR_DB)
    gain = 10 ** (float(rng.uniform(*GAIN_DB)) / 20)
    return within_full_scale((changed * gain).astype(np.float32)), how | more


def cut(samples: Samples, kept: float, rng: np.random.Generator) -> Samples:
    """Return a part of samples, begun anywhere.

    All of them are returned where the part would be shorter than `LEAST_S`, or so soft
    beside the whole that what the label names may lie outside.
    """
    length = round(kept * len(samples))
    if length < LEAST_S * SAMPLE_RATE:
        return samples
    start = int(rng.integers(len(samples) - length + 1))
    part = samples[start : start + length]
    return part if power(part) >= LEAST_LEVEL**2 * power(samples) else samples
