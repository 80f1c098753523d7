"""What a model is taught, read from lists: a clip, a question, an answer.

Two kinds of list, told apart by their suffix:

    .json   the original's: {"annotation": [{path, text, task, Q, expand_wav}, …]}
    .jsonl  ours: the same fields, an object a line, beside `split` and `duration_s`

Paths are relative to their list.  A line that is no example is skipped and counted by
what is wrong with it.  Opens no audio.

Source:
    bytedance/SALMONN@a58bba7, dataset.py, and its released annotation.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import EngineError
from engine.tasks import TRAINED
from engine.training.config import Split
from engine.wordings import WORDINGS

MOST_NAMED = 5
SPLITS = ("train", "dev")


class DataError(EngineError):
    """Raised when there is nothing to learn from a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One thing to learn."""

    key: str
    """The path as its list has it."""
    files: tuple[Path, ...]
    """The clip; what follows the first is heard behind it."""
    target: str
    group: str
    """Of `engine.wordings.WORDINGS`."""
    about: str = ""
    """What the wording leaves open."""
    duration_s: float | None = None


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
            if not groups or example.group in groups:
                items.append(example)
    found = Examples(tuple(items), skipped)
    if not items:
        names = ", ".join(map(str, lists)) or "no list"
        raise DataError(f"{names}: nothing for {split}: {found}")
    return found


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


def _example(path: Path, entry: dict[str, Any], answered: bool) -> Example:
    """Return the example of a line.

    Raises:
        ValueError: If it is none; says what is wrong in words that count well.
    """
    key, target = entry.get("path"), entry.get("text")
    if not isinstance(key, str) or not key:
        raise ValueError("without a path")
    if not answered:
        target, entry = "-", {**entry, "task": "audiocaption"}
    if not isinstance(target, str) or not target.strip():
        raise ValueError("without a text")
    about = entry.get("Q") or ""
    others = entry.get("expand_wav") or []
    if not isinstance(about, str):
        raise ValueError("with a Q that is no text")
    if not isinstance(others, list) or not all(isinstance(o, str) for o in others):
        raise ValueError("with an expand_wav that is no list of paths")
    duration = entry.get("duration_s")
    return Example(
        key=key,
        files=tuple(path.parent / file for file in (key, *others)),
        target=target.strip(),
        group=_group(entry.get("task", "asr")),
        about=about,
        duration_s=float(duration) if isinstance(duration, int | float) else None,
    )


def _group(task: object) -> str:
    """Return the group of a task: its name, the paper's, or the first of several."""
    for name in str(task).split(","):
        group = TRAINED.get(name, name)
        if group in WORDINGS:
            return group
    raise ValueError(f"of task {str(task)[:40]!r}, which has no wording")
