"""SpecAugment on encoder frames: some moments and channels are set to the clip's mean.

The original masks the spectrogram; here the encoders are frozen and their frames often
come from a cache, so the frames that the bridge reads are masked.

Source:
    arXiv:1904.08779, section 2; time warping is left out.
"""

import random

import torch
from torch import Tensor

from engine.training.config import MaskConfig


def mask(frames: Tensor, num_frames: int, config: MaskConfig, seed: str) -> Tensor:
    """Return a copy of a clip's frames with holes.

    Args:
        frames: (T, D).
        num_frames: Of the clip; what follows is padding.
        config: How many holes, and how large.
        seed: Of what is drawn; the same holes for the same seed.
    """
    drawn = random.Random(f"{seed} mask")
    keep = torch.ones_like(frames, dtype=torch.bool)
    most = min(config.max_frames, int(num_frames * config.max_share))
    for _ in range(config.time_masks):
        first, width = _span(drawn, num_frames, most)
        keep[first : first + width] = False
    for _ in range(config.channel_masks):
        first, width = _span(drawn, frames.shape[1], config.max_channels)
        keep[:, first : first + width] = False
    mean = frames[:num_frames].mean(0)
    return torch.where(keep, frames, mean)


def _span(drawn: random.Random, size: int, most: int) -> tuple[int, int]:
    width = drawn.randint(0, min(most, size))
    return drawn.randint(0, size - width), width
