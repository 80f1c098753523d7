"""Answers of a language model: chosen a token at a time, many in one pass.

    answers  a: closing of its prompt │ b: its last token │ c: …
             └──────────── one pass over the weights ─────────────┘
    logits ─▶ take ─▶ token ─▶ tokens ─▶ text

`advance` is for live use: nothing waits, and what no longer interests anyone is
closed.  `search` is the original's way, for one prompt and in one go; `search_for`, the
same way to an answer about what was heard live.  Knows neither audio nor what the
question was.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import GenerationConfig

from engine.api import Finish
from engine.beams import beam_search
from engine.cache import Cache
from engine.guards import repetition, restated
from engine.llm import LanguageModel

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are chosen, and how many."""

    max_tokens: int = 200
    temperature: float = 0.0
    """0 takes the likeliest; above, tokens are drawn."""
    top_p: float = 0.9
    """Drawn among the likeliest that together have this probability."""
    seed: int | None = None
    """Of the draw; None takes torch's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The original's way to an answer (SALMONN's `generate` and its defaults)."""

    beams: int = 4
    max_tokens: int = 200
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0


class Answer:
    """One answer while it is chosen."""

    def __init__(
        self,
        prompt: Tensor,
        cache: Cache,
        *,
        text: Callable[[Sequence[int]], str],
        stop: frozenset[int],
        sampling: Sampling | None = None,
    ) -> None:
        """Begin an answer.

        Args:
            prompt: Embeddings behind what the cache holds, (N, D), at least one; run
                with the first pass.
            cache: What the question is about; it is the answer's own from now on.
            text: Says tokens in words, without special ones.
            stop: Tokens that end it.
            sampling: How tokens are chosen.
        """
        self.tokens: list[int] = []
        """What was chosen, without the stop token."""
        self.finish: Finish | None = None
        """Why it ended; None while it goes on."""
        self._sampling = sampling or Sampling()
        self._prompt: Tensor | None = prompt
        self._cache: Cache | None = cache
        self._say, self._stop = text, stop
        self._text = ""
        self._generator: torch.Generator | None = None
        if self._sampling.seed is not None:
            self._generator = torch.Generator().manual_seed(self._sampling.seed)

    @property
    def text(self) -> str:
        """The answer so far; it only grows at its end.

        Held back are characters of which bytes are missing, and words that may turn
        out to be a loop.
        """
        return self._text

    @property
    def max_tokens(self) -> int:
        """How many tokens it may have."""
        return self._sampling.max_tokens

    @property
    def cache(self) -> Cache:
        """What came before the next token."""
        assert self._cache is not None, "the answer is closed"
        return self._cache

    def piece(self, llm: LanguageModel) -> Tensor:
        """Return the embeddings that the model runs on next, (N, D)."""
        return llm.embed(self.tokens[-1:]) if self._prompt is None else self._prompt

    def choose(self, logits: Tensor, likeliest: int) -> int:
        """Return the next token, as the sampling wants it.

        Args:
            logits: Of all tokens, (V,).
            likeliest: The token that they are highest for.
        """
        if self._sampling.temperature == 0:
            return likeliest
        return draw(logits.cpu(), self._sampling, self._generator)

    def take(self, token: int) -> None:
        """Go on by a token."""
        assert self.finish is None, "the answer has ended"
        self._prompt = None
        if token in self._stop:
            self._end(Finish.STOP)
            return
        self.tokens.append(token)
        if repetition(self.tokens):
            del self.tokens[len(self.tokens) - restated(self.tokens) :]
            self._end(Finish.LOOP)
        elif len(self.tokens) >= self._sampling.max_tokens:
            self._end(Finish.LENGTH)
        else:
            self._tell(len(self.tokens) - restated(self.tokens))

    def close(self) -> None:
        """Free the memory, whether it has ended or not."""
        self._cache = self._prompt = None

    def _end(self, finish: Finish) -> None:
        self.finish = finish
        self._tell(len(self.tokens))
        self.close()

    def _tell(self, count: int) -> None:
        said = self._say(self.tokens[:count]).strip().rstrip(INCOMPLETE).rstrip()
        # A vocabulary of bytes may take a whole run of them back for the sake of one
        # that is still incomplete; they come again with it.
        if said.startswith(self._text):
            self._text = said


def advance(llm: LanguageModel, answers: Sequence[Answer]) -> None:
    """Add a token to each answer, in one pass over the weights.

    Args:
        llm: The model that all their caches are of.
        answers: Neither ended nor closed, none twice, in any company.

    Raises:
        ContextFullError: If one outgrows the model's positions; none has changed.
    """
    pieces = [answer.piece(llm) for answer in answers]
    hidden = llm.extend(pieces, [answer.cache for answer in answers])
    logits = llm.logits(torch.stack([states[-1] for states in hidden]))
    likeliest = logits.argmax(-1).tolist()  # a device is waited for once for all
    for answer, row, token in zip(answers, logits, likeliest, strict=True):
        answer.take(answer.choose(row, token))


def search_for(llm: LanguageModel, answer: Answer, beams: int) -> None:
    """Choose all tokens of an answer that has not begun; loops are cut as ever.

    Args:
        llm: The model that its cache is of.
        answer: How it samples is of no account.
        beams: Of the search.

    Raises:
        ContextFullError: If it outgrows the model's positions.
    """
    found = beam_search(
        llm,
        answer.piece(llm),
        answer.cache,
        beams=beams,
        max_tokens=answer.max_tokens,
    )
    for token in found:
        if answer.finish is None:
            answer.take(token)
    if answer.finish is None:
        answer.take(min(llm.stop))


def draw(
    logits: Tensor, sampling: Sampling, generator: torch.Generator | None = None
) -> int:
    """Return a token drawn by logits (V,), on the CPU, at a temperature above 0."""
    ordered, ids = (logits / sampling.temperature).sort(descending=True)
    probabilities = ordered.softmax(0)
    before = probabilities.cumsum(0) - probabilities
    before[0] = -1.0  # the likeliest always stays
    probabilities[before >= sampling.top_p] = 0
    return int(ids[torch.multinomial(probabilities, 1, generator=generator)])


def search(llm: LanguageModel, prompt: Tensor, how: Search | None = None) -> list[int]:
    """Return the answer to a whole prompt as the original computes it.

    Args:
        llm: The model.
        prompt: Embeddings of everything, audio included, (N, D).
        how: The search.

    Returns:
        Its tokens, without the stop token.
    """
    how = how or Search()
    prompt = prompt.to(llm.device, llm.dtype)[None]
    config = GenerationConfig(
        max_new_tokens=how.max_tokens,
        num_beams=how.beams,
        do_sample=False,
        length_penalty=how.length_penalty,
        repetition_penalty=how.repetition_penalty,
        eos_token_id=sorted(llm.stop),
        pad_token_id=min(llm.stop, default=0),
    )
    found = llm.model.generate(
        inputs_embeds=prompt,
        attention_mask=torch.ones(prompt.shape[:2], device=llm.device),
        generation_config=config,
    )
    tokens: list[int] = found[0].tolist()
    ends = [i for i, token in enumerate(tokens) if token in llm.stop]
    return tokens[: ends[0]] if ends else tokens
