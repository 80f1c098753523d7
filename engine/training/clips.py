"""Clips as SALMONN is trained on them: what is read of files, joined, cut to length.

Only the first channel counts.  Files that belong together are joined with 0.1 s of
silence; what is shorter than 1 s is followed by silence, what is longer than 30 s is
cut.  Unlike the original, any sample rate is resampled.

Source:
    bytedance/SALMONN@a58bba7, dataset.py, `SALMONNDataset.__getitem__`.
"""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from engine.api import Samples
from engine.data.examples import Example
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


def read_joined(example: Example) -> Samples:
    """Return the samples of an example's clip, 16 kHz, (S,), 1 to 30 s.

    Raises:
        ClipError: If a file cannot be read, is empty, or holds what is no number.
    """
    silence = np.zeros(JOINT_SAMPLES, np.float32)
    first, *others = example.files
    pieces = [_read(first, example.start_s, example.duration_s)]
    for file in others:
        pieces += [silence, _read(file)]
    samples = np.concatenate(pieces)[:MAX_SAMPLES]
    missing = max(0, MIN_SAMPLES - len(samples))
    return np.pad(samples, (0, missing))


def _read(
    file: Path, start_s: float | None = None, duration_s: float | None = None
) -> Samples:
    """Return a file, or, where a start is given, only that part of it."""
    try:
        with soundfile.SoundFile(file) as sound:
            rate, frames = sound.samplerate, -1
            if start_s is not None:
                sound.seek(round(start_s * rate))
                frames = -1 if duration_s is None else round(duration_s * rate)
            samples = sound.read(frames, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as exc:
        raise ClipError(file, f"is not audio: {exc}") from exc
    if not len(samples):
        raise ClipError(file, "has no samples")
    if not np.isfinite(samples).all():
        raise ClipError(file, "has samples that are no numbers")
    first = np.ascontiguousarray(samples[:, 0])
    return np.asarray(soxr.resample(first, rate, SAMPLE_RATE), dtype=np.float32)
