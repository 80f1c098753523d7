"""Scores of answers against references: rates, overlaps, shares.

Each metric says for every clip what its score is made of, so that all of them get
intervals the same way (`engine.evaluation.bootstrap`).  Metrics that need programs or
models of others are in `engine.evaluation.captions`; those of labels in
`engine.evaluation.labels`.  Knows neither clips nor tasks.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from rapidfuzz.distance import LCSseq
from sacrebleu.metrics.bleu import BLEU

from engine.errors import EngineError
from engine.evaluation.bootstrap import Interval, Statistics, Value, interval
from engine.guards import repetition

References = Sequence[Sequence[str]]
"""Of each clip, one or more."""


class UnavailableError(EngineError):
    """Raised when a metric cannot be computed on this machine."""

    def __init__(self, metric: str, reason: str) -> None:
        self.metric, self.reason = metric, reason

    def __str__(self) -> str:
        return f"{self.metric} cannot be computed here: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A figure, and how sure it is."""

    metric: str
    value: float
    interval: Interval | None
    unit: str
    higher_is_better: bool
    num_clips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A way to score."""

    name: str
    statistics: Callable[[References, Sequence[str]], Statistics]
    """What the score is made of, of each clip that it is about, (n, k)."""
    value: Value
    unit: str = ""
    higher_is_better: bool = True


def measure(metric: Metric, references: References, answers: Sequence[str]) -> Score:
    """Return the score of answers.

    Args:
        metric: How.
        references: Of each clip, at least one.
        answers: One a clip.

    Raises:
        UnavailableError: If the metric cannot be computed here.
        ValueError: If there are no clips.
    """
    if not answers or len(references) != len(answers):
        raise ValueError(f"{len(answers)} answers to {len(references)} references")
    statistics = metric.statistics(references, answers)
    return Score(
        metric=metric.name,
        value=metric.value(statistics.sum(axis=0)),
        interval=interval(statistics, metric.value),
        unit=metric.unit,
        higher_is_better=metric.higher_is_better,
        num_clips=len(statistics),
    )


def among(metric: Metric, chosen: Sequence[bool], name: str) -> Metric:
    """Return the same score over some clips only.

    Args:
        metric: The score.
        chosen: Of each clip, whether it counts.
        name: Of the new score.
    """

    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        places = [place for place, is_chosen in enumerate(chosen) if is_chosen]
        return metric.statistics(
            [references[place] for place in places],
            [answers[place] for place in places],
        )

    return replace(metric, name=name, statistics=statistics)


def share(total: Statistics) -> float:
    """Return one sum over the other; not a number where there is nothing."""
    part, whole = total
    return float(part / whole) if whole else float("nan")


def percent(total: Statistics) -> float:
    """Return `share` in percent."""
    return 100.0 * share(total)


def pairs(rows: Sequence[tuple[float, float]]) -> Statistics:
    """Return a part and a whole of each clip, (n, 2)."""
    return np.array(rows, np.float64).reshape(-1, 2)


def mean_of(score: Callable[[Sequence[str], str], float]) -> Any:
    """Return statistics whose share is the mean of a clip's own score."""

    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        scored = zip(references, answers, strict=True)
        return pairs([(score(known, answer), 1.0) for known, answer in scored])

    return statistics


BLEU_ORDERS: Final = 4


CHRF_ORDERS: Final = 6
CHRF_BETA: Final = 2


def bleu(tokenize: str) -> Metric:
    """Return BLEU-4 of a corpus, as sacrebleu computes it.

    Args:
        tokenize: `13a` for European languages, `zh`, `ja-mecab`, `char`.
    """
    name = "BLEU4"

    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        try:
            scorer = BLEU(tokenize=tokenize, effective_order=True)
        except (ImportError, RuntimeError) as exc:  # how it says that mecab is missing
            raise UnavailableError(name, " ".join(str(exc).split())) from exc
        rows = []
        for known, answer in zip(references, answers, strict=True):
            found = scorer.sentence_score(answer, list(known))
            counts = [*found.counts, *found.totals, found.sys_len, found.ref_len]
            rows.append(counts)
        return np.array(rows, np.float64)

    def value(total: Statistics) -> float:
        counts, totals = np.split(total[: 2 * BLEU_ORDERS].astype(int), 2)
        lengths = total[2 * BLEU_ORDERS :].astype(int)
        found = BLEU.compute_bleu(
            counts.tolist(),
            totals.tolist(),
            int(lengths[0]),
            int(lengths[1]),
            smooth_method="exp",
        )
        return float(found.score)

    return Metric(name=name, statistics=statistics, value=value)


