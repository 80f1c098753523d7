"""From labelled clips to questions with known answers, a trial for each task and set.

What is known of a clip (docs/data.md) decides what can be asked about it.  Knows no
model, and of metrics only which ones a task has.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.data.examples import GENDERS
from engine.data.manifest import Clip
from engine.data.phones import phones_of
from engine.evaluation import captions, labels, metrics, rates
from engine.evaluation.metrics import Metric
from engine.evaluation.paper import ROWS, Figure, Row
from engine.tasks import SLOT, TEST_PROMPTS, fill, find
from engine.wordings import WORDINGS

Facts = Mapping[str, Any]
STORY_WORDS: Final = 30  # a shorter answer is no story
UNSPACED: Final = {"ja", "zh"}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about a clip, and what would be right."""

    clip: Clip
    prompt: str
    task: str | None
    """The name by which engines know the task, if they do."""
    references: tuple[str, ...]


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


def _ours(task: str, group: str, metric: str, note: str) -> Row:
    figure = Figure(metric=metric, without=None, activated=None)
    return Row(task=task, level=1, group=group, test="", figures=(figure,), note=note)


TO_ENGLISH: Final = _ours("X2En", "", "BLEU4", "ours: into English")
SOUNDS: Final = _ours("Sound", "", "accuracy", "ours: which sound it is")
INSTRUMENTS: Final = _ours("Instr", "", "accuracy", "ours: which instrument")
PROMPTS: Final = {
    TO_ENGLISH.task: find("translate:en").prompt,
    SOUNDS.task: "What is the sound in this recording? Answer in a few words.",
    INSTRUMENTS.task: "Which musical instrument is playing? Answer in a few words.",
    "GR": WORDINGS["gender_recognition"][0],
}
"""Prompts of rows that the original has no test prompt for."""
TASKS: Final = {
    "asr": "transcribe",
    "audiocaption": "describe",
    "translation_ec": "translate:zh",
    "translation_en2de": "translate:de",
    "translation_en2ja": "translate:ja",
}
"""Names by which engines know groups; others are asked in words."""


def trials(
    clips: Sequence[Clip], *, tasks: Iterable[str] = (), every: Sequence[Clip] = ()
) -> list[Trial]:
    """Return what can be asked about clips, in the paper's order.

    Args:
        clips: What is asked about.
        tasks: The paper's names of tasks to keep; none means all.
        every: All clips that there are: their labels are the ones to tell apart.
    """
    wanted = {task.lower() for task in tasks}
    rows: dict[str, Row] = {}
    for row in (*ROWS, TO_ENGLISH, SOUNDS, INSTRUMENTS):
        rows.setdefault(row.task, row)
    found: list[Trial] = []
    for task, row in rows.items():
        if wanted and task.lower() not in wanted:
            continue
        by_set: dict[str, list[Question]] = {}
        for clip in clips:
            for question in _questions(row, clip):
                by_set.setdefault(_set_of(row, clip), []).append(question)
        for name, questions in sorted(by_set.items()):
            exact = next((r for r in ROWS if (r.task, r.test) == (task, name)), row)
            scores = _metrics(row, questions, every or clips)
            trial = Trial(
                row=exact, set=name, questions=tuple(questions), metrics=tuple(scores)
            )
            found.append(trial)
    return found


def _set_of(row: Row, clip: Clip) -> str:
    name = str(clip.facts.get("set", "clips"))
    language = clip.facts.get("lang", "en")
    needs_its_own = row.task == "ASR" and language != "en"
    return f"{name} ({language})" if needs_its_own else name


def _questions(row: Row, clip: Clip) -> Iterator[Question]:
    if row.task == "SF":
        for slot, value in _slots(clip.facts):
            prompt = fill(TEST_PROMPTS[row.group], slot)
            yield Question(clip, prompt, None, (value,))
        return
    if references := tuple(r for r in _REFERENCES[row.task](clip.facts) if r.strip()):
        task = "translate:en" if row is TO_ENGLISH else TASKS.get(row.group)
        prompt = PROMPTS.get(row.task) or TEST_PROMPTS[row.group]
        if row.task == "ASR":
            prompt = find("transcribe", clip.facts.get("lang")).prompt
        assert SLOT not in prompt, prompt
        yield Question(clip, prompt, task, references)


