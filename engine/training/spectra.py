"""Spectra of sounds changed a little: what one would call them stays the same.

    filter bank ─▶ an excerpt ─▶ gain, tilt ─▶ another sound beside it ─▶ holes

They are the normalised log energies of `engine.fbank`, (M, 128), computed once: what is
drawn anew at each visit costs no transform.  Knows no labels.
"""

import math
import random
from typing import Final

import torch
from torch import Tensor

from engine.data.making.variants import GAIN_DB, TILT_DB
from engine.fbank import FLOOR, MEAN, NUM_BINS, SPREAD
from engine.training.config import MaskConfig
from engine.training.masking import mask

SILENCE: Final = (math.log(FLOOR) - MEAN) / SPREAD
"""The least that a bin can have."""
NEPERS: Final = math.log(10.0) / 10.0 / SPREAD
"""What a decibel adds to a bin."""
TRIES: Final = 2
"""Excerpts that are drawn for the loudest of them."""
BESIDE_DB: Final = (-15.0, 0.0)
"""How loud the other sound is."""
HOLES: Final = MaskConfig(
    time_masks=2, max_frames=40, max_share=0.15, channel_masks=2, max_channels=16
)
"""A frame is 10 ms here, a channel a bin."""


def excerpt(spectrum: Tensor, num_frames: int, drawn: random.Random) -> Tensor:
    """Return a part of a spectrum, (M, 128) → (num_frames, 128), begun anywhere.

    Of `TRIES` parts the one with the loudest moment, so that a bark between two
    silences is likely to be heard.  What is shorter is heard again and again.
    """
    length = len(spectrum)
    if length < num_frames:
        turned = spectrum.roll(drawn.randrange(length), 0)
        return turned.repeat(-(-num_frames // length), 1)[:num_frames]
    starts = [drawn.randint(0, length - num_frames) for _ in range(TRIES)]
    parts = [spectrum[start : start + num_frames] for start in starts]
    return max(parts, key=lambda part: float(part.mean(1).max()))


def louder(spectrum: Tensor, gain_db: float, tilt_db: float = 0.0) -> Tensor:
    """Return a spectrum so much louder, and by so much more at its highest bin.

    The lowest bin loses half of the tilt, the highest one gains half of it.
    """
    place = torch.linspace(-0.5, 0.5, NUM_BINS)
    return (spectrum + (gain_db + tilt_db * place) * NEPERS).clamp(min=SILENCE)


def together(one: Tensor, other: Tensor) -> Tensor:
    """Return what two sounds are at once: their energies are added up.

    The least energy that a logarithm is taken of counts once, so that silence adds
    nothing.
    """
    energies = [(sound * SPREAD + MEAN).exp() for sound in (one, other)]
    return ((energies[0] + energies[1] - FLOOR).clamp(min=FLOOR).log() - MEAN) / SPREAD


def varied(spectrum: Tensor, drawn: random.Random) -> Tensor:
    """Return a spectrum as loud, and as bright, as chance has it."""
    return louder(spectrum, drawn.uniform(*GAIN_DB), drawn.uniform(-TILT_DB, TILT_DB))


def holed(spectrum: Tensor, drawn: random.Random) -> Tensor:
    """Return a spectrum of which some moments and some bins are hidden."""
    return mask(spectrum, len(spectrum), HOLES, str(drawn.random()))