def chrf() -> Metric:
    """Return chrF of a corpus: character n-grams up to 6, recall twice as heavy.

    The counts are ours, because those of sacrebleu cannot be had clip by clip; a test
    holds the score to its own.
    """
    orders, beta2 = CHRF_ORDERS, CHRF_BETA**2

    def statistics(references: References, answers: Sequence[str]) -> Statistics:
        rows = []
        for known, answer in zip(references, answers, strict=True):
            # Of each order: n-grams of the answer, of the reference, of both.
            found = [_ngram_matches(answer, one, orders) for one in known]
            rows.append(max(found, key=lambda counts: _f_score(counts, beta2)))
        return np.array(rows, np.float64)

    def value(total: Statistics) -> float:
        return _f_score(total, beta2)

    return Metric(name="chrF", statistics=statistics, value=value)


def _ngram_matches(answer: str, reference: str, orders: int) -> list[float]:
    ours, theirs = ("".join(text.split()) for text in (answer, reference))
    row: list[float] = []
    for order in range(1, orders + 1):
        grams = [
            Counter(text[i : i + order] for i in range(len(text) - order + 1))
            for text in (ours, theirs)
        ]
        both = (grams[0] & grams[1]).total()
        # As sacrebleu: an order that the reference is too short for does not count.
        row += [grams[0].total() if grams[1] else 0, grams[1].total(), both]
    return row


def _f_score(total: Sequence[float] | Statistics, beta2: float) -> float:
    precisions, recalls = [], []
    for order in range(0, len(total), 3):
        ours, theirs, both = total[order : order + 3]
        if ours and theirs:
            precisions.append(both / ours)
            recalls.append(both / theirs)
    if not precisions:
        return 0.0
    precision, recall = float(np.mean(precisions)), float(np.mean(recalls))
    weighed = beta2 * precision + recall
    return 100 * (1 + beta2) * precision * recall / weighed if weighed else 0.0


ROUGE_BETA: Final = 1.2  # of the captioning tools: recall counts more


def rouge_l() -> Metric:
    """Return ROUGE-L: longest common subsequence of words, mean over clips, percent."""
    return Metric(name="ROUGE-L", statistics=mean_of(_rouge_l), value=percent, unit="%")


def _rouge_l(references: Sequence[str], answer: str) -> float:
    ours = words(answer)
    precisions, recalls = [0.0], [0.0]
    for reference in references:
        theirs = words(reference)
        if ours and theirs:
            common = LCSseq.similarity(ours, theirs)
            precisions.append(common / len(ours))
            recalls.append(common / len(theirs))
    precision, recall = max(precisions), max(recalls)
    if not precision or not recall:
        return 0.0
    beta2 = ROUGE_BETA**2
    return (1 + beta2) * precision * recall / (recall + beta2 * precision)


def words(text: str) -> list[str]:
    """Return the words of a text in small letters, marks left out."""
    kept = "".join(c if c.isalnum() or c in "'’" else " " for c in text.lower())
    return kept.split()


def diversity() -> Metric:
    """Return how many different words an answer has, mean over clips."""
    return Metric(
        name="diversity",
        statistics=mean_of(lambda _, answer: float(len(set(words(answer))))),
        value=share,
        unit="words",
    )


def repeat_rate() -> Metric:
    """Return the share of answers that end in a loop."""
    return Metric(
        name="repeat rate",
        statistics=mean_of(lambda _, answer: float(_loops(words(answer)))),
        value=percent,
        unit="%",
        higher_is_better=False,
    )


def _loops(spoken: list[str]) -> bool:
    ids = {word: number for number, word in enumerate(dict.fromkeys(spoken))}
    return repetition([ids[word] for word in spoken]) > 0
