"""The paper's table for a model: trials, answers, scores; as values, not as text.

Knows neither how answers come about (`answerers`) nor how results look (`report`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.evaluation.answerers import Answerer, Model
from engine.evaluation.bootstrap import Interval
from engine.evaluation.metrics import Metric, Score, UnavailableError, measure
from engine.evaluation.paper import Figure
from engine.evaluation.questions import Question
from engine.evaluation.trials import Trial

Begin = Callable[[str, int], Callable[[], None]]
"""Told what begins and how many questions it has; returns what to call at each."""

EARLIER: Final = "before"
"""What the column of a table that was there before is called."""
NOT_MODES: Final = {"metric", "paper"}
"""What a metric has in the data of a table beside its figures."""


@dataclass(slots=True)
class Cell:
    """What one answerer made of a trial."""

    mode: str
    answers: list[str] = field(default_factory=list)
    scores: dict[str, Score] = field(default_factory=dict)
    """By metric."""
    missing: dict[str, str] = field(default_factory=dict)
    """Why a metric has no score; under an empty name, why nothing was asked."""


@dataclass(slots=True)
class Result:
    """A trial and its cells, one an answerer."""

    trial: Trial
    cells: list[Cell]

    @property
    def metrics(self) -> list[str]:
        """Names, the paper's first."""
        own = [figure.metric for figure in self.trial.row.figures]
        return list(dict.fromkeys([*own, *(m.name for m in self.trial.metrics)]))

    def figure(self, metric: str) -> Figure | None:
        """Return what the paper has for a metric."""
        figures = self.trial.row.figures
        return next((f for f in figures if f.metric == metric), None)


@dataclass(frozen=True, slots=True)
class Table:
    """All results of a model."""

    model: Model
    results: list[Result]

    @property
    def modes(self) -> list[str]:
        """Of the cells, in order."""
        return list(dict.fromkeys(c.mode for r in self.results for c in r.cells))

    def as_json(self) -> dict[str, Any]:
        """Return the table in values that JSON knows."""
        return {
            "model": {
                "name": self.model.name,
                "parameters": self.model.parameters,
                "steps": self.model.steps,
                "doubt": self.model.doubt,
            },
            "rows": [_row(result) for result in self.results],
        }


def put_before(table: Table, earlier: Mapping[str, Any]) -> None:
    """Put an earlier table's figures before those of the same row, set and metric.

    Args:
        table: Whose results get the cells.
        earlier: What `as_json` gave.

    Raises:
        ValueError: If it is no such table.
    """
    try:
        rows = {(row["task"], row["set"]): row["metrics"] for row in earlier["rows"]}
        modes = dict.fromkeys(
            mode
            for lines in rows.values()
            for line in lines
            for mode in line
            if mode not in NOT_MODES
        )
        for result in table.results:
            trial = result.trial
            found = rows.get((trial.row.task, trial.set), ())
            result.cells[:0] = [_earlier(m, found, trial.metrics) for m in modes]
    except (AttributeError, KeyError, TypeError) as exc:
        raise ValueError(f"that is no table of salmonn-eval: {exc!r}") from exc


def _earlier(
    mode: str, lines: Sequence[Mapping[str, Any]], metrics: Sequence[Metric]
) -> Cell:
    cell = Cell(f"{mode}, {EARLIER}")
    known = {metric.name: metric for metric in metrics}
    for line in lines:
        name, told = line["metric"], line[mode]
        if told["value"] is not None and name in known:
            is_sure = told["low"] is not None
            cell.scores[name] = Score(
                metric=name,
                value=told["value"],
                interval=Interval(told["low"], told["high"]) if is_sure else None,
                unit=told["unit"],
                higher_is_better=known[name].higher_is_better,
                num_clips=told["clips"],
            )
    if not cell.scores:
        cell.missing[""] = "the earlier table has no figure of it"
    return cell


def fill(
    trials: Sequence[Trial], answerers: Sequence[Answerer], begin: Begin
) -> list[Result]:
    """Ask every question and score the answers.

    Args:
        trials: What is asked.
        answerers: Who answers, side by side.
        begin: Told of every answerer, for a bar of progress.

    Raises:
        EngineError: If a model or a recording fails.
    """
    results = [Result(trial, []) for trial in trials]
    for answerer in answerers:
        for result, answers in zip(
            results, _answers(trials, answerer, begin), strict=True
        ):
            result.cells.append(_cell(result.trial, answerer, answers))
    return results


def _answers(
    trials: Sequence[Trial], answerer: Answerer, begin: Begin
) -> list[list[str] | None]:
    """Return the answers to each trial; None where it is not served.

    All is asked at once, by clip: a server starts once, and a clip is heard once.
    """
    served = [all(map(answerer.serves, trial.questions)) for trial in trials]
    places = [
        (row, number)
        for row, trial in enumerate(trials)
        if served[row]
        for number in range(len(trial.questions))
    ]
    places.sort(key=lambda place: _clip_of(trials[place[0]].questions[place[1]]))
    questions = [trials[row].questions[number] for row, number in places]
    report = begin(answerer.mode, len(questions))
    answers = answerer.answer(questions, report) if questions else []
    found = dict(zip(places, answers, strict=True))
    return [
        [found[row, number] for number in range(len(trial.questions))]
        if served[row]
        else None
        for row, trial in enumerate(trials)
    ]


def _clip_of(question: Question) -> tuple[str, float, str, bool]:
    clip = question.clip
    return (
        str(clip.file),
        clip.start_s or 0.0,
        question.read,
        question.from_transcript,
    )


def _cell(trial: Trial, answerer: Answerer, answers: list[str] | None) -> Cell:
    cell = Cell(answerer.mode)
    if answers is None:
        cell.missing[""] = f"{answerer.model.name} does not serve this {answerer.mode}"
        return cell
    cell.answers = answers
    for metric in trial.metrics:
        try:
            score = measure(metric, trial.references, cell.answers)
        except UnavailableError as exc:
            cell.missing[metric.name] = exc.reason
        else:
            cell.scores[metric.name] = score
    return cell


def _row(result: Result) -> dict[str, Any]:
    trial = result.trial
    return {
        "task": trial.row.task,
        "level": trial.row.level,
        "set": trial.set,
        "is_the_papers_set": trial.is_the_papers,
        "note": trial.row.note,
        "metrics": [_metric(result, name) for name in result.metrics],
        "clips": [
            {
                "path": question.clip.path,
                "prompt": question.prompt,
                "references": list(question.references),
                **{c.mode: c.answers[n] for c in result.cells if c.answers},
            }
            for n, question in enumerate(trial.questions)
        ],
    }


def _metric(result: Result, name: str) -> dict[str, Any]:
    line: dict[str, Any] = {"metric": name}
    if (figure := result.figure(name)) is not None:
        line["paper"] = {
            "set": result.trial.row.test,
            "without_activation": figure.without,
            "with_activation": figure.activated,
            "reference": figure.reference,
            "is_reference_sure": figure.is_reference_sure,
        }
    for cell in result.cells:
        if score := cell.scores.get(name):
            bounds = score.interval
            line[cell.mode] = {
                "value": score.value,
                "low": bounds.low if bounds else None,
                "high": bounds.high if bounds else None,
                "unit": score.unit,
                "clips": score.num_clips,
            }
        else:
            reason = cell.missing.get("") or cell.missing.get(name, "")
            line[cell.mode] = {"value": None, "reason": reason}
    return line