def _listed(*keys: str) -> Callable[[Facts], Sequence[str]]:
    """Return what stands under the first key that is there, as a list."""

    def references(facts: Facts) -> Sequence[str]:
        value = next((facts[key] for key in keys if facts.get(key)), ())
        return (value,) if isinstance(value, str) else tuple(map(str, value))

    return references


def _label_of(kind: str) -> Callable[[Facts], Sequence[str]]:
    """Return the label of clips whose task is of this kind."""

    def references(facts: Facts) -> Sequence[str]:
        is_it = kind in str(facts.get("task", "")).split(",")
        label = facts.get("label")
        return (label,) if is_it and isinstance(label, str) else ()

    return references


def _english_phones(facts: Facts) -> Sequence[str]:
    if "phones" in facts:
        return (str(facts["phones"]),)
    text = facts.get("text") if facts.get("lang") == "en" else None
    found = phones_of(str(text)) if text else None
    return (found,) if found else ()


def _gender(facts: Facts) -> Sequence[str]:
    gender = GENDERS.get(str(facts.get("gender")))
    return (gender,) if gender else ()


def _same_speaker(facts: Facts) -> Sequence[str]:
    same = facts.get("same_speaker")
    return () if same is None else ("yes" if same else "no",)


def _slots(facts: Facts) -> Iterator[tuple[str, str]]:
    """Yield the slots of an order, named as one would say them."""
    label = facts.get("label")
    slots = label.get("slots", {}) if isinstance(label, Mapping) else {}
    for name, value in slots.items():
        yield re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(name)).lower(), str(value).strip()


_REFERENCES: Final[dict[str, Callable[[Facts], Sequence[str]]]] = {
    "ASR": _listed("text"),
    "En2Zh": _listed("translation_zh"),
    "AAC": _listed("captions"),
    "PR": _english_phones,
    "ER": _label_of("emotion"),
    "MC": _listed("music_captions"),
    "OSR": _listed("texts"),
    "SV": _same_speaker,
    "GR": _gender,
    "En2De": _listed("translation_de"),
    "En2Ja": _listed("translation_ja"),
    "KE": _listed("keywords"),
    "SQQA": _listed("spoken_answers"),
    "Story": _listed("captions"),
    "SAC": _listed("reasoned_answers"),
    "X2En": _listed("translation_en"),
    "Sound": _label_of("sound-event"),
    "Instr": _label_of("instrument"),
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
_LABELLED: Final[dict[str, Callable[[Facts], Sequence[str]]]] = {
    "ER": _REFERENCES["ER"],
    "SV": lambda _: ("yes", "no"),
    "GR": lambda _: tuple(GENDERS.values()),
    "Sound": _REFERENCES["Sound"],
    "Instr": _REFERENCES["Instr"],
}
_FIXED: Final[dict[str, Callable[[], Sequence[Metric]]]] = {
    "En2Zh": lambda: (metrics.bleu("zh"), metrics.chrf()),
    "En2De": lambda: (metrics.bleu("13a"), metrics.chrf()),
    "En2Ja": lambda: (metrics.bleu("ja-mecab"), metrics.chrf()),
    "X2En": lambda: (metrics.bleu("13a"), metrics.chrf()),
    "AAC": lambda: tuple(captions.caption_metric(name) for name in captions.NAMES),
    "PR": lambda: (rates.phone_error_rate(),),
    "MC": lambda: (metrics.bleu("13a"), metrics.rouge_l()),
    "OSR": lambda: (rates.overlapped_word_error_rate(),),
    "KE": lambda: (labels.keywords(),),
}
