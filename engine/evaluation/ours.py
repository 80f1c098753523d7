"""Rows that the paper's table has not: what the mini is to hear, asked in many ways.

    kind, sound, instrument, family, emotion, gender, language, speakers, orders,
    phones, translation by way of the transcript, from and into many languages,
    tags of music, and whether a sound is heard at all

What each asks of which clips is in `engine.evaluation.asked`; here is how it is scored.
Knows no model.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from engine.data.examples import GENDERS
from engine.data.manifest import Clip
from engine.evaluation import asked, classes, facts, labels, metrics, rates
from engine.evaluation.asked import MOST_OF_A_KIND, Asked
from engine.evaluation.facts import Facts
from engine.evaluation.labels import Labels
from engine.evaluation.metrics import Metric, among
from engine.evaluation.paper import Figure, Row
from engine.evaluation.questions import Question
from engine.evaluation.synonyms import SYNONYMS
from engine.tasks import LANGUAGES

LEVEL: Final = 4
Scores = Callable[[Sequence[Question], Sequence[Clip]], list[Metric]]
"""From questions, and all clips of their sets, to how answers are scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRow:
    """A row of ours."""

    row: Row
    questions: Callable[[Sequence[Clip]], Asked]
    """What can be asked about clips."""
    metrics: Scores
    """How answers to questions are scored, given all clips of their sets."""


def _row(task: str, metric: str, note: str) -> Row:
    figure = Figure(metric=metric, without=None, activated=None)
    return Row(task=task, level=LEVEL, group="", test="", figures=(figure,), note=note)


def _of_set(
    known: Callable[[Facts], Sequence[str]],
    questions: Sequence[Question],
    every: Sequence[Clip],
) -> list[Metric]:
    """Score by the labels that all clips of these sets have."""
    sets = {question.clip.facts.get("set") for question in questions}
    clips = [clip for clip in every if clip.facts.get("set") in sets]
    return _closed(Labels(n for clip in clips for n in known(clip.facts)), questions)


def _of_list(
    names: Mapping[str, Sequence[str]],
    questions: Sequence[Question],
    _: Sequence[Clip],
) -> list[Metric]:
    return _closed(Labels(names, synonyms=names), questions)


def _closed(told_apart: Labels, questions: Sequence[Question]) -> list[Metric]:
    right = labels.accuracy(told_apart)
    return [
        right,
        *_in_new_words(right, questions),
        labels.following(told_apart),
    ]


def _in_new_words(metric: Metric, questions: Sequence[Question]) -> list[Metric]:
    """Return the same score over those of the questions that no training has."""
    new = [question.is_new for question in questions]
    if all(new) or not any(new):
        return []
    return [among(metric, new, f"{metric.name}, new words")]


def _values(known: Facts) -> list[str]:
    return [value for _, value in facts.slots(known)]


def _phone_errors(questions: Sequence[Question], _: Sequence[Clip]) -> list[Metric]:
    metric = rates.phone_error_rate()
    return [metric, *_in_new_words(metric, questions)]


def _tagged(
    kind: str, questions: Sequence[Question], _: Sequence[Clip]
) -> list[Metric]:
    told_apart = Labels(classes.TAGS[kind], synonyms=classes.TAGS[kind])
    return [labels.named(told_apart), *_closed(told_apart, questions)]


def _by_language(
    whole: Iterable[Metric], questions: Sequence[Question], _: Sequence[Clip]
) -> list[Metric]:
    """Score all together, and chrF of each language."""
    found, spoken = list(whole), [asked.code_of(q.clip.facts) for q in questions]
    for code in sorted(set(spoken)) if len(set(spoken)) > 1 else ():
        mask = [one == code for one in spoken]
        found.append(among(metrics.chrf(), mask, f"chrF {code or '?'}"))
    return found


def _fixed(*whole: Metric) -> Scores:
    return lambda _, __: list(whole)


