"""Labelled clips: one JSON object a line, paths relative to the file.

What the fields mean is in docs/data.md.  Knows nothing of audio: that a path leads to
a recording is found out when it is read (`engine.data.audio`).
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import EngineError

NOT_FACTS = {"path", "duration_s", "expand_wav"}
"""Fields that a clip has beside its facts."""


class ManifestError(EngineError):
    """Raised when a manifest cannot be read, or no clip of it was asked for."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording and what is known of it."""

    path: str
    """As the manifest has it."""
    file: Path
    duration_s: float
    facts: dict[str, Any]
    """All fields of its line."""
    expand: tuple[Path, ...] = ()
    """Recordings that are heard after it, as the second of a pair."""

    @property
    def start_s(self) -> float | None:
        """Where it begins in a file that holds more than this clip."""
        start = self.facts.get("start_s")
        return None if start is None else float(start)


def read_manifest(
    *manifests: Path,
    sets: tuple[str, ...] = (),
    split: str | None = None,
    limit: int | None = None,
) -> list[Clip]:
    """Return the clips that were asked for, evenly spread if there is a limit.

    Args:
        manifests: The files; their clips follow each other.
        sets: Names of sets; none means all.
        split: `train`, `dev` or `test`; None means all.
        limit: The most clips.

    Raises:
        ManifestError: If a file is absent, a line is not a clip, or none is left.
    """
    clips = [
        clip
        for manifest in manifests
        for clip in _clips(manifest)
        if (not sets or clip.facts.get("set") in sets)
        and split in (None, clip.facts.get("split"))
    ]
    if not clips:
        raise ManifestError(
            f"{' and '.join(map(str, manifests))} has no clip of set "
            f"{' or '.join(sets) or 'any'}, split {split or 'any'}"
        )
    if limit and limit < len(clips):
        clips = [clips[i * len(clips) // limit] for i in range(limit)]
    return clips


def _clips(manifest: Path) -> Iterator[Clip]:
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise ManifestError(f"cannot read {manifest}: {exc.strerror}") from exc
    for number, line in enumerate(lines, 1):
        try:
            facts = json.loads(line)
            path, duration = facts["path"], float(facts["duration_s"])
            expand = tuple(manifest.parent / p for p in facts.get("expand_wav", ()))
            yield Clip(path, manifest.parent / path, duration, facts, expand)
        except (ValueError, KeyError, TypeError) as exc:
            raise ManifestError(f"{manifest}:{number} is not a clip: {exc!r}") from exc


def write_manifest(manifest: Path, clips: Iterable[Clip]) -> int:
    """Write clips, their paths relative to the manifest; return how many.

    Raises:
        OSError: If it cannot be written.
    """
    manifest.parent.mkdir(parents=True, exist_ok=True)
    num_clips = 0
    with manifest.open("w", encoding="utf-8") as file:
        for clip in clips:
            line: dict[str, Any] = {"path": relative(clip.file, manifest.parent)}
            line["duration_s"] = round(clip.duration_s, 3)
            line |= {k: v for k, v in clip.facts.items() if k not in NOT_FACTS}
            if clip.expand:
                line["expand_wav"] = [relative(f, manifest.parent) for f in clip.expand]
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            num_clips += 1
    return num_clips


def relative(file: Path, folder: Path) -> str:
    """Return the way from a folder to a file, with forward slashes."""
    return Path(os.path.relpath(file.absolute(), folder.absolute())).as_posix()
