r"""How sure a language model is that it would name each of some sounds, unasked.

    audio's cache │ </Speech> What do you hear?\nASSISTANT: I hear │  dog barking.
                  └──────────────── read once for all ─────────────┤  rain.
                                                                   └─ …  those likely

The score is the pointwise mutual information of audio and name: how much likelier the
model says the name having heard the audio than having heard nothing at all.  So a name
of rare words is no worse off than one of common words.  A name that it would not even
begin with is not read on.  Knows caches and words, and nothing of audio.
"""

from collections.abc import Sequence
from itertools import takewhile
from math import inf, isfinite
from typing import Final

import torch
from torch import Tensor

from engine import prompt as prompts
from engine.cache import Cache
from engine.device import send
from engine.llm import LanguageModel

QUESTION: Final = "What do you hear?"
SAID: Final = "I hear"
"""How an answer to it begins (`engine.training.free_questions`)."""
LEAST: Final = -9.0
"""Log-probability of a name's first token below which the rest is not read, in nats."""
UNHEARD: Final = -12.0
"""The score of such a name, and the least of all."""
MOST_KEPT: Final = 1024
"""Names of which it is kept how likely they are unheard."""


class Weigher:
    """Weighs names of sounds, in the words of one language model."""

    def __init__(
        self, llm: LanguageModel, calibration: Sequence[float] = (1.0, 0.0)
    ) -> None:
        """Begin.

        Args:
            llm: The model.
            calibration: Scale and bias that make log-odds of scores (`engine.skills`).
        """
        self._llm = llm
        self._scale, self._bias = calibration
        self._said = self._ids(SAID)
        self._asked = [*prompts.closing(llm.tokenizer, QUESTION), *self._said]
        self._unheard: dict[str, float] = {}

    def weigh(self, names: Sequence[str], about: Cache) -> list[float]:
        """Return the log-odds that each is heard, in nats.

        Args:
            names: Any number of them.
            about: What stands before the question; it stays what it is.

        Raises:
            ContextFullError: If the model has no room for one.
        """
        if not names:
            return []
        unheard = self._without_audio(names)
        heard = self._log_probabilities(names, about, least=LEAST)
        scores = [
            max(UNHEARD, found - unheard[name]) if isfinite(found) else UNHEARD
            for name, found in zip(names, heard, strict=True)
        ]
        return [self._scale * score + self._bias for score in scores]

    def _without_audio(self, names: Sequence[str]) -> dict[str, float]:
        """Return how likely each name is where there is no audio, and keep it."""
        new = [name for name in dict.fromkeys(names) if name not in self._unheard]
        if new:
            if len(self._unheard) + len(new) > MOST_KEPT:
                self._unheard = {n: p for n, p in self._unheard.items() if n in names}
            nothing = Cache()
            opening = self._llm.embed(prompts.opening(self._llm.tokenizer))
            self._llm.extend([opening], [nothing])
            found = self._log_probabilities(new, nothing, least=-inf)
            self._unheard |= zip(new, found, strict=True)
        return {name: self._unheard[name] for name in names}

    def _log_probabilities(
        self, names: Sequence[str], about: Cache, *, least: float
    ) -> list[float]:
        """Return how likely each name comes next; -inf where its beginning does not.

        Args:
            names: At least one.
            about: What stands before the question.
            least: Of the first token, else the rest is not read.
        """
        llm, asked = self._llm, about.fork()
        tokens = [self._tokens(name) for name in names]
        last = llm.extend([llm.embed(self._asked)], [asked])[0][-1]
        begun = self._next(last[None], [[ids[0] for ids in tokens]])[0].tolist()
        found = [first if first >= least else -inf for first in begun]
        read = [
            number
            for number, first in enumerate(found)
            if isfinite(first) and len(tokens[number]) > 1
        ]
        if read:
            rest = [tokens[number] for number in read]
            hidden = llm.branch(asked, [llm.embed(ids[:-1]) for ids in rest])
            following = [[token] for ids in rest for token in ids[1:]]
            each = self._next(torch.cat(hidden), following)[:, 0]
            sums = torch.stack([p.sum() for p in each.split(list(map(len, hidden)))])
            for number, log_probability in zip(read, sums.tolist(), strict=True):
                found[number] += log_probability
        return found

    def _next(self, hidden: Tensor, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Return the log-probabilities of tokens (N, K) behind hidden states (N, D)."""
        of_all = self._llm.logits(hidden).log_softmax(-1)
        return of_all.gather(-1, send(torch.tensor(tokens), of_all.device))

    def _tokens(self, name: str) -> list[int]:
        """Return what stands behind the beginning of the answer, at least a token."""
        whole = self._ids(f"{SAID} {name}.")
        common = takewhile(
            lambda pair: pair[0] == pair[1], zip(whole, self._said, strict=False)
        )
        return whole[len(list(common)) :]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._llm.tokenizer.encode(text, add_special_tokens=False)
        return ids
