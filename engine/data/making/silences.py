"""Clips in which there is nothing to hear, and whose label says so.

In turn: digital silence, faint noise, and the quietest moment of a recording, drawn
out.  A model that never met silence names a sound in it.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from engine.api import Samples
from engine.data.audio import samples_of_clip
from engine.data.making.made import (
    Made,
    fitting,
    made_of,
    one_of,
    one_split,
    pick,
    power,
)
from engine.data.making.rooms import COLOURS, coloured, looped
from engine.data.manifest import Clip, ManifestError
from engine.geometry import SAMPLE_RATE

LABEL = "silence"
SET = "made_silence"
DURATION_S = (1.0, 10.0)
LEVEL_DB = (-85.0, -60.0)  # of full scale
MOMENT = SAMPLE_RATE // 5  # what is drawn out of a recording


def silences(
    clips: Sequence[Clip], count: int, rng: np.random.Generator
) -> Iterator[Made]:
    """Yield silent clips.

    Raises:
        ManifestError: If no clip is long enough to have a quiet moment, or splits
            differ.
    """
    usable = [clip for clip in fitting(clips) if clip.duration_s * SAMPLE_RATE > MOMENT]
    if not usable:
        raise ManifestError("there is no clip to take a quiet moment from")
    split = one_split(usable)
    for number in range(count):
        length = round(float(rng.uniform(*DURATION_S)) * SAMPLE_RATE)
        level = 10 ** (float(rng.uniform(*LEVEL_DB)) / 20)
        facts = {"set": SET, "split": split, "label": LABEL, "task": "sound-event"}
        if number % 3 == 0:
            samples = np.zeros(length, np.float32)
        elif number % 3 == 1:
            colour = one_of(rng, list(COLOURS))
            samples = _at(coloured(length, COLOURS[colour], rng), level)
        else:
            (clip,) = pick(rng, usable, 1)
            samples = _at(looped(_quietest(samples_of_clip(clip)), length, rng), level)
            facts["source"] = made_of(clip)
        yield Made(samples, facts)


def _at(samples: Samples, level: float) -> Samples:
    """Return samples with a root mean square of `level`; zeros stay zeros."""
    return (samples * (level / np.sqrt(power(samples)))).astype(np.float32)


def _quietest(samples: Samples) -> Samples:
    """Return the softest of the moments that a recording is made of."""
    moments = samples[: len(samples) // MOMENT * MOMENT].reshape(-1, MOMENT)
    return moments[int(np.square(moments).mean(1).argmin())]
