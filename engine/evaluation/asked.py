"""What our own rows ask of which clips (`engine.evaluation.ours`).

Where clips of all sets are asked together, so many of each kind are; where the answer
is yes or no, as many of one as of the other.  Knows no scores.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from engine.data.examples import GENDERS
from engine.data.manifest import Clip
from engine.evaluation import classes, facts
from engine.evaluation.facts import Facts
from engine.evaluation.labels import plain
from engine.evaluation.questions import Question, ask
from engine.tasks import LANGUAGES, find, find_written

T = TypeVar("T")
Asked = Iterator[tuple[str, Question]]
"""Questions, each with the name of the set that it counts in."""
MOST_OF_A_KIND: Final = 40
"""Clips of each kind, or language, where all sets are asked together."""
ADULT: Final = 16
"""Years from which a voice tells the gender, and phones are an adult's."""


def _set(clip: Clip, part: str = "") -> str:
    name = str(clip.facts.get("set", "clips"))
    return f"{name} ({part})" if part else name


def labelled(kind: str, about: str, clips: Sequence[Clip]) -> Asked:
    """Ask for the label of clips whose task is `about`, in the wordings of a kind."""
    for clip in clips:
        for label in facts.label_of(about)(clip.facts):
            yield _set(clip), ask(kind, clip, label)


def families(clips: Sequence[Clip]) -> Asked:
    """Ask for the family of an instrument."""
    for clip in clips:
        for label in facts.label_of("instrument")(clip.facts):
            if family := classes.FAMILY_OF.get(label):
                yield _set(clip), ask("family", clip, family)


def kind_of(known: Facts) -> str:
    """Return the kind of audio that a clip is; empty if its facts do not tell."""
    tasks = str(known.get("task", "")).split(",")
    if "sound-event" in tasks:
        return classes.KIND_OF_SOUND.get(plain(str(known.get("label"))), "")
    if "instrument" in tasks or "music" in tasks:
        return "music"
    return "speech" if known.get("lang") or known.get("text") else ""


def kinds(clips: Sequence[Clip]) -> Asked:
    """Ask for the kind of audio."""
    for kind, clip in _some_of_each(clips, kind_of):
        yield "all sets", ask("kind", clip, kind)


def _language(known: Facts) -> str:
    return LANGUAGES.get(code_of(known), "")


def code_of(known: Facts) -> str:
    """Return the code of the spoken language without its region; it may be empty."""
    return str(known.get("lang", "")).partition("_")[0]


def languages(clips: Sequence[Clip]) -> Asked:
    """Ask for the name of the spoken language."""
    for language, clip in _some_of_each(clips, _language):
        yield "all sets", ask("language", clip, language)


def _some_of_each(
    clips: Sequence[Clip], kind_of: Callable[[Facts], str]
) -> Iterator[tuple[str, Clip]]:
    """Yield the same clips each time, at most `MOST_OF_A_KIND` of each kind."""
    found: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        if kind := kind_of(clip.facts):
            found[kind].append(clip)
    for kind, each in sorted(found.items()):
        for clip in some(each, MOST_OF_A_KIND):
            yield kind, clip


def some(items: Sequence[T], most: int) -> list[T]:
    """Return so many of them, drawn with the same luck each time, in their order."""
    if len(items) <= most:
        return list(items)
    places = random.Random(0).sample(range(len(items)), most)
    return [items[place] for place in sorted(places)]


def _is_adult(clip: Clip) -> bool:
    return float(clip.facts.get("age", ADULT)) >= ADULT


def _part(clip: Clip) -> str:
    return "adults" if "age" in clip.facts else ""


def genders(clips: Sequence[Clip]) -> Asked:
    """Ask whether a man or a woman speaks; of adults."""
    for clip in filter(_is_adult, clips):
        if gender := GENDERS.get(str(clip.facts.get("gender"))):
            yield _set(clip, _part(clip)), ask("gender", clip, gender)


