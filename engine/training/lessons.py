"""What the mini is asked about labelled clips, and what it should answer.

    facts of a clip ─▶ lessons: task, question, answer ─▶ a line of a list for training

Transcripts, translations and the questions that SALMONN has names for are asked by the
wordings of their group.  The rest are free questions, each in several wordings and with
several forms of answer, drawn by the clip's path, so that the same clip always teaches
the same.  Of "do you hear …?" as many are answered yes as no, and what is not heard is
something of the same set: the near misses are what must be told apart.  Clips that were
made (`engine.data.making`) bring questions of their own.

What texts teach without audio is in `engine.training.texts`.  Where the model is told
what is said, it is told in most lessons about speech, not in all: a transcript may be
missing.  Knows facts only.
"""

import argparse
import json
import random
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from engine.data.examples import language_code
from engine.data.lists import Split
from engine.data.manifest import Clip, read_manifest
from engine.errors import EngineError
from engine.evaluation.classes import FAMILY_OF
from engine.evaluation.facts import asked_slots
from engine.tasks import TEST_PROMPTS, find, is_of_words, name_asked, name_of
from engine.training import mixture
from engine.training.free_questions import (
    ANSWERS,
    GENDERS,
    KIND_ANSWERS,
    KINDS_HEARD,
    QUESTIONS,
    SAME,
)
from engine.training.labels import Target, emotion, language, target, voice
from engine.training.texts import (
    QA,
    SLOTS,
    as_written,
    foreign_lines,
    read_lines,
    written_lines,
)

TAGGED: Final = "game_music"
"""The set whose labels are estimates: of them nothing is denied."""
TOLD_WORDS: Final = 0.8
"""Of the lessons about speech: in how many the model is told what is said."""
KIND_ASKED: Final = 0.3
"""Of the visits to clips of which only the kind can be denied: in how many it may be.
Whether speech is speech is soon learned; how it is spoken, and what is said, is not."""
SOUNDS: Final = ("a dog", "rain", "a piano", "an engine", "a voice", "birds")
"""What is asked for in silence."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A question about a clip, and its answer."""

    task: str
    """A group of `engine.wordings`."""
    question: str
    """What the wording leaves open; empty for most groups."""
    answer: str
    names: bool = False
    """Whether the answer is what one would first of all say of the clip."""
    pair: str = ""
    """Lessons of a clip with the same one are asked together: a yes and a no."""


def lessons(
    clip: Clip, others: Mapping[str, Sequence[str]], *, seed: int = 0
) -> list[Lesson]:
    """Return what a clip teaches.

    Args:
        clip: Labelled.
        others: Names of what is heard in each set, to ask for what is not.
        seed: Of what is drawn.
    """
    facts = clip.facts
    heard = target(facts)
    drawn = random.Random(f"{seed} {clip.path}")
    found = [*_spoken(facts, drawn), *_orders(facts, drawn), *_made(facts, drawn)]
    if heard is not None:
        found += _described(heard, facts, drawn)
        found += _yes_or_no(heard, facts, others.get(facts["set"], ()), drawn)
    return found


def names_of(clips: Iterable[Clip]) -> dict[str, list[str]]:
    """Return what is heard in the clips of each set, by its names."""
    found: dict[str, set[str]] = {}
    for clip in clips:
        heard = target(clip.facts)
        if heard is not None and (name := _name(heard)):
            found.setdefault(clip.facts["set"], set()).add(name)
    return {name: sorted(labels) for name, labels in found.items()}


def lines(
    clips: Sequence[Clip], *, split: Split = "train", seed: int = 0
) -> Iterator[dict[str, Any]]:
    """Yield the lines of a list for training, or for scoring; of one split only."""
    chosen = [clip for clip in clips if clip.facts.get("split") == split]
    others = names_of(chosen)
    for clip in chosen:
        for lesson in lessons(clip, others, seed=seed):
            yield _line(clip, lesson, split)


