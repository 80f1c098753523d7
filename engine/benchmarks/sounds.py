"""The audio that benchmarks send: clips with silence about them, clips joined, noise.

Knows no server and no model.  All samples are mono, 16 kHz, float32 in [-1, 1).
"""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import soundfile

from engine.api import Samples
from engine.data.audio import read_clip
from engine.data.manifest import Clip
from engine.geometry import SAMPLE_RATE, samples_of

GAP_S = 0.3  # between joined clips


def silence(seconds: float) -> Samples:
    """Return digital silence."""
    return np.zeros(samples_of(seconds), dtype=np.float32)


def white_noise(seconds: float, *, dbfs: float) -> Samples:
    """Return white noise of a power, the same at every call.

    Args:
        seconds: How long.
        dbfs: Its root mean square, in decibels below a square wave of full scale.
    """
    amplitude = 10.0 ** (dbfs / 20.0)
    noise = np.random.default_rng(0).normal(0.0, amplitude, samples_of(seconds))
    return noise.clip(-1.0, 1.0).astype(np.float32)


def between_silences(samples: Samples, *, before_s: float, after_s: float) -> Samples:
    """Return samples with digital silence joined to both ends."""
    return np.concatenate([silence(before_s), samples, silence(after_s)])


def joined(parts: Sequence[Samples]) -> Samples:
    """Return clips one after the other, with a short gap between them."""
    spaced = [piece for part in parts for piece in (silence(GAP_S), part)]
    return np.concatenate(spaced[1:]) if spaced else silence(0.0)


def endless(clips: Sequence[Clip], seconds: float) -> Samples:
    """Return so many seconds of joined clips, from the first again where they end."""
    assert clips, "a manifest without clips is refused when it is read"
    parts = list[Samples]()
    lacking = samples_of(seconds)
    for clip in cycle(clips):
        parts.append(read_clip(clip.file))
        lacking -= len(parts[-1]) + samples_of(GAP_S)
        if lacking <= 0:
            break
    return joined(parts)[: samples_of(seconds)]


def runs(
    clips: Sequence[Clip], *, min_s: float, max_s: float
) -> list[tuple[Clip, ...]]:
    """Return runs of consecutive clips of one speaker that last so long when joined.

    No clip is in two runs.  A clip from which no run of that length starts is left
    out.
    """
    found = []
    first = 0
    while first < len(clips):
        stop = _run_stop(clips, first, min_s, max_s)
        if stop is None:
            first += 1
        else:
            found.append(tuple(clips[first:stop]))
            first = stop
    return found


def _run_stop(
    clips: Sequence[Clip], first: int, min_s: float, max_s: float
) -> int | None:
    """Return where the longest fitting run from `first` stops; None if none fits."""
    fitting = None
    length_s = -GAP_S
    for index in range(first, len(clips)):
        length_s += GAP_S + clips[index].duration_s
        speakers = {clips[i].facts.get("speaker") for i in (first, index)}
        if length_s > max_s or len(speakers) > 1:
            break
        if length_s >= min_s:
            fitting = index + 1
    return fitting


def write_wav(path: Path, samples: Samples) -> Path:
    """Write a WAV file of 16-bit samples; return its path."""
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
    return path