def phones(clips: Sequence[Clip]) -> Asked:
    """Ask for the phones of what adults say."""
    for clip in filter(_is_adult, clips):
        for said in facts.english_phones(clip.facts):
            yield _set(clip, _part(clip)), ask("phones", clip, said)


def speakers(clips: Sequence[Clip]) -> Asked:
    """Ask whether both parts of a pair have one speaker."""
    for clip in clips:
        for answer in facts.same_speaker(clip.facts):
            yield _set(clip), ask("same", clip, answer)


def orders(clips: Sequence[Clip]) -> Asked:
    """Ask for each slot of an order."""
    for clip in clips:
        for about, value in facts.asked_slots(clip.facts):
            yield _set(clip), ask("slot", clip, value, about=about)


def orders_read(clips: Sequence[Clip]) -> Asked:
    """Ask what was heard as text for each slot of an order."""
    for clip in clips:
        for about, value in facts.asked_slots(clip.facts):
            yield _set(clip), _read(clip, f"slot_filling:{about}", (value,))


def phones_read(clips: Sequence[Clip]) -> Asked:
    """Ask what was heard as text for its phones, where adults speak."""
    for clip in filter(_is_adult, clips):
        for said in facts.english_phones(clip.facts):
            yield _set(clip, _part(clip)), _read(clip, "phone_recognition", (said,))


def _read(clip: Clip, task: str, references: tuple[str, ...]) -> Question:
    prompt = find_written(task)
    return Question(clip, prompt, task, references, from_transcript=True)


def into_english(clips: Sequence[Clip]) -> Asked:
    """Ask for the English of foreign speech, as it is served."""
    prompt = find("translate:en").prompt
    for clip in clips:
        if english := clip.facts.get("translation_en"):
            yield _set(clip), Question(clip, prompt, "translate:en", (str(english),))


def out_of_english(clips: Sequence[Clip]) -> Asked:
    """Yield each English text once for a language, all its translations right."""
    found: dict[tuple[str, str, str], list[Clip]] = defaultdict(list)
    for clip in clips:
        english, code = clip.facts.get("translation_en"), code_of(clip.facts)
        if english and clip.facts.get("text") and code in LANGUAGES:
            found[_set(clip), code, str(english)].append(clip)
    for (name, code, english), each in found.items():
        texts = tuple(dict.fromkeys(str(clip.facts["text"]) for clip in each))
        prompt = find_written(f"translate:{code}")
        task = f"translate:{code}"
        yield name, Question(each[0], prompt, task, texts, read=english)


def into_chinese(clips: Sequence[Clip]) -> Asked:
    """Ask for the Chinese of what was heard as text."""
    for clip in clips:
        if texts := facts.listed("translation_zh")(clip.facts):
            yield _set(clip), _read(clip, "translate:zh", tuple(texts))


def tags(kind: str, clips: Sequence[Clip]) -> Asked:
    """Ask for the likeliest tag of a kind, one of `classes.TAGS`."""
    for clip in clips:
        if tag := classes.strongest(kind, clip.facts.get("tags_estimated", {})):
            yield _set(clip), ask(kind, clip, tag)


def heard(clips: Sequence[Clip]) -> Asked:
    """Yield as many questions of yes as of no; what is not heard is of the same set."""
    by_set: dict[str, list[tuple[str, Clip]]] = defaultdict(list)
    for clip in clips:
        for about in ("sound-event", "instrument"):
            for label in facts.label_of(about)(clip.facts):
                by_set[_set(clip)].append((label, clip))
    for name, each in by_set.items():
        names = sorted({label for label, _ in each})
        ordered = sorted(each, key=lambda pair: (pair[0], pair[1].path))
        for number, (label, clip) in enumerate(ordered):
            others = [n for n in names if n not in label and label not in n]
            if not others:
                continue
            drawn = random.Random(clip.path).choice(others)
            answer, about = ("no", drawn) if number % 2 else ("yes", label)
            yield name, ask("hear", clip, answer, about=classes.called(about))
