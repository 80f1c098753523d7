"""What a step of the language model costs, by what its head knows and is kept in.

    float32 → a head of some words only → that head in int8 → all linear layers in int8

Each after the other on one model, all tried in turns of the same run: ratios hold where
seconds do not.  Beside the time, how many tokens stay what they were: each variant is
shown the answers of the first, and says what it would have gone on with.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch

from engine.answering import Answer, Sampling, advance
from engine.benchmarks.report import Row, Setup
from engine.cache import Cache
from engine.evaluation import live
from engine.heads import leave_out
from engine.llm import LanguageModel, load_llm
from engine.quantise import quantise
from engine.skills import RELEASED
from engine.vocabulary import PrunedHead
from engine.weights import resolve

STEPS = 9
LONGEST = 24
MS = 1000.0
QUESTIONS = (
    "Describe the music in a few words:",
    "The speaker asks what his country can do. In one sentence:",
    "Name three sounds of a kitchen:",
    "Translate into German: Good morning, how are you?",
)


@dataclass(frozen=True, slots=True)
class Variant:
    """A language model kept in one way."""

    name: str
    words: int
    """That its head knows."""
    step_ms: float
    """Median of a step that adds a token to one answer."""
    same_tokens: float
    """Part of the tokens of the first variant's answers that it would choose, too."""


@dataclass(frozen=True, slots=True)
class DecodeFigures:
    """What was found."""

    engine: str
    variants: list[Variant]

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        first = self.variants[0]
        rows = []
        for one in self.variants:
            ratio = first.step_ms / one.step_ms
            rows += [
                Row(
                    f"{one.name}, {one.words:,} words", f"{one.step_ms:.0f} ms a token"
                ),
                Row("  of the first's time", f"1 / {ratio:.2f}"),
                Row("  of the first's tokens", f"{100 * one.same_tokens:.1f} %"),
            ]
        return rows


def run(setup: Setup) -> DecodeFigures:
    """Make a language model smaller step by step, and try each.

    Raises:
        EngineError: If a weight is missing.
    """
    config = live.engine_config(setup.config)
    torch.set_num_threads(config.threads or 1)
    folder = resolve("gemma", config)
    languages = RELEASED.written or ()
    ways: dict[str, Callable[[LanguageModel], object]] = {
        "float32": lambda _: None,
        f"words of {', '.join(sorted(languages))}": lambda llm: leave_out(
            llm, languages
        ),
        "… its head in int8": _head_to_int8,
        "… all in int8": lambda llm: quantise(llm.model.base_model),
    }
    found: list[Variant] = []
    answers: list[tuple[int, ...]] = []
    with setup.steps("decode", len(ways)) as step:
        llm = load_llm(folder, "float32")
        kind = llm.model.config.model_type
        for name, way in ways.items():
            way(llm)
            answers = answers or [answer(llm, text) for text in QUESTIONS]
            found.append(_variant(name, llm, answers))
            step()
    return DecodeFigures(engine=f"{kind} in float32, {folder.name}", variants=found)


def _head_to_int8(llm: LanguageModel) -> None:
    head = llm.model.get_output_embeddings()
    assert isinstance(head, PrunedHead), "words were left out before"
    head.to_int8()


def _variant(
    name: str, llm: LanguageModel, answers: Sequence[tuple[int, ...]]
) -> Variant:
    pairs = list(zip(QUESTIONS, answers, strict=True))
    same = sum(agreeing(llm, text, tokens) for text, tokens in pairs)
    head = llm.model.get_output_embeddings()
    words: int = llm.model.config.vocab_size
    return Variant(
        name=name,
        words=head.size[0] if isinstance(head, PrunedHead) else words,
        step_ms=MS * step_s(llm, QUESTIONS[0]),
        same_tokens=same / sum(map(len, answers)),
    )


def answer(llm: LanguageModel, text: str) -> tuple[int, ...]:
    """Return the likeliest tokens behind a text, at most `LONGEST`."""
    found = Answer(
        llm.embed(llm.tokenizer.encode(text)),
        Cache(),
        text=llm.text,
        stop=frozenset(),
        sampling=Sampling(max_tokens=LONGEST),
    )
    while found.finish is None:
        advance(llm, [found])
    return tuple(found.tokens)


def agreeing(llm: LanguageModel, text: str, tokens: Sequence[int]) -> int:
    """Return how many tokens behind a text a model would choose, one by one."""
    asked = llm.tokenizer.encode(text)
    read = llm.embed([*asked, *tokens[:-1]])
    (hidden,) = llm.extend([read], [Cache()])
    chosen = llm.logits(hidden[len(asked) - 1 :]).argmax(-1).tolist()
    return sum(ours == theirs for ours, theirs in zip(chosen, tokens, strict=True))


def step_s(llm: LanguageModel, text: str) -> float:
    """Return the median seconds of a step behind a text."""
    cache, taken = Cache(), list[float]()
    token = int(llm.prefill(llm.embed(llm.tokenizer.encode(text)), cache).argmax())
    for _ in range(STEPS):
        begin = time.perf_counter()
        token = int(llm.step([token], [cache]).argmax())
        taken.append(time.perf_counter() - begin)
    return median(taken)
