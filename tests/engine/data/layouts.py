"""Tiny recordings and texts, put where a published set has them."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000


def record(file: Path, seconds: float = 1.0, *, rate: int = RATE) -> Path:
    """Write a quiet tone in the format that the name's ending says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(round(seconds * rate)) / rate
    soundfile.write(file, 0.1 * np.sin(2 * np.pi * 440 * time_s), rate)
    return file


def damage(file: Path) -> Path:
    """Write a file that only looks like a recording."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"RIFF????WAVEnothing of the kind")
    return file


def write(file: Path, *lines: str) -> Path:
    """Write a text, a line each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file
