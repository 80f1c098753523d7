"""From labelled clips to questions with known answers, a trial for each task and set.

What is known of a clip (docs/data.md) decides what can be asked about it.  Knows no
model, and of metrics only which ones a task has.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine.data.examples import GENDERS
from engine.data.manifest import Clip
from engine.evaluation import captions, facts, labels, metrics, rates
from engine.evaluation.asked import some
from engine.evaluation.metrics import Metric
from engine.evaluation.ours import OURS
from engine.evaluation.paper import ROWS, Row
from engine.evaluation.questions import Question
from engine.tasks import SLOT, TEST_PROMPTS, fill, find
from engine.wordings import WORDINGS

STORY_WORDS: Final = 30  # a shorter answer is no story
UNSPACED: Final = {"ja", "zh"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A task on the clips of one set."""

    row: Row
    set: str
    questions: tuple[Question, ...]
    metrics: tuple[Metric, ...]
    """The paper's, in its order; then others."""

    @property
    def references(self) -> list[tuple[str, ...]]:
        """Of each question."""
        return [question.references for question in self.questions]

    @property
    def is_the_papers(self) -> bool:
        """Whether the paper measured on this set."""
        return self.set == self.row.test


PROMPTS: Final = {"GR": WORDINGS["gender_recognition"][0]}
"""Prompts of rows that the original has no test prompt for."""
TASKS: Final = {
    "asr": "transcribe",
    "audiocaption": "describe",
    "translation_ec": "translate:zh",
    "translation_en2de": "translate:de",
    "translation_en2ja": "translate:ja",
}
"""Names by which engines know groups; others are asked in words."""


PAPER, OWN = "paper", "ours"
"""What names all rows of the paper, and all that it has not."""


def trials(
    clips: Sequence[Clip],
    *,
    tasks: Iterable[str] = (),
    every: Sequence[Clip] = (),
    most: int | None = None,
) -> list[Trial]:
    """Return what can be asked about clips, in the paper's order, then in ours.

    Args:
        clips: What is asked about.
        tasks: Names of tasks to keep, or `PAPER` or `OWN`; none means all.
        every: All clips that there are: their labels are the ones to tell apart.
        most: The most questions of a trial, drawn with the same luck each time.
    """
    wanted = {task.lower() for task in tasks}
    found: list[Trial] = []
    rows: dict[str, Row] = {}
    for row in ROWS:
        rows.setdefault(row.task, row)
    for task, row in rows.items():
        if wanted and not wanted & {task.lower(), PAPER}:
            continue
        asked = ((_set_of(row, c), q) for c in clips for q in _questions(row, c))
        for name, questions in _by_set(asked, most):
            exact = next((r for r in ROWS if (r.task, r.test) == (task, name)), row)
            scores = _metrics(row, questions, every or clips)
            found.append(_trial(exact, name, questions, scores))
    for own in OURS:
        if wanted and not wanted & {own.row.task.lower(), OWN}:
            continue
        for name, questions in _by_set(own.questions(clips), most):
            scores = own.metrics(questions, every or clips)
            found.append(_trial(own.row, name, questions, scores))
    return found


def _trial(
    row: Row, name: str, questions: Sequence[Question], scores: Sequence[Metric]
) -> Trial:
    return Trial(row=row, set=name, questions=tuple(questions), metrics=tuple(scores))


def _by_set(
    asked: Iterable[tuple[str, Question]], most: int | None
) -> Iterator[tuple[str, list[Question]]]:
    """Yield the questions of each set, so many of them."""
    found: dict[str, list[Question]] = {}
    for name, question in asked:
        found.setdefault(name, []).append(question)
    for name, questions in sorted(found.items()):
        yield name, some(questions, most or len(questions))


def _set_of(row: Row, clip: Clip) -> str:
    name = str(clip.facts.get("set", "clips"))
    language = clip.facts.get("lang", "en")
    needs_its_own = row.task == "ASR" and language != "en"
    return f"{name} ({language})" if needs_its_own else name


def _questions(row: Row, clip: Clip) -> Iterator[Question]:
    if row.task == "SF":
        for slot, value in facts.slots(clip.facts):
            prompt = fill(TEST_PROMPTS[row.group], facts.said(slot))
            yield Question(clip, prompt, None, (value,))
        return
    if references := tuple(r for r in _REFERENCES[row.task](clip.facts) if r.strip()):
        task = TASKS.get(row.group)
        prompt = PROMPTS.get(row.task) or TEST_PROMPTS[row.group]
        if row.task == "ASR":
            prompt = find("transcribe", clip.facts.get("lang")).prompt
        assert SLOT not in prompt, prompt
        yield Question(clip, prompt, task, references)


_REFERENCES: Final[dict[str, Callable[[facts.Facts], Sequence[str]]]] = {
    "ASR": facts.listed("text"),
    "En2Zh": facts.listed("translation_zh"),
    "AAC": facts.listed("captions"),
    "PR": facts.english_phones,
    "ER": facts.label_of("emotion"),
    "MC": facts.listed("music_captions"),
    "OSR": facts.listed("texts"),
    "SV": facts.same_speaker,
    "GR": facts.gender,
    "En2De": facts.listed("translation_de"),
    "En2Ja": facts.listed("translation_ja"),
    "KE": facts.listed("keywords"),
    "SQQA": facts.listed("spoken_answers"),
    "Story": facts.listed("captions"),
    "SAC": facts.listed("reasoned_answers"),
}


def _metrics(
    row: Row, questions: Sequence[Question], every: Sequence[Clip]
) -> list[Metric]:
    """Return what a task is scored by; the paper's metrics first."""
    if row.task == "ASR":
        language = questions[0].clip.facts.get("lang", "en")
        if language in UNSPACED:
            return [rates.character_error_rate(language)]
        return [rate(language) for rate in _RATES]
    if row.task in {"SQQA", "SF", "SAC", "Story"}:
        said = [str(q.clip.facts.get("text", "")) for q in questions]
        least = STORY_WORDS if row.task == "Story" else 1
        follows = labels.following_freely(said, least_words=least)
        if row.task == "Story":
            return [metrics.diversity(), follows, metrics.repeat_rate()]
        return [labels.contains(), follows]
    if row.task in _LABELLED:
        known = _LABELLED[row.task]
        sets = {q.clip.facts.get("set") for q in questions}
        names = [n for c in every if c.facts.get("set") in sets for n in known(c.facts)]
        told_apart = labels.Labels(names)
        return [labels.accuracy(told_apart), labels.following(told_apart)]
    return list(_FIXED[row.task]())


_RATES: Final = (rates.word_error_rate, rates.character_error_rate)
_LABELLED: Final[dict[str, Callable[[facts.Facts], Sequence[str]]]] = {
    "ER": _REFERENCES["ER"],
    "SV": lambda _: ("yes", "no"),
    "GR": lambda _: tuple(GENDERS.values()),
}
_FIXED: Final[dict[str, Callable[[], Sequence[Metric]]]] = {
    "En2Zh": lambda: (metrics.bleu("zh"), metrics.chrf()),
    "En2De": lambda: (metrics.bleu("13a"), metrics.chrf()),
    "En2Ja": lambda: (metrics.bleu("ja-mecab"), metrics.chrf()),
    "AAC": lambda: tuple(captions.caption_metric(name) for name in captions.NAMES),
    "PR": lambda: (rates.phone_error_rate(),),
    "MC": lambda: (metrics.bleu("13a"), metrics.rouge_l()),
    "OSR": lambda: (rates.overlapped_word_error_rate(),),
    "KE": lambda: (labels.keywords(),),
}
