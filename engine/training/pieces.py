"""A spelling of words in tokens that occur often enough to be learned.

    "▁mister"  ─▶  ▁mis ter        "▁the"  ─▶  ▁the

A language model of a quarter of a million tokens has one for most words; but of some
hours of speech most of these words are heard once or never.  So a word is cut into
those of the model's own tokens that occur often in the training texts: frequent words
stay whole, the others share their pieces.

    counts of words ─▶ all tokens within them ─▶ likeliest cut ─▶ rare ones leave ─▶ …

Knows neither audio nor how a tokenizer of the model would cut a text.

Source:
    Kudo 2018, arXiv:1804.10959: a unigram model, here by its likeliest cuts alone.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property

SPACE = "▁"
LONGEST = 12  # characters of a piece
ROUNDS = 8
UNKNOWN = 100.0  # the cost of a character that no piece has


class Pieces:
    """Cuts words into tokens.

    Args:
        costs: Negative log-probability of each piece.
        ids: Of the pieces, in the model's vocabulary.
    """

    def __init__(self, costs: Mapping[str, float], ids: Mapping[str, int]) -> None:
        self._costs, self._ids = dict(costs), ids
        self._cut: dict[str, tuple[str, ...]] = {}

    @classmethod
    def learn(
        cls, words: Mapping[str, int], vocabulary: Mapping[str, int], *, least: int
    ) -> "Pieces":
        """Choose the pieces.

        Args:
            words: How often each occurs, without its space.
            vocabulary: The model's tokens, by their text; a space is `▁`.
            least: How often a piece occurs at least, other than a single character.
        """
        counts: Counter[str] = Counter()
        for word, count in words.items():
            for piece in _within(SPACE + word):
                if piece in vocabulary:
                    counts[piece] += count
        for round_ in range(1, ROUNDS + 1):
            # Step by step: what leaves early cannot be shared by what leaves late.
            needed = least * round_ / ROUNDS
            pieces = cls(_costs(counts), vocabulary)
            used: Counter[str] = Counter()
            for word, count in words.items():
                for piece in pieces.cut(word):
                    used[piece] += count
            counts = Counter(
                {
                    piece: max(1, used[piece])
                    for piece in counts
                    if used[piece] >= needed or len(piece) == 1
                }
            )
        return cls(_costs(counts), vocabulary)

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """All tokens that a word may be cut into."""
        return tuple(sorted(self._ids[piece] for piece in self._costs))

    def split(self, text: str) -> list[int]:
        """Return the tokens of a text; of a character that no word had, nothing."""
        return [self._ids[p] for word in text.split() for p in self.cut(word)]

    def cut(self, word: str) -> tuple[str, ...]:
        """Return the likeliest pieces of a word, its space with the first."""
        if word not in self._cut:
            self._cut[word] = self._likeliest(SPACE + word)
        return self._cut[word]

    def _likeliest(self, text: str) -> tuple[str, ...]:
        best: list[tuple[float, tuple[str, ...]]] = [(0.0, ())]
        for end in range(1, len(text) + 1):
            # A character that is no piece is passed over, at a price.
            cost, path = best[end - 1]
            found = (cost + UNKNOWN, path)
            for start in range(max(0, end - LONGEST), end):
                piece = text[start:end]
                if piece in self._costs:
                    cost, path = best[start]
                    cost += self._costs[piece]
                    if cost < found[0]:
                        found = (cost, (*path, piece))
            best.append(found)
        return best[-1][1]


def _within(text: str) -> Iterator[str]:
    for start in range(len(text)):
        for end in range(start + 1, min(len(text), start + LONGEST) + 1):
            yield text[start:end]


def _costs(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    return {piece: math.log(total / count) for piece, count in counts.items()}
