"""The learning rate of each step, and which weights decay.

Pure functions; the optimiser is PyTorch's AdamW.

Source:
    bytedance/SALMONN@a58bba7, optims.py, runner.py.  There the warm-up counts steps
    within an epoch, which is the same while it is shorter than one.
"""

import math
from collections.abc import Iterable
from typing import Any

from torch import nn

from engine.training.config import OptimiserConfig

UNDECAYED = ("bias", "ln", "bn")  # parts of names, as in the original


def rate_at(step: int, steps: int, config: OptimiserConfig) -> float:
    """Return the learning rate of a step, counted from 0, of so many.

    It rises in a line; then a cosine falls that began at step 0.
    """
    if step < config.warm_up_steps:
        share = step / config.warm_up_steps
        return config.first_rate + (config.peak_rate - config.first_rate) * share
    cosine = 0.5 * (1.0 + math.cos(math.pi * step / steps))
    return config.last_rate + (config.peak_rate - config.last_rate) * cosine


def groups(
    parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, Any]]:
    """Return AdamW's groups: what decays; and vectors, biases, norms, which do not."""
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for name, parameter in parameters:
        is_kept = parameter.ndim < 2 or any(part in name for part in UNDECAYED)
        (kept if is_kept else decayed).append(parameter)
    chosen = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return [group for group in chosen if group["params"]]
