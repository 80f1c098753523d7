"""Lists of examples on disk: the original's annotation, and ours.

    .json   the original's: {"annotation": [{path, text, task, Q, expand_wav}, …]}
    .jsonl  ours: the same fields, an object a line, beside `split`, `duration_s`,
            `start_s` and `read`: a text that is asked about, in place of a path

`task` names a group of `engine.wordings`, `Q` fills the open place of its prompt,
`expand_wav` are recordings that are heard after the first, `lang` (ours) is what is
spoken.  Paths are relative to their
list.  A line that is no example is skipped and counted by what is wrong with it.  Opens
no audio.

Source:
    bytedance/SALMONN@a58bba7, dataset.py, and its released annotation.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.data.examples import Example, language_code
from engine.data.manifest import ManifestError, relative
from engine.errors import EngineError
from engine.tasks import TRAINED
from engine.wordings import WORDINGS

Split = Literal["train", "dev"]
MOST_NAMED = 5


class DataError(EngineError):
    """Raised when there is nothing to learn from a list."""


@dataclass(frozen=True, slots=True)
class Examples:
    """All examples of some lists, and why other lines are none."""

    items: tuple[Example, ...]
    skipped: Counter[str]

    def __str__(self) -> str:
        text = f"{len(self.items)} examples"
        if self.skipped:
            reasons = ", ".join(
                f"{count} {reason}"
                for reason, count in self.skipped.most_common(MOST_NAMED)
            )
            text += f"; {self.skipped.total()} lines skipped: {reasons}"
        return text


def read_examples(
    lists: Sequence[Path],
    split: Split,
    *,
    groups: Sequence[str] = (),
    answered: bool = True,
) -> Examples:
    """Return the examples of some lists, in their order.

    Args:
        lists: Files.
        split: Lines that name another split are left out, and are not counted; lines
            that name none belong to any.
        groups: Only examples of these; none means all.
        answered: Whether a line without a text is none; else, only its clip counts.

    Raises:
        DataError: If a list cannot be read, is no list, or nothing is left.
    """
    items, skipped = [], Counter[str]()
    for path in lists:
        for entry in _entries(path):
            if not isinstance(entry, dict):
                skipped["not an object"] += 1
                continue
            if entry.get("split", split) not in (split, None):
                continue
            try:
                example = _example(path, entry, answered)
            except ValueError as exc:
                skipped[str(exc)] += 1
                continue
            if not groups or example.task in groups:
                items.append(example)
    found = Examples(tuple(items), skipped)
    if not items:
        names = ", ".join(map(str, lists)) or "no list"
        raise DataError(f"{names}: nothing for {split}: {found}")
    return found


def write_annotation(file: Path, examples: Iterable[Example]) -> int:
    """Write the original's JSON, its paths relative to the file; return how many.

    Raises:
        ManifestError: If an example is about a part of a file or about a text, which
            the original cannot say.
        OSError: If it cannot be written.
    """
    entries = [_entry(file.parent, example) for example in examples]
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"annotation": entries}, ensure_ascii=False, indent=1)
    file.write_text(text + "\n", encoding="utf-8")
    return len(entries)


def _entry(root: Path, example: Example) -> dict[str, Any]:
    if not example.files:
        raise ManifestError(
            f"{example.read[:40]!r} is a text: the original's JSON names recordings"
        )
    first, *others = example.files
    if example.start_s is not None:
        raise ManifestError(
            f"{first} from {example.start_s:g} s: the original's JSON names "
            "whole files only; cut the clips first (salmonn-data cut)"
        )
    entry: dict[str, Any] = {"path": relative(first, root), "text": example.text}
    entry["task"] = example.task
    if example.question:
        entry["Q"] = example.question
    if example.language:
        entry["lang"] = example.language
    if others:
        entry["expand_wav"] = [relative(path, root) for path in others]
    return entry


def _entries(path: Path) -> Iterator[Any]:
    """Yield what a list holds; None for a line that is no JSON."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as exc:
        raise DataError(f"cannot read {path}: {exc}") from exc
    if path.suffix == ".jsonl":
        for line in text.splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                yield None
        return
    try:
        annotation = json.loads(text)["annotation"]
    except (ValueError, KeyError, TypeError) as exc:
        raise DataError(f'{path} has no list under "annotation": {exc!r}') from exc
    if not isinstance(annotation, list):
        raise DataError(f'{path}: "annotation" is no list')
    yield from annotation


def _example(path: Path, entry: Mapping[str, Any], answered: bool) -> Example:
    """Return the example of a line.

    Raises:
        ValueError: If it is none; says what is wrong in words that count well.
    """
    key, read, answer = entry.get("path", ""), entry.get("read", ""), entry.get("text")
    if not isinstance(key, str) or not isinstance(read, str) or not (key or read):
        raise ValueError("without a path")
    if not answered:
        answer, entry = "-", {**entry, "task": "audiocaption"}
    if not isinstance(answer, str) or not answer.strip():
        raise ValueError("without a text")
    question = entry.get("Q") or ""
    others = entry.get("expand_wav") or []
    if not isinstance(question, str):
        raise ValueError("with a Q that is no text")
    said = entry.get("said", "")
    if not isinstance(said, str):
        raise ValueError("with a said that is no text")
    if not isinstance(others, list) or not all(isinstance(o, str) for o in others):
        raise ValueError("with an expand_wav that is no list of paths")
    files = [path.parent / file for file in (key, *others)] if key else []
    return Example(
        key=key or read,
        files=tuple(files),
        read="" if key else read.strip(),
        said=said.strip() if key else "",
        text=answer.strip(),
        task=_group(entry.get("task", "asr")),
        question=question,
        language=language_code(entry),
        start_s=_seconds(entry, "start_s"),
        duration_s=_seconds(entry, "duration_s"),
    )


def _seconds(entry: Mapping[str, Any], name: str) -> float | None:
    value = entry.get(name)
    return float(value) if isinstance(value, int | float) else None


def _group(task: object) -> str:
    """Return the group of a task: its name, the paper's, or the first of several."""
    for name in str(task).split(","):
        group = TRAINED.get(name, name)
        if group in WORDINGS:
            return group
    raise ValueError(f"of task {str(task)[:40]!r}, which has no wording")
