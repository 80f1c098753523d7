"""What a step of the language model costs, by what its head knows and is kept in.

    float32 → a head of some words only → that head in int8 → all linear layers in int8

All are tried in turns of the same run: ratios hold where seconds do not.  Beside the
time, how many tokens stay what they were: each variant is shown the answers of the
first, and says what it would have gone on with.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from engine.answering import Answer, Sampling, advance
from engine.benchmarks.report import Advance, Row, Setup
from engine.benchmarks.statistics import Quantiles, quantiles
from engine.cache import Cache
from engine.evaluation import live
from engine.llm import LanguageModel, load_llm
from engine.quantise import quantise
from engine.skills import RELEASED
from engine.vocabulary import PrunedHead, words_of
from engine.weights import resolve

ROUNDS, STEPS = 5, 9
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
    step_ms: Quantiles
    """Of a step that adds a token to one answer."""
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
            ratio = first.step_ms.p50 / one.step_ms.p50
            rows += [
                Row(f"{one.name}, {one.words:,} words", ""),
                Row("  a token, p50 / p90 / p95", one.step_ms.told("ms")),
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
    llm, small = load_llm(folder, "float32"), load_llm(folder, "float32")
    quantise(small.model.base_model)
    whole, languages = llm.model.get_output_embeddings(), RELEASED.written or ()
    words = words_of(llm.tokenizer, languages, also=llm.stop)
    fewer, eight = PrunedHead(whole, words), PrunedHead(whole, words)
    eight.to_int8()
    ways = [
        Way("float32", llm, whole),
        Way(f"words of {', '.join(sorted(languages))}", llm, fewer),
        Way("… its head in int8", llm, eight),
        Way("… all in int8", small, eight),
    ]
    rounds = setup.rounds or ROUNDS
    with setup.steps("decode", rounds * len(ways)) as step:
        variants = compare(ways, rounds, step)
    kind = llm.model.config.model_type
    return DecodeFigures(engine=f"{kind}, {folder.name}", variants=variants)


@dataclass(frozen=True, slots=True)
class Way:
    """A language model to be tried, and the head that it is given."""

    name: str
    llm: LanguageModel
    head: nn.Module

    def ready(self) -> LanguageModel:
        """Return the model with its head."""
        self.llm.model.set_output_embeddings(self.head)
        return self.llm


def compare(ways: Sequence[Way], rounds: int, step: Advance) -> list[Variant]:
    """Try all ways in turns, so that what else the machine does meets all of them."""
    first = ways[0].ready()
    answers = [answer(first, text) for text in QUESTIONS]
    taken: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            taken[way.name] += steps_s(way.ready(), QUESTIONS[0])
            step()
    found = []
    for way in ways:
        llm = way.ready()
        pairs = zip(QUESTIONS, answers, strict=True)
        same = sum(agreeing(llm, text, tokens) for text, tokens in pairs)
        words: int = llm.model.config.vocab_size
        found.append(
            Variant(
                name=way.name,
                words=way.head.size[0] if isinstance(way.head, PrunedHead) else words,
                step_ms=quantiles([MS * s for s in taken[way.name]], of="step"),
                same_tokens=same / sum(map(len, answers)),
            )
        )
    return found


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


def steps_s(llm: LanguageModel, text: str) -> list[float]:
    """Return the seconds of some steps behind a text."""
    cache, taken = Cache(), list[float]()
    token = int(llm.prefill(llm.embed(llm.tokenizer.encode(text)), cache).argmax())
    for _ in range(STEPS):
        begin = time.perf_counter()
        token = int(llm.step([token], [cache]).argmax())
        taken.append(time.perf_counter() - begin)
    return taken
