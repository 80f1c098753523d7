"""Sound files as a model hears them: one channel, 16 kHz, in parts that fit.

Reads what libsndfile reads, piece by piece, so that an hour costs the memory of an hour
at 16 kHz and no more.  What was done to the sound on the way is told, never silent.
Knows no model.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from engine.api import Samples
from engine.errors import RecordingError
from engine.geometry import FRAME_SAMPLES, MAX_FRAMES, SAMPLE_RATE, samples_of

READ_SAMPLES = 65_536  # at once, of each channel
MAX_SAMPLES = MAX_FRAMES * FRAME_SAMPLES  # of a part: the 30 s of Whisper's positions
SEARCH_SAMPLES = samples_of(5.0)  # a long sound is cut in the last 5 s that fit ...
QUIET_SAMPLES = samples_of(0.1)  # ... in the middle of the quietest tenth of a second
STEP_SAMPLES = samples_of(0.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A sound file, ready to be heard."""

    samples: Samples
    rate: int
    """Of the file, in Hz."""
    channels: int
    """Of the file."""
    is_mixed: bool
    """Whether all channels were mixed; else the first was taken."""

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def changes(self) -> str:
        """What was done to the sound, in words; empty if nothing."""
        done = []
        if self.channels > 1:
            how = "mixed" if self.is_mixed else "only the first heard"
            done.append(f"{self.channels} channels, {how}")
        if self.rate != SAMPLE_RATE:
            done.append(f"resampled from {self.rate} to {SAMPLE_RATE} Hz")
        return "; ".join(done)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a recording that fits the model; `start` is its first sample."""

    start: int
    samples: Samples

    @property
    def end(self) -> int:
        """The sample after its last."""
        return self.start + len(self.samples)


def read(path: Path, *, mix: bool) -> Recording:
    """Read a sound file.

    Args:
        path: A format that libsndfile knows, any rate, any number of channels.
        mix: Whether channels are mixed; else the first is taken, as SALMONN does.

    Raises:
        RecordingError: If it cannot be read, is no audio, or holds none.
    """
    try:
        # libsndfile would call a folder or an empty file an unknown format.
        with path.open("rb") as file:
            if not file.read(1):
                raise RecordingError(path, "it is empty")
        with soundfile.SoundFile(path) as sound:
            samples = _read_all(sound, mix=mix)
            rate, channels = sound.samplerate, sound.channels
    except OSError as exc:
        raise RecordingError(path, exc.strerror or str(exc)) from exc
    except soundfile.LibsndfileError as exc:
        reason = exc.error_string.rstrip(".")
        raise RecordingError(path, f"not audio: {reason}") from exc
    if not len(samples):
        raise RecordingError(path, "it holds no audio")
    if not np.isfinite(samples).all():
        raise RecordingError(path, "it holds samples that are no finite numbers")
    return Recording(samples=samples, rate=rate, channels=channels, is_mixed=mix)


def split(samples: Samples, max_samples: int = MAX_SAMPLES) -> list[Part]:
    """Return a sound in parts that fit, cut where it is quietest.

    Together they are the whole sound, in order.  A cut lies in the last
    `SEARCH_SAMPLES` that fit; of two equally quiet places the later one is taken.
    """
    parts, start = [], 0
    while len(samples) - start > max_samples:
        latest = start + max_samples
        first = max(start + 1, latest - SEARCH_SAMPLES)
        cut = first + _quietest(samples[first:latest])
        parts.append(Part(start, samples[start:cut]))
        start = cut
    return [*parts, Part(start, samples[start:])]


def _read_all(sound: soundfile.SoundFile, *, mix: bool) -> Samples:
    resampler = soxr.ResampleStream(
        sound.samplerate, SAMPLE_RATE, num_channels=1, dtype="float32"
    )
    pieces = []
    while True:
        block = sound.read(READ_SAMPLES, dtype="float32", always_2d=True)
        is_last = len(block) < READ_SAMPLES
        mono = block.mean(axis=1, dtype=np.float32) if mix else block[:, 0]
        if sound.samplerate != SAMPLE_RATE:
            mono = resampler.resample_chunk(np.ascontiguousarray(mono), last=is_last)
        pieces.append(mono)
        if is_last:
            return np.concatenate(pieces)


def _quietest(samples: NDArray[np.float32]) -> int:
    """Return the middle of the quietest stretch."""
    power = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    stretch = min(QUIET_SAMPLES, len(samples))
    starts = np.arange(0, len(samples) - stretch + 1, STEP_SAMPLES)
    sums = power[starts + stretch] - power[starts]
    # Sums of one running total differ in their last digits where they should not.
    quietest = starts[sums <= sums.min() + 1e-9 * power[-1]][-1]
    return int(quietest) + stretch // 2
