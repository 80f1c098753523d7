"""Into and out of which languages a model is good enough to be served.

From what it scores on phrases that no training has (the clips' split says so): a
language in which it does not reach the mark, or on too few phrases to say so, is not
served.  Knows tables only as values.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from engine.evaluation.asked import code_of
from engine.evaluation.metrics import Score
from engine.evaluation.ours import LEAST_PHRASES, SERVED_FROM
from engine.evaluation.table import Cell, Result

ROWS: Final = ("X2En", "En2X")
METRIC: Final = "chrF"


def verdicts(results: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each row of translations and each who answered."""
    for result in results:
        if result.trial.row.task not in ROWS:
            continue
        for cell in result.cells:
            if scores := by_language(result, cell):
                served = [c for c, score in scores.items() if is_served(score)]
                refused = [
                    shown(code, score)
                    for code, score in scores.items()
                    if code not in served
                ]
                told = ", ".join(shown(code, scores[code]) for code in served)
                yield (
                    f"{result.trial.row.task} {result.trial.set}, {cell.mode}: served: "
                    f"{told or 'none'}; refused: {', '.join(refused) or 'none'}"
                )


def by_language(result: Result, cell: Cell) -> dict[str, Score]:
    """Return the score of each language, by its code."""
    codes = {code_of(question.clip.facts) for question in result.trial.questions}
    # Of one language there is one score, which is that of all.
    names = {code: f"{METRIC} {code}" if len(codes) > 1 else METRIC for code in codes}
    return {
        code: cell.scores[name]
        for code, name in sorted(names.items())
        if code and name in cell.scores
    }


def is_served(score: Score) -> bool:
    """Return whether a language that scores so is served."""
    return score.value >= SERVED_FROM and score.num_clips >= LEAST_PHRASES


def shown(code: str, score: Score) -> str:
    """Return a language's score as in a sentence."""
    few = ", too few" if score.num_clips < LEAST_PHRASES else ""
    return f"{code} {score.value:.1f} ({score.num_clips}{few})"
