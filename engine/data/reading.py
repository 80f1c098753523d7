"""Items of a published set → clips; what cannot be used is counted, with its reason.

A reader (`engine.data.readers`) knows the layout of one set and yields what the
layout promises.  Here each promise is checked against the file.  Knows no layout.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile

from engine.data.audio import PAUSE_S
from engine.data.manifest import Clip, ManifestError

SOUNDS = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".sph"}
SLACK_S = 0.1  # how much sooner a file may end than its annotation says
DECODED_FRAMES = 1 << 20


@dataclass(frozen=True, slots=True)
class Found:
    """A recording that a layout names, and what it says of it."""

    file: Path
    facts: dict[str, Any]
    """Fields of its line in a manifest; of a part of a file, `start_s`, too."""
    duration_s: float | None = None
    """Where only a part of the file is meant; None is all of it."""
    expand: tuple[Path, ...] = ()
    """Recordings that are heard after it."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An item that cannot be used."""

    item: str
    """Its name in the set: a file, or a line of one."""
    reason: str
    """The same words for the same fault: they are counted."""


Item = Found | Broken


@dataclass(slots=True)
class Reading:
    """The clips of a set, and what was skipped."""

    clips: list[Clip] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)

    @property
    def reasons(self) -> Counter[str]:
        """How many items were skipped for each reason."""
        return Counter(item.reason for item in self.broken)


def collect(
    items: Iterable[Item], *, max_s: float | None = None, decode: bool = False
) -> Reading:
    """Check every item against its file.

    Args:
        items: What a reader yields.
        max_s: Skip longer clips, in seconds.
        decode: Read every sample: a file can end before its header says so.
    """
    reading = Reading()
    for item in items:
        checked = item if isinstance(item, Broken) else _check(item, max_s, decode)
        if isinstance(checked, Clip):
            reading.clips.append(checked)
        else:
            reading.broken.append(checked)
    return reading


def _check(found: Found, max_s: float | None, decode: bool) -> Clip | Broken:
    name = str(found.file)
    lengths_s = []
    for file in (found.file, *found.expand):
        length_s = _length(file, decode)
        if isinstance(length_s, Broken):
            return length_s
        lengths_s.append(length_s)
    start_s = float(found.facts.get("start_s", 0.0))
    duration_s = found.duration_s
    if duration_s is None:
        duration_s = sum(lengths_s) + PAUSE_S * len(found.expand)
    elif start_s + duration_s > lengths_s[0] + SLACK_S:
        return Broken(name, "the recording ends before the clip does")
    if max_s is not None and duration_s > max_s:
        return Broken(name, f"longer than {max_s:g} s")
    return Clip(name, found.file, duration_s, found.facts, found.expand)


def _length(file: Path, decode: bool) -> float | Broken:
    """Return the seconds of a recording."""
    if not file.is_file():
        return Broken(str(file), "the recording is missing")
    try:
        with soundfile.SoundFile(file) as sound:
            if decode:
                for _ in sound.blocks(DECODED_FRAMES, dtype="int16"):
                    pass
            is_whole = not decode or sound.tell() == sound.frames
            frames, rate = sound.frames, sound.samplerate
    except (soundfile.SoundFileError, OSError):
        return Broken(str(file), "the recording cannot be read")
    if not is_whole:
        return Broken(str(file), "the recording ends before its header says")
    return frames / rate if frames else Broken(str(file), "the recording is empty")


class Sounds:
    """The recordings below a folder, found by name: sets are unpacked in many ways."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, list[Path]] = {}
        for file in sorted(folder.rglob("*")):
            if file.suffix.lower() in SOUNDS:
                self._files.setdefault(file.stem, []).append(file)

    def find(self, *stems: str, within: str = "") -> Path:
        """Return the first recording with one of these names, endings left out.

        Args:
            stems: Names, the likeliest first.
            within: A folder that must be on the way, where the set has several that
                use the same names.

        Returns:
            The file; a path that does not exist, if there is none.
        """
        for stem in stems:
            for file in self._files.get(stem, []):
                parts = file.relative_to(self._folder).parts
                if not within or any(within in part for part in parts[:-1]):
                    return file
        return self._folder / within / stems[0]


def need(path: Path) -> Path:
    """Return a file or folder that a layout cannot do without.

    Raises:
        ManifestError: If it is not there.
    """
    if not path.exists():
        raise ManifestError(f"{path} is missing; is it the folder of this set?")
    return path


def first(*paths: Path) -> Path:
    """Return the first of these that exists; a set may lie in a folder of its own.

    Raises:
        ManifestError: If none does.
    """
    return next((path for path in paths if path.exists()), None) or need(paths[0])


def lines_of(file: Path) -> Iterator[str]:
    """Yield the lines of a text, empty ones left out.

    Raises:
        ManifestError: If it is not text.
    """
    try:
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield line
    except (OSError, UnicodeDecodeError) as exc:
        raise ManifestError(f"cannot read {file}: {exc}") from exc
