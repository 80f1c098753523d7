"""Clips as a model hears them: mono, 16 kHz."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from engine.api import Samples
from engine.evaluation.manifest import ManifestError
from engine.geometry import SAMPLE_RATE


def read_clip(file: Path) -> Samples:
    """Return the samples of a file, its channels mixed, at 16 kHz.

    Raises:
        ManifestError: If it is not audio.
    """
    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as exc:
        raise ManifestError(f"{file} is not audio: {exc}") from exc
    mono = samples.mean(axis=1, dtype=np.float32)
    return np.asarray(soxr.resample(mono, rate, SAMPLE_RATE), dtype=np.float32)
