"""What else a label may be called in a free answer.

One list for all sets: a set's own labels decide which of them can be told apart.  A
plural is found by itself; other forms stand here.  Whoever adds a word makes every
score of before wrong: say so in the changelog.
"""

from typing import Final

SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    # gender
    "female": ("woman", "women", "girl", "lady"),
    "male": ("man", "men", "boy", "guy", "gentleman"),
    # yes and no
    "yes": ("yeah", "yep"),
    "no": ("nope", "not the same"),
    # emotion
    "angry": ("anger", "annoyed", "furious", "irritated", "rage"),
    "anger": ("angry", "annoyed", "furious", "irritated", "rage"),
    "boredom": ("bored", "boring", "uninterested"),
    "calm": ("calmness", "peaceful", "relaxed", "serene"),
    "disgust": ("disgusted", "disgusting", "revulsion"),
    "fear": ("afraid", "anxious", "fearful", "frightened", "scared"),
    "fearful": ("afraid", "anxious", "fear", "frightened", "scared"),
    "happiness": ("cheerful", "glad", "happy", "joy", "joyful", "excited"),
    "happy": ("cheerful", "glad", "happiness", "joy", "joyful", "excited"),
    "neutral": ("no emotion", "unemotional"),
    "sad": ("sadness", "sorrow", "sorrowful", "unhappy", "depressed"),
    "sadness": ("sad", "sorrow", "sorrowful", "unhappy", "depressed"),
    "surprised": ("surprise", "astonished", "amazed"),
    # sounds
    "baby cry": (
        "baby crying",
        "baby cries",
        "crying baby",
        "infant cry",
        "infant crying",
        "infant cries",
        "crying infant",
    ),
    "baby crying": (
        "baby cry",
        "baby cries",
        "crying baby",
        "infant cry",
        "infant crying",
        "crying infant",
    ),
    "chainsaw": ("chain saw",),
    "clock tick": (
        "clock ticking",
        "clock ticks",
        "ticking clock",
        "tick tock",
        "ticking",
    ),
    "dog bark": (
        "barking",
        "dog barking",
        "dog barks",
        "barking dog",
        "dogs bark",
        "dog is barking",
    ),
    "fire crackling": (
        "crackling fire",
        "fire crackles",
        "fire is crackling",
        "campfire",
        "fireplace",
        "crackling",
    ),
    "helicopter": ("chopper",),
    "person sneeze": (
        "sneeze",
        "sneezing",
        "person sneezes",
        "person sneezing",
        "sneezed",
    ),
    "rain": ("raining", "rainfall", "raindrop", "rains"),
    "silence": ("silent", "nothing", "no sound", "quiet"),
    "rooster": ("cock crowing", "cockerel", "crowing"),
    "sea waves": ("ocean waves", "waves", "surf", "waves crashing", "sea", "ocean"),
    # instruments
    "acoustic guitar": ("guitar",),
    "bass drum": ("kick drum",),
    "cor anglais": ("english horn",),
    "double bass": ("contrabass", "upright bass"),
    "french horn": ("horn",),
    "hi hat": ("hihat", "high hat", "cymbal"),
    "saxophone": ("sax",),
    "snare drum": ("snare",),
    "violin or fiddle": ("violin", "fiddle"),
    "violin": ("fiddle",),
}
