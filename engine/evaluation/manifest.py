"""Labelled clips: one JSON object a line, paths relative to the file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import EngineError


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


def read_manifest(
    manifest: Path,
    *,
    sets: tuple[str, ...] = (),
    split: str | None = None,
    limit: int | None = None,
) -> list[Clip]:
    """Return the clips that were asked for, evenly spread if there is a limit.

    Args:
        manifest: The file.
        sets: Names of sets; none means all.
        split: `train` or `dev`; None means both.
        limit: The most clips.

    Raises:
        ManifestError: If it is absent, a line is not a clip, or none is left.
    """
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except OSError as exc:
        raise ManifestError(f"cannot read {manifest}: {exc.strerror}") from exc
    clips = []
    for number, line in enumerate(lines, 1):
        try:
            facts = json.loads(line)
            path, duration = facts["path"], float(facts["duration_s"])
            clip = Clip(path, manifest.parent / path, duration, facts)
        except (ValueError, KeyError, TypeError) as exc:
            raise ManifestError(f"{manifest}:{number} is not a clip: {exc!r}") from exc
        wanted = not sets or facts.get("set") in sets
        if wanted and split in (None, facts.get("split")):
            clips.append(clip)
    if not clips:
        raise ManifestError(
            f"{manifest} has no clip of set {' or '.join(sets) or 'any'}, "
            f"split {split or 'any'}"
        )
    if limit and limit < len(clips):
        clips = [clips[i * len(clips) // limit] for i in range(limit)]
    return clips
