"""The list of a folder's files with their SHA-256, and its check.

It knows files and hashes, not what they hold or where they come from.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.errors import WeightsError

NAME = "manifest.json"
FORMAT = 1
"""Raised when conversion writes other files than before."""


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, size_bytes: int, sha256: str) -> None:
    """Do nothing if a file has these bytes.

    Raises:
        WeightsError: If it has others, or is not there.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is missing")
    if (size := path.stat().st_size) != size_bytes:
        raise WeightsError(f"{path} has {size} bytes; expected {size_bytes}")
    try:
        found = digest(path)
    except OSError as exc:
        raise WeightsError(f"{path} cannot be read: {exc.strerror}") from exc
    if found != sha256:
        raise WeightsError(f"{path} has SHA-256 {found[:16]}…; expected {sha256[:16]}…")


def write(folder: Path, source: str) -> None:
    """List all files of a folder.

    Args:
        folder: Where to look, and to write.
        source: The kind of place that the files come from.
    """
    files = {
        path.name: {"size_bytes": path.stat().st_size, "sha256": digest(path)}
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != NAME
    }
    listing = {"format": FORMAT, "source": source, "files": files}
    text = json.dumps(listing, indent=2) + "\n"
    (folder / NAME).write_text(text, encoding="utf-8")


def verify(folder: Path, needed: Sequence[str]) -> str:
    """Check every file that a folder lists; return the kind of its source.

    Args:
        folder: Where to look.
        needed: Files that the list must name.

    Raises:
        WeightsError: If the list or a file of it is missing or damaged.
    """
    files, source = _read(folder / NAME)
    if missing := sorted(set(needed) - files.keys()):
        raise WeightsError(f"{folder / NAME} does not list {missing[0]!r}")
    for name, (size_bytes, sha256) in files.items():
        check(folder / name, size_bytes, sha256)
    return source


def _read(path: Path) -> tuple[dict[str, tuple[int, str]], str]:
    try:
        listing: Any = json.loads(path.read_text(encoding="utf-8"))
        found, source = listing["format"], str(listing["source"])
        files = {
            str(name): (int(entry["size_bytes"]), str(entry["sha256"]))
            for name, entry in listing["files"].items()
        }
    except FileNotFoundError as exc:
        raise WeightsError(f"{path} is missing") from exc
    except OSError as exc:
        raise WeightsError(f"{path} cannot be read: {exc.strerror}") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise WeightsError(f"{path} is not a list of files with their SHA-256") from exc
    if found != FORMAT:
        raise WeightsError(f"{path} has format {found}; expected {FORMAT}")
    return files, source
