r"""How likely a language model would say yes to each of some questions about audio.

    audio's cache │ </Speech> Do you hear │  a dog?\nASSISTANT:      ─▶ yes against no
                  └──── read once ────────┤  a baby crying?\nASSISTANT:
                                          └─ …                       one pass for all

Nothing is generated: what counts is the word that would come next.  Knows caches and
words, and nothing of audio.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from engine import prompt as prompts
from engine.cache import Cache
from engine.errors import WeightsError
from engine.llm import LanguageModel

YES: Final = "Yes"
NO: Final = "No"
"""How the answers of training begin (`engine.training.lessons`)."""


class Weigher:
    """Weighs a yes against a no, in the words of one language model."""

    def __init__(
        self, llm: LanguageModel, calibration: Sequence[float] = (1.0, 0.0)
    ) -> None:
        """Find the words.

        Args:
            llm: The model.
            calibration: Scale and bias of its log-odds (`engine.skills`).

        Raises:
            WeightsError: If the model's vocabulary does not tell them apart.
        """
        self._llm = llm
        self._scale, self._bias = calibration
        yes, no = (
            llm.tokenizer.encode(word, add_special_tokens=False) for word in (YES, NO)
        )
        self._lead = _in_common([yes, no])
        """What both begin with: some vocabularies have the space as a token."""
        if min(len(yes), len(no)) == len(self._lead):
            raise WeightsError(f"no token tells {YES} from {NO}")
        self._words = yes[len(self._lead)], no[len(self._lead)]

    def weigh(self, questions: Sequence[str], about: Cache) -> list[float]:
        """Return the log-odds of a yes to each question, in nats.

        Args:
            questions: Any number of them.
            about: What stands before the question; it stays what it is.

        Raises:
            ContextFullError: If the model has no room for one.
        """
        if not questions:
            return []
        llm = self._llm
        asked = [
            [*prompts.closing(llm.tokenizer, question), *self._lead]
            for question in questions
        ]
        # Each branch has a position of its own, the one whose next word counts.
        stem = _in_common([ids[:-1] for ids in asked])
        hidden = llm.branch(
            about, llm.embed(stem), [llm.embed(ids[len(stem) :]) for ids in asked]
        )
        yes, no = llm.logits(hidden, self._words).unbind(-1)
        odds: list[float] = (self._scale * (yes - no) + self._bias).tolist()
        return odds


def _in_common(lists: Sequence[Sequence[int]]) -> list[int]:
    """Return the longest beginning that all of some lists have."""
    alike = takewhile(lambda ids: len(set(ids)) == 1, zip(*lists, strict=False))
    return [ids[0] for ids in alike]
