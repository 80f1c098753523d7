"""Word error rates, as the field computes them: Whisper's normaliser, then jiwer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jiwer


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Counts over all clips, so that long clips weigh more than short ones."""

    substitutions: int
    deletions: int
    insertions: int
    words: int
    """Of the references."""

    @property
    def rate(self) -> float:
        """Word error rate, in percent."""
        errors = self.substitutions + self.deletions + self.insertions
        return 100.0 * errors / self.words


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Return the word errors of English hypotheses.

    Raises:
        ValueError: If no reference has a word.
    """
    normalise = _english()
    pairs = [
        (normalise(reference), normalise(hypothesis))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    pairs = [(reference, hypothesis) for reference, hypothesis in pairs if reference]
    if not pairs:
        raise ValueError("no reference has a word")
    counted = jiwer.process_words([r for r, _ in pairs], [h for _, h in pairs])
    return WordErrors(
        counted.substitutions,
        counted.deletions,
        counted.insertions,
        counted.hits + counted.substitutions + counted.deletions,
    )


@cache
def _english() -> Any:
    """Return the normaliser; with its table of spellings, which takes a moment."""
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()
