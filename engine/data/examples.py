"""What a clip can teach: examples, in memory and as the original's annotation JSON.

    {"annotation": [{"path", "text", "task", "Q", "expand_wav"}, …]}

`task` names a group of `engine.wordings`, `Q` fills the open place of its prompt,
`expand_wav` are recordings that are heard after the first.  Which wording asks is drawn
when the example is used.  Knows no audio.

Source:
    bytedance/SALMONN@a58bba7, dataset.py.  The answers' wording is ours.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.data.manifest import Clip, ManifestError, relative
from engine.tasks import LANGUAGES, find

GENDERS: Final = {"f": "female", "m": "male"}
OFFICIAL_TRANSLATIONS: Final = {"zh": "translation_ec"}
ASR: Final = {"zh": "asr_zh", "de": "asr_de"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A recording, a task, and the answer."""

    file: Path
    text: str
    """The answer that the model is to give."""
    task: str = "asr"
    question: str = ""
    expand: tuple[Path, ...] = ()
    start_s: float | None = None
    duration_s: float | None = None
    """Both only where a part of the file is meant."""


def examples_of(clip: Clip, tasks: Iterable[str] = ()) -> list[Example]:
    """Return what a clip can teach.

    Args:
        clip: What is known of it decides.
        tasks: Groups of prompts to keep; none means all.
    """
    wanted = set(tasks)
    part = None if clip.start_s is None else clip.duration_s
    return [
        Example(
            file=clip.file,
            text=text,
            task=task,
            question=question,
            expand=clip.expand,
            start_s=clip.start_s,
            duration_s=part,
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


def read_annotation(file: Path) -> list[Example]:
    """Return the examples of the original's JSON; paths are relative to the file.

    Raises:
        ManifestError: If it is absent or has another form.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["annotation"]
        return [_example(file.parent, entry) for entry in entries]
    except OSError as exc:
        raise ManifestError(f"cannot read {file}: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise ManifestError(f"{file} is not an annotation: {exc!r}") from exc


def write_annotation(file: Path, examples: Iterable[Example]) -> int:
    """Write the original's JSON, its paths relative to the file; return how many.

    Raises:
        ManifestError: If an example is a part of a file, which the original cannot say.
        OSError: If it cannot be written.
    """
    entries = [_entry(file.parent, example) for example in examples]
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"annotation": entries}, ensure_ascii=False, indent=1)
    file.write_text(text + "\n", encoding="utf-8")
    return len(entries)


def _example(root: Path, entry: Mapping[str, Any]) -> Example:
    return Example(
        file=root / entry["path"],
        text=str(entry["text"]),
        task=str(entry.get("task", "asr")),
        question=str(entry.get("Q", "")),
        expand=tuple(root / path for path in entry.get("expand_wav") or ()),
    )


def _entry(root: Path, example: Example) -> dict[str, Any]:
    if example.start_s is not None:
        raise ManifestError(
            f"{example.file} from {example.start_s:g} s: the original's JSON names "
            "whole files only; cut the clips first (salmonn-data cut)"
        )
    entry: dict[str, Any] = {"path": relative(example.file, root), "text": example.text}
    entry["task"] = example.task
    if example.question:
        entry["Q"] = example.question
    if example.expand:
        entry["expand_wav"] = [relative(path, root) for path in example.expand]
    return entry
