"""Encoder frames cut into the windows that the Q-Former reads."""

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.geometry import WINDOW


def cut_windows(
    frames: Tensor, *, size: int = WINDOW, hop: int = WINDOW, context: int = 0
) -> Tensor:
    """Cut encoder frames into windows.

    Args:
        frames: (B, T, D).
        size: Frames in a window.
        hop: Frames between the starts of two windows.
        context: Frames to add on either side of a window; zeros where there are none.

    Returns:
        (B, W, context + size + context, D), W = `window_count(T)`.  Frames after the
        last whole window are seen as its context at most, and without context are
        dropped, as upstream does.

    Source:
        bytedance/SALMONN@a58bba7, models/salmonn.py, `_encode_auditory_feature`.
    """
    if context:
        frames = F.pad(frames, (0, 0, context, context))
    return frames.unfold(1, size + 2 * context, hop).transpose(-1, -2)


def join_longest(one: Tensor, other: Tensor) -> Tensor:
    """Return two streams of frames beside each other, (B, T, D1 + D2).

    The shorter one is continued with zeros.
    """
    length = max(one.shape[1], other.shape[1])
    padded = [F.pad(x, (0, 0, 0, length - x.shape[1])) for x in (one, other)]
    return torch.cat(padded, -1)
