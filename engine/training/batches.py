"""Which clips make up which batch, and their frames side by side.

    lengths ─▶ batches of similar lengths, in an order that seed and epoch decide
    frames of a batch ─▶ (B, T, D), zeros behind the shorter ones

The same arguments give the same batches in every process, so that a run that was
interrupted goes on as if it had not been.  What frames mean, it does not know.
"""

import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engine.training.frame_store import Rows

JITTER = 0.1  # of a length, so that a clip's neighbours differ from epoch to epoch


def cut_batches(
    lengths: Sequence[int], *, max_frames: int, seed: int, epoch: int
) -> list[list[int]]:
    """Return the batches of an epoch, each a list of indices.

    Args:
        lengths: Frames of each clip.
        max_frames: The most that a batch may have, padding included; a clip that alone
            is longer is a batch of its own.
        seed: Of the run.
        epoch: Counted from 0.
    """
    drawn = random.Random(f"{seed} {epoch}")
    about = [length * drawn.uniform(1 - JITTER, 1 + JITTER) for length in lengths]
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=about.__getitem__):
        longest = max(longest, lengths[index])
        if not batches or longest * (len(batches[-1]) + 1) > max_frames:
            batches.append([])
            longest = lengths[index]
        batches[-1].append(index)
    drawn.shuffle(batches)
    return batches


def pad_frames(clips: Sequence[Rows], *, least: int) -> Tensor:
    """Return clips side by side, (B, T, D), float32.

    Args:
        clips: Each (T', D).
        least: Frames that the result has at least.
    """
    longest = max(least, *(len(clip) for clip in clips))
    padded = np.zeros((len(clips), longest, clips[0].shape[1]), np.float32)
    for row, clip in zip(padded, clips, strict=True):
        row[: len(clip)] = clip
    return torch.from_numpy(padded)