def shared_lines(
    clips: Sequence[Clip],
    shares: Mapping[str, float],
    *,
    split: Split = "train",
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield as `lines` does, each set as often as its share says; others not at all.

    Raises:
        ValueError: If a share is none, or there are no clips of its set.
    """
    chosen = [clip for clip in clips if clip.facts.get("split") == split]
    mixture.check(shares, {str(clip.facts["set"]) for clip in chosen})
    others = names_of(chosen)
    for name, share in shares.items():
        drawn = random.Random(f"{seed} {name}")
        of_set = [clip for clip in chosen if clip.facts["set"] == name]
        for clip, number in mixture.visits(of_set, share, drawn):
            found = lessons(clip, others, seed=seed + number)
            if _only_of_kind(found) and drawn.random() >= KIND_ASKED:
                found = [lesson for lesson in found if not lesson.pair]
            naming = [lesson for lesson in found if lesson.names]
            pairs = _pairs(found)
            for lesson in mixture.of_visit(found, naming, pairs, drawn):
                yield _line(clip, lesson, split)


def _only_of_kind(found: Iterable[Lesson]) -> bool:
    return {lesson.pair for lesson in found if lesson.pair} == {"kind"}


def _pairs(found: Sequence[Lesson]) -> list[list[Lesson]]:
    names = dict.fromkeys(lesson.pair for lesson in found if lesson.pair)
    return [[lesson for lesson in found if lesson.pair == name] for name in names]


def _line(clip: Clip, lesson: Lesson, split: Split) -> dict[str, Any]:
    line = {"path": clip.path, "split": split, "duration_s": clip.duration_s}
    line |= {"task": lesson.task, "text": lesson.answer}
    if said := _said(clip, lesson):
        line["said"] = said
    if code := language_code(clip.facts):
        line["lang"] = code
    return line | ({"Q": lesson.question} if lesson.question else {})


def _said(clip: Clip, lesson: Lesson) -> str:
    """Return what the model is told of the words of a clip; empty for nothing."""
    group = lesson.task
    name = name_of(group) if group in TEST_PROMPTS else group
    if is_of_words(name_asked(lesson.question) or name):
        return ""
    drawn = random.Random(f"{clip.path} {lesson.question}").random()
    if drawn >= TOLD_WORDS:
        return ""
    # What a transcriber hears is what the model will be told; a text that somebody
    # wrote stands in for it.
    return str(clip.facts.get("said") or as_written(clip.facts.get("text", "")))


def read_shares(path: Path) -> dict[str, float]:
    """Return the shares of a TOML file, its table `shares`.

    Raises:
        ValueError: If it is none.
        OSError: If it cannot be read.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8")).get("shares")
    if not isinstance(table, dict):
        raise ValueError(f"{path} has no table [shares]")
    wrong = [name for name, share in table.items() if type(share) not in (int, float)]
    if wrong:
        raise ValueError(f"{path}: shares.{wrong[0]} is no number")
    return {name: float(share) for name, share in table.items()}


def _spoken(facts: Mapping[str, Any], drawn: random.Random) -> Iterator[Lesson]:
    if text := facts.get("text"):
        yield Lesson("asr", "", as_written(text))
        yield Lesson(QA, drawn.choice(QUESTIONS["words"]), as_written(text))
    if (who := voice(facts)) in GENDERS:
        yield Lesson("gender_recognition", "", GENDERS[who], not emotion(facts))
    if chinese := facts.get("translation_zh"):
        first = chinese if isinstance(chinese, str) else chinese[0]
        yield Lesson("translation_ec", "", first)
    # Of a clip that was cut, whose text is not told, not all of it is heard.
    if "text" in facts and (english := facts.get("translation_en")):
        yield Lesson(QA, find("translate:en").prompt, english)


def _orders(facts: Mapping[str, Any], drawn: random.Random) -> Iterator[Lesson]:
    for name, value in asked_slots(facts):
        yield Lesson(QA, find(f"{SLOTS}:{name}").prompt, value, True)
        question = drawn.choice(QUESTIONS["slot"]).format(name)
        yield Lesson(QA, question, value.capitalize() + ".", True)


def _made(facts: Mapping[str, Any], drawn: random.Random) -> Iterator[Lesson]:
    """Yield what only clips that were made of others are asked."""
    if "same_speaker" in facts:
        is_same = bool(facts["same_speaker"])
        yield Lesson("speaker_verification", "", "Yes" if is_same else "No", True)
        yield Lesson(QA, drawn.choice(QUESTIONS["same"]), SAME[is_same], True)
    for question, answer in facts.get("qa", ()):
        yield Lesson(QA, question, answer, True)


def _described(
    heard: Target, facts: Mapping[str, Any], drawn: random.Random
) -> Iterator[Lesson]:
    """Yield questions about what kind of sound it is, and what of that kind."""
    kind, name = heard.labels[0], _name(heard)
    yield _asked("kind", KIND_ANSWERS[kind], drawn)
    if kind == "silence":
        yield _asked("sound", kind, drawn)
    elif kind == "speech":
        if who := voice(facts):
            yield _asked("voice", f"a {who}", drawn)
        if spoken := language(facts):
            yield _asked("language", spoken, drawn)
        if mood := emotion(facts):
            yield Lesson("emotion_recognition", "", mood.capitalize(), True)
            yield _asked("emotion", mood, drawn, names=True)
    elif facts["set"] == TAGGED:
        yield _asked("music", name or "music", drawn, names=True)
    elif name:
        about = "instrument" if kind == "music" else "sound"
        yield _asked(about, name, drawn, names=True)
        if kind == "music" and (family := FAMILY_OF.get(name)):
            yield _asked("family", family, drawn)


def _yes_or_no(
    heard: Target, facts: Mapping[str, Any], others: Sequence[str], drawn: random.Random
) -> Iterator[Lesson]:
    kind, name = heard.labels[0], _name(heard)
    if kind == "silence":
        yield _hear(drawn.choice(SOUNDS), "No, it is silent.", drawn)
        return
    is_one = KIND_ANSWERS[kind] in KINDS_HEARD
    other = drawn.choice([k for k in KINDS_HEARD if k != KIND_ANSWERS[kind]])
    if is_one:
        yield _hear(KIND_ANSWERS[kind], "Yes.", drawn, pair="kind")
    yield _hear(other, "No.", drawn, pair="kind" if is_one else "")
    wrong = [other for other in others if other != name]
    if not name or not wrong or kind == "speech" or facts["set"] == TAGGED:
        return
    denied = drawn.choice(("No.", f"No, I hear {name}."))
    yield _hear(name, "Yes.", drawn, pair="name")
    yield _hear(drawn.choice(wrong), denied, drawn, pair="name")


def _hear(about: str, answer: str, drawn: random.Random, *, pair: str = "") -> Lesson:
    question = drawn.choice(QUESTIONS["hear"]).format(about)
    return Lesson(QA, question, answer, pair=pair)


def _asked(
    about: str, answer: str, drawn: random.Random, *, names: bool = False
) -> Lesson:
    form = drawn.choice(ANSWERS).format(answer)
    said = form[0].upper() + form[1:]
    return Lesson(QA, drawn.choice(QUESTIONS[about]), said, names)


def _name(heard: Target) -> str:
    """Return what is heard, in words; empty where only the kind is known."""
    return " ".join(heard.labels[1:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        clips = read_manifest(options.manifest, sets=tuple(options.set))
        how: dict[str, Any] = {"split": options.split, "seed": options.seed}
        if options.shares:
            shares = read_shares(options.shares)
            found = [*shared_lines(clips, shares, **how)]
        else:
            found = [*lines(clips, **how)]
        read = [of(clips, split=options.split) for of in (foreign_lines, read_lines)]
        texts = [*chain(*read)]
        random.Random(options.seed).shuffle(texts)
        found += texts[: options.max_texts]
        if options.pairs:
            text = options.pairs.read_text(encoding="utf-8")
            pairs = [json.loads(line) for line in text.splitlines()]
            written = [*written_lines(pairs, split=options.split)]
            random.Random(options.seed).shuffle(written)
            found += written[: options.max_pairs]
        with options.out.open("w", encoding="utf-8") as file:
            for line in found:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
    except (EngineError, OSError, ValueError, LookupError) as exc:
        sys.stderr.write(f"engine.training.lessons: {exc}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine.training.lessons",
        description="Write the list from which the mini is taught.  Its paths are the "
        "manifest's: it belongs beside it, unless frames of all clips are kept.",
    )
    parser.add_argument("--manifest", type=Path, required=True, help="labelled clips")
    parser.add_argument(
        "--set", action="append", default=[], help="only these sets; repeatable"
    )
    parser.add_argument("--out", type=Path, required=True, help="the list, .jsonl")
    parser.add_argument(
        "--pairs", type=Path, help="sentences and translations: {en, zh, split} a line"
    )
    parser.add_argument(
        "--max-pairs", type=int, metavar="N", help="N of them, drawn (default: all)"
    )
    parser.add_argument(
        "--max-texts",
        type=int,
        metavar="N",
        help="N of what the clips' texts teach without sound: foreign words, orders, "
        "phones (default: all)",
    )
    parser.add_argument(
        "--shares",
        type=Path,
        metavar="FILE",
        help="TOML: how often the clips of each set are visited; of others, none are",
    )
    parser.add_argument("--split", choices=["train", "dev"], default="train")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
