"""What a labelled clip sounds like, in words: what is said, then what else is heard.

    speech    "mister quilter is the apostle speech man"
    emotion   "speech woman sad"
    sounds    "animal dog bark", "noise rain", "music cello", "silence"

One target serves all clips: a transcript, as far as there is one, and behind it, when
all has been heard, words for the kind of sound, the voice, the mood, the instrument.
It knows the facts of the manifest, no audio and no tokens.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.data.examples import language_code
from engine.data.making import silences
from engine.tasks import LANGUAGES

ADULT = 16
"""Years from which a voice tells the gender."""
ESTIMATE = 0.2
"""Probability from which an estimated tag of music is used."""
MOST_TAGS = 3

KINDS = ("speech", "music", "animal", "noise", "human", "sound", "silence")

_GENDERS = {"m": "man", "f": "woman"}
_EMOTIONS = {
    "anger": "angry",
    "boredom": "bored",
    "fear": "fearful",
    "happiness": "happy",
    "sadness": "sad",
}
"""Of one set, in the words of the other."""
_ANIMALS = {"dog bark", "rooster"}
_HUMAN = {"baby cry", "baby crying", "person sneeze"}
_CLASSES = {"animals": "animal", "household": "sound", "vehicles": "sound"}
"""Folders of stamps whose name tells what is heard; others do not."""
_MUSIC_SETS = {"instruments", "philharmonia"}
_SOUND_SETS = {"esc10", "donateacry"}
_EMOTION_SETS = {"ravdess", "emodb"}


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be heard in a clip."""

    transcript: str
    """Lower case, words and apostrophes only; empty if it is not known."""
    labels: tuple[str, ...]
    """The kind of sound first."""

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join([self.transcript, *self.labels]).strip()


def target(facts: Mapping[str, Any]) -> Target | None:
    """Return what is to be heard in a clip; None if its facts do not tell.

    Args:
        facts: Of a line of the manifest.
    """
    name, label = facts.get("set", ""), facts.get("label")
    if label == silences.LABEL:
        return Target("", (silences.LABEL,))
    if name in _MUSIC_SETS:
        return Target("", ("music", *_words(str(label))))
    if name in _SOUND_SETS:
        return Target("", (_kind_of(str(label)), *_words(str(label))))
    if name == "tuxpaint_sounds":
        return _stamp(str(label))
    if name == "game_music":
        return Target("", ("music", *_tags(facts["tags_estimated"])))
    told = (voice(facts), _foreign(facts), emotion(facts))
    transcript = " ".join(_words(str(facts.get("text", ""))))
    if not transcript and not any(told):
        return None
    return Target(transcript, ("speech", *(word for word in told if word)))


def voice(facts: Mapping[str, Any]) -> str:
    """Return whether a man, a woman or a child speaks; empty if it is not known."""
    if facts.get("age", ADULT) < ADULT:
        return "child"
    return _GENDERS.get(facts.get("gender", ""), "")


def emotion(facts: Mapping[str, Any]) -> str:
    """Return the mood of the voice; empty if it is not known."""
    label = str(facts.get("label", ""))
    return _EMOTIONS.get(label, label) if facts.get("set") in _EMOTION_SETS else ""


def language(facts: Mapping[str, Any]) -> str:
    """Return the name of the spoken language; empty if it is not known."""
    return LANGUAGES.get(language_code(facts), "")


def parse(text: str) -> Target:
    """Return what a text of this form says: words from the last kind on are labels."""
    words = text.split()
    for index in range(len(words) - 1, -1, -1):
        if words[index] in KINDS:
            return Target(" ".join(words[:index]), tuple(words[index:]))
    return Target(" ".join(words), ())


def _words(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation."""
    text = text.replace("’", "'").casefold()
    kept = "".join(c if _is_of_a_word(c) else " " for c in text)
    return [word for part in kept.split() if (word := part.strip("'"))]


def _is_of_a_word(character: str) -> bool:
    return character == "'" or unicodedata.category(character)[0] in "LMN"


def _kind_of(label: str) -> str:
    if label in _ANIMALS:
        return "animal"
    return "human" if label in _HUMAN else "noise"


def _foreign(facts: Mapping[str, Any]) -> str:
    """Return a word for the language if it is not English."""
    if facts.get("lang", "en").startswith("en"):
        return ""
    return language(facts).lower() or "foreign"


def _stamp(label: str) -> Target | None:
    """Return the target of a label like `animals/birds`."""
    folder, _, name = label.partition("/")
    if folder not in _CLASSES:
        return None
    words = _words(re.sub(r"s$", "", name))
    return Target("", (_CLASSES[folder], *words))


def _tags(estimated: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the likeliest words that taggers gave a piece of music."""
    found: dict[str, float] = {}
    for tags in estimated.values():
        for tag, probability in tags.items():
            if probability >= ESTIMATE:
                found[tag.lower()] = max(probability, found.get(tag.lower(), 0.0))
    likeliest = sorted(found, key=lambda tag: -found[tag])[:MOST_TAGS]
    return [word for tag in likeliest for word in _words(tag)]
