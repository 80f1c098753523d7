"""Clips as SALMONN is trained on them: what is read of files, joined, cut to length.

Only the first channel counts.  Files that belong together are joined with 0.1 s of
silence; what is shorter than 1 s is followed by silence, what is longer than 30 s is
cut.  Unlike the original, any sample rate is resampled.

Source:
    bytedance/SALMONN@a58bba7, dataset.py, `SALMONNDataset.__getitem__`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from engine.api import Samples
from engine.errors import EngineError
from engine.geometry import SAMPLE_RATE

JOINT_SAMPLES = SAMPLE_RATE // 10
MIN_SAMPLES = SAMPLE_RATE
MAX_SAMPLES = 30 * SAMPLE_RATE


class ClipError(EngineError):
    """Raised when a file is no audio, or has none in it."""

    def __init__(self, file: Path, problem: str) -> None:
        self.file, self.problem = file, problem

    def __str__(self) -> str:
        return f"{self.file} {self.problem}"


def read_joined(files: Sequence[Path]) -> Samples:
    """Return the samples of a clip, 16 kHz, (S,), 1 to 30 s.

    Raises:
        ClipError: If a file cannot be read, is empty, or holds what is no number.
    """
    silence = np.zeros(JOINT_SAMPLES, np.float32)
    pieces = [_read(files[0])]
    for file in files[1:]:
        pieces += [silence, _read(file)]
    samples = np.concatenate(pieces)[:MAX_SAMPLES]
    missing = max(0, MIN_SAMPLES - len(samples))
    return np.pad(samples, (0, missing))


def _read(file: Path) -> Samples:
    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as exc:
        raise ClipError(file, f"is not audio: {exc}") from exc
    if not len(samples):
        raise ClipError(file, "has no samples")
    if not np.isfinite(samples).all():
        raise ClipError(file, "has samples that are no numbers")
    first = np.ascontiguousarray(samples[:, 0])
    return np.asarray(soxr.resample(first, rate, SAMPLE_RATE), dtype=np.float32)
