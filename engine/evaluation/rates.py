"""Error rates of speech: words, characters, phones, the words of two speakers at once.

Counts are summed over clips, so that long clips weigh more than short ones.  Texts are
normalised as Whisper's authors do before they are compared.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from engine.evaluation.bootstrap import Statistics
from engine.evaluation.metrics import Metric, References, pairs, percent

SILENCES = {"sil", "sp", "spn"}
SPEAKER = "speaker"


def word_error_rate(language: str = "en") -> Metric:
    """Return WER; of English with Whisper's table of spellings."""
    return _rate("WER", english if language == "en" else spaced)


def character_error_rate(language: str = "zh") -> Metric:
    """Return CER: the figure of languages that are written without spaces."""
    words = english if language == "en" else spaced
    return _rate("CER", lambda text: list("".join(words(text))))


def phone_error_rate() -> Metric:
    """Return PER over ARPAbet with stress, silences left out."""
    return _rate("PER", phones)


def overlapped_word_error_rate() -> Metric:
    """Return the WER of several speakers at once, in whichever order they are given.

    The references of a clip are what each speaker said; the order in which they fit the
    answer best counts.
    """

    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        rows = []
        for said, answer in zip(references, answers, strict=True):
            ours = [word for line in _spoken_lines(answer) for word in english(line)]
            theirs = [english(text) for text in said]
            errors = min(
                Levenshtein.distance([w for text in order for w in text], ours)
                for order in permutations(theirs)
            )
            rows.append((float(errors), float(sum(map(len, theirs)))))
        return pairs(rows)

    return Metric(
        name="WER",
        statistics=statistics,
        value=percent,
        unit="%",
        higher_is_better=False,
    )


def _rate(name: str, units: Callable[[str], list[str]]) -> Metric:
    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        rows = []
        for known, answer in zip(references, answers, strict=True):
            ours = units(answer)
            each = [
                (Levenshtein.distance(one, ours), len(one)) for one in map(units, known)
            ]
            rows.append(min(each, key=lambda pair: pair[0] / max(1, pair[1])))
        return np.array(rows, np.float64).reshape(-1, 2)

    return Metric(
        name=name,
        statistics=statistics,
        value=percent,
        unit="%",
        higher_is_better=False,
    )


def english(text: str) -> list[str]:
    """Return the words of an English text."""
    return str(_normaliser("english")(text)).split()


def spaced(text: str) -> list[str]:
    """Return the words of a text in any language that has spaces."""
    return str(_normaliser("basic")(text)).split()


def phones(text: str) -> list[str]:
    """Return the phones of a transcription in ARPAbet."""
    return [p for p in text.upper().split() if p.lower() not in SILENCES]


def _spoken_lines(answer: str) -> Iterator[str]:
    """Yield the lines of an answer without the names that lead them."""
    for line in answer.splitlines():
        name, colon, said = line.partition(":")
        yield said if colon and name.strip().lower().startswith(SPEAKER) else line


@cache
def _normaliser(kind: str) -> Any:
    """Return one of Whisper's normalisers; the English one takes a moment to load."""
    if kind == "english":
        from whisper_normalizer.english import EnglishTextNormalizer

        return EnglishTextNormalizer()
    from whisper_normalizer.basic import BasicTextNormalizer

    return BasicTextNormalizer()
