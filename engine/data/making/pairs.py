"""Two recordings, one after the other: is it the same person?

Half of the pairs are of one person, by different recordings; a tenth of a second of
silence is between the two, as in the original's training.

Source:
    bytedance/SALMONN@a58bba7, dataset.py, `expand_wav`.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from engine.data.audio import PAUSE_S, joined, samples_of_clip
from engine.data.making.made import (
    MOST_S,
    Made,
    fitting,
    made_of,
    one_of,
    one_split,
    pick,
)
from engine.data.manifest import Clip, ManifestError


def speaker_pairs(
    clips: Sequence[Clip], count: int, rng: np.random.Generator
) -> Iterator[Made]:
    """Yield pairs, every other one of one speaker.

    Raises:
        ManifestError: If there are not two speakers, one of them twice, or splits
            differ.
    """
    by_speaker: dict[str, list[Clip]] = defaultdict(list)
    short = fitting(clips, (MOST_S - PAUSE_S) / 2)
    for clip in short:
        if speaker := clip.facts.get("speaker"):
            by_speaker[str(speaker)].append(clip)
    speakers = sorted(by_speaker)
    twice = [speaker for speaker in speakers if len(by_speaker[speaker]) > 1]
    if len(speakers) < 2 or not twice:
        raise ManifestError("pairs need two speakers, and one of them twice")
    split = one_split([clip for clips_ in by_speaker.values() for clip in clips_])
    for number in range(count):
        is_same = number % 2 == 0
        if is_same:
            pair = pick(rng, by_speaker[one_of(rng, twice)], 2)
        else:
            chosen = rng.choice(len(speakers), size=2, replace=False)
            pair = [pick(rng, by_speaker[speakers[int(s)]], 1)[0] for s in chosen]
        facts = {
            "set": "made_pairs",
            "split": split,
            "same_speaker": is_same,
            "speakers": [clip.facts["speaker"] for clip in pair],
            "source": made_of(*pair),
        }
        yield Made(joined([samples_of_clip(clip) for clip in pair]), facts)
