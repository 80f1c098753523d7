"""Something to learn, and what a labelled clip teaches.

    facts of a clip ─▶ Example ─▶ the original's annotation JSON (`engine.data.lists`)

Which wording of its task asks is drawn when an example is used.  Knows no audio.

Source:
    bytedance/SALMONN@a58bba7, dataset.py.  The answers' wording is ours.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.data.manifest import Clip
from engine.tasks import LANGUAGES, find

GENDERS: Final = {"f": "female", "m": "male"}
OFFICIAL_TRANSLATIONS: Final = {"zh": "translation_ec"}
ASR: Final = {"zh": "asr_zh", "de": "asr_de"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A recording or a text, a question about it, and the answer."""

    text: str
    """The answer that the model is to give."""
    files: tuple[Path, ...] = ()
    """The clip; what follows the first is heard behind it.  None: `read` is asked
    about."""
    read: str = ""
    """A text that is asked about in place of a recording."""
    said: str = ""
    """What is said in the recording, where the model is told beside hearing it."""
    task: str = "asr"
    """A group of `engine.wordings`."""
    question: str = ""
    """What the wording of the task leaves open."""
    language: str = ""
    """Code of the language that is spoken, as `en`; empty where nobody says."""
    start_s: float | None = None
    """Only where a part of the file is meant."""
    duration_s: float | None = None
    key: str = field(default="", compare=False)
    """The path as its list has it."""


def examples_of(clip: Clip, tasks: Iterable[str] = ()) -> list[Example]:
    """Return what a clip can teach.

    Args:
        clip: What is known of it decides.
        tasks: Groups of prompts to keep; none means all.
    """
    wanted = set(tasks)
    return [
        Example(
            files=(clip.file, *clip.expand),
            text=text,
            task=task,
            question=question,
            language=language_code(clip.facts),
            start_s=clip.start_s,
            duration_s=clip.duration_s,
            key=clip.path,
        )
        for task, question, text in _answers(clip.facts)
        if text and (not wanted or task in wanted)
    ]


def _answers(facts: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield task, question and answer."""
    for key, task_of, answer in _SIMPLE:
        if key in facts:
            yield task_of(facts), "", answer(facts[key])
    for language in LANGUAGES:
        if translations := facts.get(f"translation_{language}"):
            first = translations if isinstance(translations, str) else translations[0]
            if task := OFFICIAL_TRANSLATIONS.get(language):
                yield task, "", first
            else:
                yield "QA", find(f"translate:{language}").prompt, first
    for key, task in (
        ("captions", "audiocaption"),
        ("music_captions", "music_description"),
    ):
        for caption in facts.get(key, ()):
            yield task, "", caption
    if "emotion" in str(facts.get("task", "")).split(",") and "label" in facts:
        yield "emotion_recognition", "", str(facts["label"])
    for question, answer_ in facts.get("qa", ()):
        yield "QA", question, answer_


def language_code(facts: Mapping[str, Any]) -> str:
    """Return the code of the spoken language; empty if it is not known."""
    return str(facts.get("lang") or "").partition("_")[0]  # en_GB is English, too


def sentence(text: str) -> str:
    """Return a text of capitals as a sentence, any other as it is."""
    return text.capitalize() if text.isupper() else text


def separated(texts: Iterable[str]) -> str:
    """Return what each of several speakers said, a line each."""
    said = [f"Speaker {n}: {sentence(text)}" for n, text in enumerate(texts, 1)]
    return "\n".join(said)


_Task = Callable[[Mapping[str, Any]], str]
_SIMPLE: Final[tuple[tuple[str, _Task, Callable[[Any], str]], ...]] = (
    ("text", lambda facts: ASR.get(facts.get("lang", ""), "asr"), sentence),
    ("gender", lambda _: "gender_recognition", lambda g: GENDERS.get(g, "")),
    ("phones", lambda _: "phone_recognition", str),
    ("texts", lambda _: "speech_separation", separated),
    ("same_speaker", lambda _: "speaker_verification", lambda y: "Yes" if y else "No"),
    ("story", lambda _: "audio_story_telling", str),
)
