"""What a list teaches, as weights then declare it.

    Example: group, question, language ─▶ Skills: tasks, free questions, languages

A task counts as taught if the list has it, however often: how well it was learned is
for whoever measures it to say (`salmonn-weights --convert`).  Knows no model.
"""

from collections.abc import Iterable
from typing import Final

from engine import tasks
from engine.data.examples import ASR, Example
from engine.skills import Skills
from engine.sounds import SOUNDS
from engine.tasks import SLOT, TEST_PROMPTS
from engine.training.free_questions import QUESTIONS
from engine.wordings import WORDINGS

_SPOKEN: Final = {group: code for code, group in ASR.items()}
"""Languages of groups that are about one."""


def taught(examples: Iterable[Example]) -> Skills:
    """Return what examples teach; a sound is taught where a yes says that it is heard.

    A task whose examples are all about texts is answered from the transcript.
    Languages are those in which something is transcribed or translated; None if no
    example says.
    """
    heard, read, languages = dict[str, None](), dict[str, None](), set[str]()
    questions, sounds = False, set[str]()
    told_words = False
    for example in examples:
        name = _name(example)
        told_words |= bool(example.said)
        if not example.files:
            read |= {name: None} if name else {}
            continue
        is_free = name is None and _asks_freely(example.task)
        questions |= is_free
        if is_free and example.text.startswith("Yes"):
            sounds |= _sounds(example.question)
        if is_free and example.task in TEST_PROMPTS:
            name = tasks.name_of(example.task)
        if name is None:
            continue
        heard[name] = None
        spoken = example.language or _SPOKEN.get(example.task)
        if spoken and name.partition(":")[0] in ("transcribe", "translate"):
            languages.add(spoken)
    return Skills(
        tasks=tuple(dict.fromkeys((*heard, *read))),
        questions=questions,
        told_words=told_words,
        sounds=tuple(label for label in SOUNDS if label in sounds),
        from_transcript=tuple(name for name in read if name not in heard),
        languages=tuple(sorted(languages)) or None,
    )


def _sounds(question: str) -> set[str]:
    """Return the sound that a question asks for by its label, if it is such a one."""
    found = set()
    for wording in QUESTIONS["hear"]:
        before, _, behind = wording.partition("{}")
        about = question.removeprefix(before).removesuffix(behind)
        if wording.format(about) == question and about in SOUNDS:
            found.add(about)
    return found


def _name(example: Example) -> str | None:
    """Return the task that an example is of; None if none has its question."""
    if _asks_freely(example.task):
        return tasks.name_asked(example.question, of_text=not example.files)
    if example.files and example.task in TEST_PROMPTS:
        return tasks.name_of(example.task)
    return None


def _asks_freely(group: str) -> bool:
    return WORDINGS[group] == (SLOT,)
