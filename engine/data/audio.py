"""Clips as a model hears them: mono, 16 kHz."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr

from engine.api import Samples
from engine.data.manifest import Clip, ManifestError
from engine.geometry import SAMPLE_RATE

PAUSE_S: Final = 0.1
"""Silence between recordings that are heard as one; the original's 1600 samples."""


def read_clip(
    file: Path, *, start_s: float | None = None, duration_s: float | None = None
) -> Samples:
    """Return the samples of a file, its channels mixed, at 16 kHz.

    Args:
        file: What to read.
        start_s: Where to begin; None is the beginning.
        duration_s: How much to read; None is to the end.

    Raises:
        ManifestError: If it is not audio, or ends before `start_s`.
    """
    try:
        with soundfile.SoundFile(file) as sound:
            rate = sound.samplerate
            if start_s:
                sound.seek(round(start_s * rate))
            frames = -1 if duration_s is None else round(duration_s * rate)
            samples = sound.read(frames, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as exc:
        raise ManifestError(f"{file} is not audio: {exc}") from exc
    mono = samples.mean(axis=1, dtype=np.float32)
    return np.asarray(soxr.resample(mono, rate, SAMPLE_RATE), dtype=np.float32)


def samples_of_clip(clip: Clip) -> Samples:
    """Return the samples of a clip.

    Only its part of the file, if it is a part; with the recordings that are heard after
    it, if there are any, as the original joins them.

    Raises:
        ManifestError: If a file is not audio, or ends before the clip begins.
    """
    if clip.start_s is not None:
        return read_clip(clip.file, start_s=clip.start_s, duration_s=clip.duration_s)
    return joined([read_clip(file) for file in (clip.file, *clip.expand)])


def faster(samples: Samples, speed: float) -> Samples:
    """Return samples as they sound so many times as fast, and that much higher."""
    changed = soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE)
    return np.asarray(changed, dtype=np.float32)


def joined(parts: Sequence[Samples], *, pause_s: float = PAUSE_S) -> Samples:
    """Return recordings one after the other, with silence between them."""
    pause = np.zeros(round(pause_s * SAMPLE_RATE), np.float32)
    pieces = [piece for part in parts for piece in (pause, part)]
    return np.concatenate(pieces[1:])


def write_clip(file: Path, samples: Samples) -> None:
    """Write samples as FLAC of 16 bits; what is louder than full scale is clipped.

    Raises:
        OSError: If it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        soundfile.write(
            file, np.clip(samples, -1.0, 1.0), SAMPLE_RATE, subtype="PCM_16"
        )
    except soundfile.SoundFileError as exc:
        raise OSError(f"cannot write {file}: {exc}") from exc