_ESTIMATES = "against the tag that a tagger finds likeliest: estimates, not truth"
SERVED_FROM: Final = 40.0
"""chrF from which a language is served."""
LEAST_PHRASES: Final = 30
"""On which it must be reached."""
_SERVED = (
    f"a language is served from chrF {SERVED_FROM:g} on, "
    f"on {LEAST_PHRASES} phrases or more"
)
OURS: Final = (
    OwnRow(
        row=_row("Kind", "accuracy", f"at most {MOST_OF_A_KIND} clips of each kind"),
        questions=asked.kinds,
        metrics=partial(_of_list, classes.KINDS),
    ),
    OwnRow(
        row=_row("Sound", "accuracy", "which sound it is"),
        questions=partial(asked.labelled, "sound", "sound-event"),
        metrics=partial(_of_set, facts.label_of("sound-event")),
    ),
    OwnRow(
        row=_row("Instr", "accuracy", "which instrument"),
        questions=partial(asked.labelled, "instrument", "instrument"),
        metrics=partial(_of_set, facts.label_of("instrument")),
    ),
    OwnRow(
        row=_row("Family", "accuracy", "an instrument's name names its family"),
        questions=asked.families,
        metrics=partial(_of_list, classes.FAMILIES),
    ),
    OwnRow(
        row=_row("Emotion", "accuracy", "as ER, in several wordings"),
        questions=partial(asked.labelled, "emotion", "emotion"),
        metrics=partial(_of_set, facts.label_of("emotion")),
    ),
    OwnRow(
        row=_row("Gender", "accuracy", "as GR, of adults, in several wordings"),
        questions=asked.genders,
        metrics=partial(_of_list, {name: SYNONYMS[name] for name in GENDERS.values()}),
    ),
    OwnRow(
        row=_row("Lang", "accuracy", f"at most {MOST_OF_A_KIND} clips of a language"),
        questions=asked.languages,
        metrics=partial(_of_list, dict.fromkeys(LANGUAGES.values(), ())),
    ),
    OwnRow(
        row=_row("Same", "accuracy", "as SV, in several wordings"),
        questions=asked.speakers,
        metrics=partial(_of_list, classes.SAME),
    ),
    OwnRow(
        row=_row(
            "Slots", "accuracy", "an answer that names values of two slots is wrong"
        ),
        questions=asked.orders,
        metrics=partial(_of_set, _values),
    ),
    OwnRow(
        row=_row("Slots-text", "accuracy", "as Slots, from the settled transcript"),
        questions=asked.orders_read,
        metrics=partial(_of_set, _values),
    ),
    OwnRow(
        row=_row("Phones", "PER", "as PR, of adults, in several wordings"),
        questions=asked.phones,
        metrics=_phone_errors,
    ),
    OwnRow(
        row=_row("Phones-text", "PER", "of adults, from the settled transcript"),
        questions=asked.phones_read,
        metrics=_phone_errors,
    ),
    OwnRow(
        row=_row("En2Zh-text", "BLEU4", "from the settled transcript"),
        questions=asked.into_chinese,
        metrics=_fixed(metrics.bleu("zh"), metrics.chrf()),
    ),
    OwnRow(
        row=_row("X2En", "chrF", f"speech into English; {_SERVED}"),
        questions=asked.into_english,
        metrics=partial(_by_language, (metrics.chrf(), metrics.bleu("13a"))),
    ),
    OwnRow(
        row=_row("En2X", "chrF", f"English text into the language; {_SERVED}"),
        questions=asked.out_of_english,
        metrics=partial(_by_language, (metrics.chrf(),)),
    ),
    OwnRow(
        row=_row("Tag-instr", "named", _ESTIMATES),
        questions=partial(asked.tags, "leading instrument"),
        metrics=partial(_tagged, "leading instrument"),
    ),
    OwnRow(
        row=_row("Tag-style", "named", _ESTIMATES),
        questions=partial(asked.tags, "style"),
        metrics=partial(_tagged, "style"),
    ),
    OwnRow(
        row=_row("Tag-tempo", "named", _ESTIMATES),
        questions=partial(asked.tags, "tempo"),
        metrics=partial(_tagged, "tempo"),
    ),
    OwnRow(
        row=_row("Hear", "accuracy", "as many yes as no; what is not heard is near"),
        questions=asked.heard,
        metrics=partial(_of_list, {name: SYNONYMS[name] for name in ("yes", "no")}),
    ),
)
