"""Whether a free answer names the right label of a set, and no other.

    answer "It is a bass clarinet."   label "bass clarinet"   right
                                      label "clarinet"        wrong: the longer name
    answer "A dog, or rain?"          label "dog bark"        wrong: two labels

An answer is right when the label or a synonym of it occurs in it and no other label of
the same set does.  Knows neither clips nor models.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rapidfuzz.distance import Levenshtein

from engine.evaluation.bootstrap import Statistics
from engine.evaluation.metrics import Metric, References, pairs, share, words
from engine.evaluation.synonyms import SYNONYMS


@dataclass(frozen=True, slots=True)
class _Name:
    label: str
    words: tuple[str, ...]


class Labels:
    """The labels of a set, each with its other names."""

    def __init__(
        self,
        labels: Iterable[str],
        *,
        synonyms: Mapping[str, Sequence[str]] = SYNONYMS,
    ) -> None:
        self.labels = tuple(dict.fromkeys(labels))
        own = {self._words(label): label for label in self.labels}
        names = []
        for label in self.labels:
            names.append(_Name(label, self._words(label)))
            for other in synonyms.get(plain(label), ()):
                # A synonym that is itself a label of the set means that label.
                if own.get(self._words(other), label) == label:
                    names.append(_Name(label, self._words(other)))
        self._names = [name for name in names if name.words]

    def named(self, answer: str) -> set[str]:
        """Return the labels that an answer names.

        A name within a longer one does not count: a bass clarinet is no clarinet.
        """
        said = self._words(answer)
        spans: list[tuple[int, int, str]] = []
        for name in self._names:
            size = len(name.words)
            for start in range(len(said) - size + 1):
                if said[start : start + size] == name.words:
                    spans.append((start, start + size, name.label))
        return {
            label
            for start, end, label in spans
            if not any(
                s <= start and end <= e and e - s > end - start for s, e, _ in spans
            )
        }

    def is_right(self, label: str, answer: str) -> bool:
        """Return whether an answer names this label and no other."""
        return self.named(answer) == {label}

    @staticmethod
    def _words(text: str) -> tuple[str, ...]:
        return tuple(_singular(word) for word in words(plain(text)))


def plain(label: str) -> str:
    """Return a label as one would say it: `animals/birds` is birds."""
    return label.rpartition("/")[2].replace("_", " ").replace("-", " ").lower()


def _singular(word: str) -> str:
    ends = len(word) > 3 and word.endswith("s") and not word.endswith("ss")
    return word[:-1] if ends else word


def accuracy(labels: Labels) -> Metric:
    """Return the share of answers that name the right label and no other."""

    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        return pairs(
            [
                (float(any(labels.is_right(label, answer) for label in known)), 1.0)
                for known, answer in zip(references, answers, strict=True)
            ]
        )

    return Metric(name="accuracy", statistics=statistics, value=share)


def named(labels: Labels) -> Metric:
    """Return the share of answers that name the right label, whatever else they name.

    For labels of which several may be right.
    """

    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        found = zip(references, map(labels.named, answers), strict=True)
        return pairs([(float(bool(told & set(known))), 1.0) for known, told in found])

    return Metric(name="named", statistics=statistics, value=share)


def following(labels: Labels) -> Metric:
    """Return the share of answers that name any label: they follow the question."""

    def statistics(_: References, answers: Sequence[str]) -> Statistics:
        return pairs([(float(bool(labels.named(a))), 1.0) for a in answers])

    return Metric(name="following rate", statistics=statistics, value=share)


def contains() -> Metric:
    """Return the share of answers in which a reference occurs, word by word.

    For questions whose answers are no closed set.  The paper lets GPT-3.5 judge these,
    which is more lenient: figures of the two kinds must not be compared.
    """

    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        rows = []
        for known, answer in zip(references, answers, strict=True):
            said = f" {' '.join(words(answer))} "
            found = (f" {' '.join(words(one))} " in said for one in known if words(one))
            rows.append((float(any(found)), 1.0))
        return pairs(rows)

    return Metric(name="accuracy", statistics=statistics, value=share)


NEARLY: Final = 0.5  # an answer that shares this much with the transcript repeats it


def following_freely(said: Sequence[str], *, least_words: int = 1) -> Metric:
    """Return the share of answers that do more than write down what was said.

    An answer follows its question when it is not empty, has at least so many words, and
    does not merely repeat the clip's: a model that knows only one task transcribes,
    whatever it is asked.

    Args:
        said: What is spoken in each clip, in the order of the answers; may be empty.
        least_words: The fewest words of an answer.
    """

    def statistics(_: References, answers: Sequence[str]) -> Statistics:
        rows = []
        for spoken, answer in zip(said, answers, strict=True):
            ours, theirs = words(answer), words(spoken)
            repeats = theirs and Levenshtein.normalized_distance(ours, theirs) <= NEARLY
            rows.append((float(len(ours) >= least_words and not repeats), 1.0))
        return pairs(rows)

    return Metric(name="following rate", statistics=statistics, value=share)


def keywords() -> Metric:
    """Return the share of an answer's words that are keywords, or parts of one.

    The answer is three keywords; which of its words are marks between them is not said.
    """

    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        rows = []
        for known, answer in zip(references, answers, strict=True):
            right = {word for phrase in known for word in words(phrase)}
            ours = words(answer)
            rows.append((float(sum(word in right for word in ours)), float(len(ours))))
        return pairs(rows)

    return Metric(name="accuracy", statistics=statistics, value=share)
