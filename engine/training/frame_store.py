"""Frames of many clips on disk: files that only grow, mapped into memory, and an index.

    settings.json   what all frames were made with, for people to read
    index.jsonl     a line for each clip: its key, where its rows lie, what is known
    00000.rows      rows of float16, one clip after another
    00001.rows      …

A clip's line is written after its rows.  So a writer that was killed leaves at most
rows without a line, which the next one overwrites; and any number of readers may look
on while one writes.  What the frames are of, it does not know.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from engine.errors import EngineError

Rows = NDArray[np.float16]

GB = 1_000_000_000
SHARD_BYTES = GB
INDEX = "index.jsonl"
SETTINGS = "settings.json"
_ITEM_BYTES = 2


class FrameStoreError(EngineError):
    """Raised when frames cannot be kept or found again."""


class FullError(FrameStoreError):
    """Raised when the next clip would take more room than was allowed."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder, self.max_bytes = folder, max_bytes

    def __str__(self) -> str:
        return (
            f"{self.folder} is full: at most {self.max_bytes / GB:.1f} GB are allowed"
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the rows of a clip lie."""

    key: str
    shard: int
    first: int
    rows: int
    facts: dict[str, Any]
    """What the writer told about the clip."""


class FrameReader:
    """Finds the rows of clips again."""

    def __init__(self, folder: Path, *, width: int) -> None:
        """Read the index as far as it is written.

        Raises:
            FrameStoreError: If a whole line of it is none of ours.
        """
        self._folder, self._width = folder, width
        self.entries = {entry.key: entry for entry in _read_index(folder / INDEX)}
        self._maps: dict[int, np.memmap[Any, np.dtype[np.float16]]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def read(self, key: str) -> Rows:
        """Return a copy of the rows of a clip, (T, width).

        Raises:
            KeyError: If it has none.
            FrameStoreError: If its file is missing or cut short.
        """
        entry = self.entries[key]
        rows = self._mapped(entry)[entry.first : entry.first + entry.rows]
        return np.array(rows)

    def _mapped(self, entry: Entry) -> "np.memmap[Any, np.dtype[np.float16]]":
        mapped, needed = self._maps.get(entry.shard), entry.first + entry.rows
        if mapped is None or len(mapped) < needed:
            path = _shard(self._folder, entry.shard)
            try:
                whole = path.stat().st_size // (_ITEM_BYTES * self._width)
                shape = (whole, self._width)
                mapped = np.memmap(path, np.float16, mode="r", shape=shape)
            except (OSError, ValueError) as exc:
                raise FrameStoreError(f"{path} cannot be mapped: {exc}") from exc
            if len(mapped) < needed:
                raise FrameStoreError(
                    f"{path} has {len(mapped)} rows; expected {needed}"
                )
            self._maps[entry.shard] = mapped
        return mapped


class FrameWriter:
    """Adds the rows of clips; a context manager, alone in its folder.

    Args:
        folder: Made if it does not exist.
        width: Of a row.
        settings: What all rows are made with.
        max_bytes: The most that all files of rows may take.
        shard_bytes: When a file is this long, the next one begins.
    """

    def __init__(
        self,
        folder: Path,
        *,
        width: int,
        settings: Mapping[str, Any],
        max_bytes: int,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        self._folder, self._width = folder, width
        self._settings = dict(settings)
        self._max_bytes, self._shard_bytes = max_bytes, shard_bytes

    def __enter__(self) -> "FrameWriter":
        """Take the folder.

        Raises:
            FrameStoreError: If another writer has it, or it holds frames of other
                settings.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self._folder / "writer.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as exc:
            raise FrameStoreError(
                f"{self._folder}: another process writes there"
            ) from exc
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def _open(self) -> None:
        _check_settings(self._folder / SETTINGS, self._settings)
        _cut_partial_line(self._folder / INDEX)
        entries = list(_read_index(self._folder / INDEX))
        self.entries = {entry.key: entry for entry in entries}
        self._shard = max((entry.shard for entry in entries), default=0)
        ends = [e.first + e.rows for e in entries if e.shard == self._shard]
        self._rows = max(ends, default=0)
        self._file = _open(_shard(self._folder, self._shard))
        self._file.truncate(self._rows * self._row_bytes)
        self._index = (self._folder / INDEX).open("ab")

    def __exit__(self, *exc: object) -> None:
        self._index.close()
        self._file.close()
        self._lock.release()

    @property
    def size_bytes(self) -> int:
        """What all files of rows take."""
        return sum(path.stat().st_size for path in self._folder.glob("*.rows"))

    @property
    def _row_bytes(self) -> int:
        return _ITEM_BYTES * self._width

    def append(self, key: str, rows: Rows, facts: Mapping[str, Any]) -> None:
        """Add a clip; of two with one key, the later one counts.

        Raises:
            FullError: If it does not fit; nothing is then changed.
        """
        assert rows.shape[1:] == (self._width,), "rows are as wide as was said"
        if self.size_bytes + rows.nbytes > self._max_bytes:
            raise FullError(self._folder, self._max_bytes)
        if self._rows * self._row_bytes >= self._shard_bytes:
            self._file.close()
            self._shard, self._rows = self._shard + 1, 0
            self._file = _open(_shard(self._folder, self._shard))
            self._file.truncate(0)
        self._file.seek(self._rows * self._row_bytes)
        self._file.write(np.ascontiguousarray(rows, np.float16).tobytes())
        self._file.flush()
        entry = Entry(key, self._shard, self._rows, len(rows), dict(facts))
        line = json.dumps([key, entry.shard, entry.first, entry.rows, entry.facts])
        self._index.write(line.encode() + b"\n")
        self._index.flush()
        self.entries[key] = entry
        self._rows += len(rows)


def _shard(folder: Path, number: int) -> Path:
    return folder / f"{number:05}.rows"


def _open(path: Path) -> BufferedRandom:
    # Neither of Python's modes both keeps what is there and lets one seek.
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")


def _read_index(path: Path) -> Iterator[Entry]:
    if not path.exists():
        return
    whole, _, _ = path.read_bytes().rpartition(b"\n")  # a line is still being written
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            key, shard, first, rows, facts = json.loads(line)
            yield Entry(str(key), int(shard), int(first), int(rows), dict(facts))
        except (ValueError, TypeError) as exc:
            raise FrameStoreError(f"{path}:{number} is no entry: {exc}") from exc


def _cut_partial_line(path: Path) -> None:
    if path.exists() and (data := path.read_bytes()) and not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise FrameStoreError(f"{path} has other settings; expected {settings}")
