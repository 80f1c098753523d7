"""What belongs to what: sounds to kinds, instruments to families, tags to questions.

Lists that scores depend on, in one place.  Whoever changes one makes every score of
before wrong: say so in the changelog.
"""

from typing import Final

KINDS: Final[dict[str, tuple[str, ...]]] = {
    "speech": ("talking", "talk", "talks", "speaking", "speaks", "spoken", "words"),
    "music": ("musical", "song", "tune", "melody"),
    "noise": ("noises", "background noise", "environmental sound", "ambient sound"),
    "animal": (),
    "silence": ("silent", "nothing", "no sound", "quiet"),
}
"""The kinds of audio, each with what else it may be called."""
KIND_OF_SOUND: Final = {
    "chainsaw": "noise",
    "clock tick": "noise",
    "dog bark": "animal",
    "fire crackling": "noise",
    "helicopter": "noise",
    "rain": "noise",
    "rooster": "animal",
    "sea waves": "noise",
    "silence": "silence",
}
"""Sounds that people make, and what lies between two kinds, are asked for no kind."""
FAMILIES: Final[dict[str, tuple[str, ...]]] = {
    "strings": (
        "string",
        "stringed",
        "acoustic guitar",
        "banjo",
        "cello",
        "double bass",
        "fiddle",
        "guitar",
        "harp",
        "mandolin",
        "viola",
        "violin",
        "violin or fiddle",
    ),
    "woodwind": (
        "woodwinds",
        "wood wind",
        "bass clarinet",
        "bassoon",
        "clarinet",
        "contrabassoon",
        "cor anglais",
        "english horn",
        "flute",
        "oboe",
        "piccolo",
        "sax",
        "saxophone",
    ),
    "brass": ("french horn", "horn", "trombone", "trumpet", "tuba"),
    "percussion": (
        "bass drum",
        "clash cymbals",
        "cymbal",
        "drum",
        "hi hat",
        "percussive",
        "snare drum",
        "tambourine",
    ),
}
"""Families of instruments: what else each is called, and its members.

An answer that names a member names its family.
"""
FAMILY_OF: Final = {
    name: family for family, names in FAMILIES.items() for name in names
}
SAME: Final[dict[str, tuple[str, ...]]] = {
    "yes": (
        "yeah",
        "yep",
        "same",
        "same person",
        "same speaker",
        "one person",
        "one speaker",
    ),
    "no": (
        "nope",
        "different",
        "different people",
        "not the same",
        "not the same person",
        "not the same speaker",
        "two people",
        "two persons",
        "two speakers",
    ),
}
"""Whether one person speaks."""
SLOT_NAMES: Final = {
    "coffeeDrink": "drink",
    "milkAmount": "milk",
    "numberOfShots": "number of shots",
    "sugarAmount": "sugar",
}
"""What slots are called in a question; others as they are written."""
TAGS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "leading instrument": {
        "cello": (),
        "drums": ("drum", "drum kit", "percussion"),
        "flute": (),
        "guitar": ("acoustic guitar", "electric guitar"),
        "harp": (),
        "harpsichord": (),
        "piano": (),
        "sitar": (),
        "strings": ("string", "string section"),
        "synth": ("synthesizer", "synthesiser"),
        "violin": ("fiddle",),
    },
    "style": {
        "ambient": (),
        "blues": (),
        "classical": ("classic",),
        "country": (),
        "dance": (),
        "electronic": ("electro", "electronica"),
        "folk": (),
        "funk": ("funky",),
        "indian": (),
        "indie": (),
        "jazz": ("jazzy",),
        "metal": ("heavy metal",),
        "new age": (),
        "pop": (),
        "rock": (),
        "soul": (),
        "techno": (),
    },
    "tempo": {
        "fast": ("quick", "quickly", "upbeat"),
        "slow": ("slowly",),
    },
}
"""Tags that a tagger gives music, by what they tell, and what else they are called."""
CALLED: Final = {
    "baby cry": "a crying baby",
    "baby crying": "a crying baby",
    "chainsaw": "a chainsaw",
    "clash cymbals": "cymbals",
    "clock tick": "a ticking clock",
    "dog bark": "a barking dog",
    "fire crackling": "a crackling fire",
    "helicopter": "a helicopter",
    "person sneeze": "somebody sneeze",
    "rain": "rain",
    "rooster": "a rooster",
    "sea waves": "sea waves",
}
"""Labels as one would ask whether they are heard; others with their article."""


def called(label: str) -> str:
    """Return a label as one would ask for it: "a cello", "an oboe"."""
    article = "an" if label[:1] in "aeio" else "a"
    return CALLED.get(label, f"{article} {label}")


def strongest(kind: str, estimated: dict[str, dict[str, float]]) -> str:
    """Return the likeliest tag of a kind, of all taggers; empty if there is none.

    Args:
        kind: One of `TAGS`.
        estimated: Probabilities of tags, by tagger.
    """
    known = {name: tag for tag, others in TAGS[kind].items() for name in (tag, *others)}
    found = {
        (probability, known[tag.lower()])
        for tags in estimated.values()
        for tag, probability in tags.items()
        if tag.lower() in known
    }
    return max(found)[1] if found else ""
