"""Two people who talk at once, as LibriMix makes them.

Loudnesses are drawn between −33 and −25 dB, the shorter utterance is padded (LibriMix's
`max`), and what would be too loud is made softer as a whole.  LibriMix measures
loudness in LUFS; here it is the power of the samples, which differs by a constant or
so for speech.

Source:
    JorisCos/LibriMix, scripts/; Cosentino et al. 2020, arXiv:2005.11262.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from engine.data.audio import samples_of_clip
from engine.data.making.made import (
    Made,
    fitting,
    made_of,
    one_of,
    one_split,
    pick,
    power,
    within_full_scale,
)
from engine.data.manifest import Clip, ManifestError

LOUDNESS_DB = (-33.0, -25.0)
TRIES = 100  # draws of a second speaker before giving up


def overlaps(
    clips: Sequence[Clip], count: int, rng: np.random.Generator
) -> Iterator[Made]:
    """Yield mixtures of two speakers, with what each says.

    Raises:
        ManifestError: If there are not two speakers with texts, or splits differ.
    """
    spoken = [
        clip
        for clip in fitting(clips)
        if clip.facts.get("text") and clip.facts.get("speaker")
    ]
    if len({clip.facts["speaker"] for clip in spoken}) < 2:
        raise ManifestError("mixing needs clips of two speakers, with their texts")
    split = one_split(spoken)
    for _ in range(count):
        pair = _two_speakers(rng, spoken)
        voices = [samples_of_clip(clip) for clip in pair]
        gains = [
            np.sqrt(10 ** (rng.uniform(*LOUDNESS_DB) / 10) / power(voice))
            for voice in voices
        ]
        mixed = np.zeros(max(map(len, voices)), np.float32)
        for gain, voice in zip(gains, voices, strict=True):
            mixed[: len(voice)] += (gain * voice).astype(np.float32)
        facts = {
            "set": "made_overlaps",
            "split": split,
            "texts": [clip.facts["text"] for clip in pair],
            "speakers": [clip.facts["speaker"] for clip in pair],
            "lang": pair[0].facts.get("lang", "en"),
            "source": made_of(*pair),
        }
        yield Made(within_full_scale(mixed), facts)


def _two_speakers(rng: np.random.Generator, clips: Sequence[Clip]) -> list[Clip]:
    for _ in range(TRIES):
        pair = pick(rng, clips, 2)
        if pair[0].facts["speaker"] != pair[1].facts["speaker"]:
            return pair
    first = one_of(rng, clips)
    others = [c for c in clips if c.facts["speaker"] != first.facts["speaker"]]
    return [first, one_of(rng, others)]
