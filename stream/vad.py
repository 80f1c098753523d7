"""Which frames are voiced: a protocol, and WebRTC's detector behind it.

A detector judges one frame after the other and knows nothing of segments.
webrtcvad is imported here only.
"""

import math
from typing import Final, Protocol

import numpy as np
import webrtcvad

from stream.audio import FRAME_SAMPLES, SAMPLE_RATE, Frame, to_float

DEFAULT_MODE: Final = 2
"""The strictest that still hears quiet speech (docs/adr/0008)."""

HISS_FLATNESS: Final = 0.42
"""Frames with a flatter spectrum are noise (docs/adr/0008).

Of the frames of white noise 0.1 % lie below it, of those of speech 99 %.
"""

_BINS: Final = slice(2, -2)  # of 50 Hz; leaves out offset, hum and the filter's edge
_WINDOW: Final = np.hanning(FRAME_SAMPLES).astype(np.float32)
_FLOOR: Final = 1e-12  # power of a bin far below one step of s16; keeps log finite


class VoiceDetector(Protocol):
    """Tells voiced frames of one stream from the others."""

    def is_voiced(self, frame: Frame) -> bool:
        """Return whether the next frame of the stream holds a voice."""

    def reset(self) -> None:
        """Forget what was heard: another stream begins."""


class WebRtcVoiceDetector:
    """WebRTC's Gaussian mixtures, with an ear for hiss.

    It adapts to the background, so its answer depends on the frames before.  It
    calls loud white noise voiced for ever; a frame with a flat spectrum is
    therefore unvoiced, whatever it says.

    Args:
        mode: 0 to 3; a higher one calls fewer frames voiced.
    """

    def __init__(self, mode: int = DEFAULT_MODE) -> None:
        self._mode = mode
        self._vad = webrtcvad.Vad(mode)

    def is_voiced(self, frame: Frame) -> bool:
        """Return whether the next frame of the stream holds a voice."""
        voiced = self._vad.is_speech(frame.pcm, SAMPLE_RATE)
        return bool(voiced) and flatness(frame.pcm) < HISS_FLATNESS

    def reset(self) -> None:
        """Forget what was heard: another stream begins."""
        self._vad = webrtcvad.Vad(self._mode)


def flatness(pcm: bytes) -> float:
    """Return how flat the spectrum of a frame is, in (0, 1].

    Geometric over arithmetic mean of the power spectrum from 100 Hz to 7.9 kHz: near
    0 for a voice, around 0.56 for white noise, 1 for a click.
    """
    spectrum = np.fft.rfft(to_float(pcm) * _WINDOW)[_BINS]
    power = spectrum.real**2 + spectrum.imag**2 + _FLOOR
    # Not by np.mean, which takes several times as long: this is done for each frame.
    logs, total = np.add.reduce(np.log(power)), np.add.reduce(power)
    return math.exp(logs / len(power)) * len(power) / float(total)
