"""The sounds that captions may name, and what they call them.

    label, as weights are taught it: `dog bark` ─▶ how likely is it ─▶ [dog barking]

Which of them some weights know, they say themselves (`engine.skills`): no other is
asked for.  Labels of one caption are one sound; of those whose captions begin alike up
to a colon, one is heard at a time, and the one without a colon stands for any of them.
"""

from collections.abc import Collection
from typing import Final

from engine.api import SoundClass

SOUNDS: Final = {
    "baby cry": "baby crying",
    "baby crying": "baby crying",
    "bird": "birds",
    "chainsaw": "chainsaw",
    "clock tick": "clock ticking",
    "dog bark": "dog barking",
    "fire crackling": "fire crackling",
    "helicopter": "helicopter",
    "person sneeze": "sneezing",
    "rain": "rain",
    "rooster": "rooster crowing",
    "sea waves": "waves",
    "vacuum cleaner": "vacuum cleaner",
    "washing machine": "washing machine",
    "music": "music",
    "acoustic guitar": "music: guitar",
    "banjo": "music: banjo",
    "bassoon": "music: bassoon",
    "cello": "music: cello",
    "clarinet": "music: clarinet",
    "double bass": "music: double bass",
    "drums": "music: drums",
    "flute": "music: flute",
    "french horn": "music: horn",
    "guitar": "music: guitar",
    "mandolin": "music: mandolin",
    "oboe": "music: oboe",
    "piano": "music: piano",
    "saxophone": "music: saxophone",
    "snare drum": "music: drums",
    "trombone": "music: trombone",
    "violin or fiddle": "music: violin",
}
"""What captions call each label, in the order in which they are asked for."""


def classes_of(labels: Collection[str]) -> tuple[SoundClass, ...]:
    """Return the sounds that can be told by weights that know some labels.

    Of two labels of one caption the first is asked for.  What is not in `SOUNDS` is no
    sound.
    """
    found: dict[str, SoundClass] = {}
    for label, caption in SOUNDS.items():
        if label in labels and caption not in found:
            found[caption] = SoundClass(label=label, caption=caption)
    return tuple(found.values())
