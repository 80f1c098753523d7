"""Kaldi's filter bank as BEATs uses it, in float64.

Float32 is not enough: samples are scaled by 2^15 before the power spectrum, and the
logarithm of quiet bins then differs in the third digit.

Source:
    microsoft/unilm, beats/BEATs.py, `preprocess`; Kaldi's feat/mel-computations for
    what `torchaudio.compliance.kaldi.fbank` computes.
"""

import math
from functools import cache

import torch
from torch import Tensor

from engine.geometry import SAMPLE_RATE

WINDOW_SAMPLES = 400  # 25 ms
HOP_SAMPLES = 160  # 10 ms
FFT_SIZE = 512
NUM_BINS = 128
LOWEST_HZ = 20.0
HIGHEST_HZ = SAMPLE_RATE / 2
PRE_EMPHASIS = 0.97
FULL_SCALE = 2.0**15
FLOOR = torch.finfo(torch.float32).eps  # the least energy whose logarithm is taken
MEAN, DEVIATION = 15.41663, 6.55582  # of the logarithms over AudioSet
SPREAD = 2.0 * DEVIATION


class StreamingFbank:
    """The filter bank of a stream, however its samples were cut.

    Only whole frames count, as offline, so nothing is left over for an end.
    """

    def __init__(self) -> None:
        self._pending = torch.empty(0)  # from where the next frame begins

    def push(self, samples: Tensor) -> Tensor:
        """Add samples, (S,); return the frames that they complete, (M, 128)."""
        self._pending = torch.cat([self._pending, samples])
        frames = fbank(self._pending)
        self._pending = self._pending[len(frames) * HOP_SAMPLES :]
        return frames


def fbank(samples: Tensor) -> Tensor:
    """Return the normalised log energies of a waveform.

    Args:
        samples: (S,), in [-1, 1).

    Returns:
        (M, 128), float32, where M = 1 + (S - 400) // 160; none if S < 400.
    """
    samples = samples.double() * FULL_SCALE
    if len(samples) < WINDOW_SAMPLES:
        return torch.empty(0, NUM_BINS)
    windows = samples.unfold(0, WINDOW_SAMPLES, HOP_SAMPLES)
    windows = windows - windows.mean(1, keepdim=True)
    before = torch.cat([windows[:, :1], windows[:, :-1]], 1)
    windows = (windows - PRE_EMPHASIS * before) * _povey_window()
    power = torch.fft.rfft(windows, FFT_SIZE).abs().square()
    energies = (power @ _triangles()).clamp(min=FLOOR).log()
    return ((energies - MEAN) / SPREAD).float()


@cache
def _povey_window() -> Tensor:
    """Return a Hann window to the power 0.85, (400,)."""
    return torch.hann_window(WINDOW_SAMPLES, periodic=False, dtype=torch.float64).pow(
        0.85
    )


@cache
def _triangles() -> Tensor:
    """Return the weight of each FFT bin in each mel bin, (257, 128).

    Triangles are straight lines over mel; the last FFT bin belongs to none.
    """
    lowest, highest = _mel(LOWEST_HZ), _mel(HIGHEST_HZ)
    edges = torch.linspace(lowest, highest, NUM_BINS + 2, dtype=torch.float64)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    hertz = torch.arange(FFT_SIZE // 2, dtype=torch.float64) * SAMPLE_RATE / FFT_SIZE
    mel = (1127.0 * (1.0 + hertz / 700.0).log())[:, None]
    rising, falling = (mel - left) / (centre - left), (right - mel) / (right - centre)
    weights = torch.minimum(rising, falling).clamp(min=0.0)
    return torch.cat([weights, weights.new_zeros(1, NUM_BINS)])


def _mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)
