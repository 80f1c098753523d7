"""What texts teach without audio: translation, phones, and what is ordered.

    a text ─▶ "Translate this text into Chinese:" ─▶ a line of a list for training

So a live task can be answered from the settled transcript, by the same model
(`engine.skills`).  Knows facts only.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from engine.data.examples import language_code
from engine.data.lists import Split
from engine.data.manifest import Clip
from engine.evaluation.facts import asked_slots
from engine.tasks import LANGUAGES, find_written

QA: Final = "QA"
"""The group of `engine.wordings` that asks a question as it is."""
SLOTS: Final = "slot_filling"


def written_lines(
    pairs: Iterable[Mapping[str, Any]], *, split: Split = "train"
) -> Iterator[dict[str, Any]]:
    """Yield lines that ask for the Chinese of an English text.

    Args:
        pairs: `en`, a text; `zh`, its translations, the first of which is learned.
        split: Which pairs.
    """
    for pair in pairs:
        if pair.get("split") == split:
            yield _line(pair["en"], "translate:zh", pair["zh"][0], split)


def foreign_lines(
    clips: Iterable[Clip], *, split: Split = "train"
) -> Iterator[dict[str, Any]]:
    """Yield lines that ask for the foreign text of a clip, given its English."""
    seen = set()
    for clip in clips:
        facts = clip.facts
        code = language_code(facts) or "en"
        text, english = facts.get("text"), facts.get("translation_en")
        if facts.get("split") != split or code == "en" or code not in LANGUAGES:
            continue
        if text and english and (code, english) not in seen:
            seen.add((code, english))
            yield _line(english, f"translate:{code}", text, split)


def read_lines(
    clips: Iterable[Clip], *, split: Split = "train"
) -> Iterator[dict[str, Any]]:
    """Yield lines that ask a clip's text for its phones, or for what is ordered."""
    for clip in clips:
        text = clip.facts.get("text")
        if clip.facts.get("split") != split or not text:
            continue
        for task, answer in _of_text(clip.facts):
            yield _line(as_written(text), task, answer, split)


def _line(read: str, task: str, answer: str, split: Split) -> dict[str, Any]:
    line = {"read": read, "split": split, "task": QA}
    return line | {"Q": find_written(task), "text": answer}


def as_written(text: str) -> str:
    """Return a text without the capitals of LibriSpeech."""
    return text.capitalize() if text.isupper() else text


def _of_text(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if phones := facts.get("phones"):
        yield "phone_recognition", phones
    for name, value in asked_slots(facts):
        yield f"{SLOTS}:{name}", value
