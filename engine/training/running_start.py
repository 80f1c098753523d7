"""What a bridge's queries are told of all that was heard, begun as what tells it apart.

    frames ─▶ mean and deviation at the ends of some windows ─▶ map ─ norm ─ names
                                                                └ what is kept of it

The map from running statistics to the queries is wide (5,120 numbers to 512 in the
mini), and a step of the warm-up hears thirty windows.  The statistics themselves are
small: learned from them alone, the map sees hundreds of thousands of windows in
minutes, and the warm-up begins with queries that are told what a linear probe knows.
Statistics are standardised meanwhile; in the end that is a part of the map.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.qformer import Bridge
from engine.running import RunningStatistics
from engine.training.batches import pad_frames
from engine.training.warm_up import LISTENED_WINDOWS, Frames
from engine.windows import cut_windows

MOMENTS = 6
"""Of a clip, its last window among them."""
LEAST_DEVIATION = 1e-3
"""Of a number that hardly varies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """How a map is learned."""

    seed: int = 0
    steps: int = 900
    batch: int = 256
    peak_lr: float = 1e-3
    rising_steps: int = 50
    weight_decay: float = 0.3
    dropout: float = 0.3
    """Of statistics."""


@torch.inference_mode()
def collect(
    bridge: Bridge, frames: Frames, keys: Sequence[str], *, seed: int
) -> tuple[Tensor, Tensor]:
    """Return what is known at some moments of clips.

    Args:
        bridge: Standardises frames, and has statistics.
        frames: Of the clips.
        keys: Theirs.
        seed: Of which moments.

    Returns:
        Statistics, (N, 2·D), in float16, and the number of the clip of each, (N,).
    """
    drawn = random.Random(seed)
    size = bridge.config.window
    found, clips = [], []
    for number, key in enumerate(keys):
        speech = bridge.standardise(pad_frames([frames.read(key)], least=size))
        windows = cut_windows(speech, size=size, hop=bridge.config.hop)
        known = RunningStatistics().push(windows)[0]
        last = len(known) - 1
        first = min(LISTENED_WINDOWS, last)
        moments = {last, *(drawn.randint(first, last) for _ in range(MOMENTS - 1))}
        found.append(known[sorted(moments)].half())
        clips += [number] * len(moments)
    return torch.cat(found), torch.tensor(clips)


def fit(
    known: Tensor, names: Sequence[str], width: int, config: FitConfig
) -> tuple[Tensor, Tensor]:
    """Return the map whose values tell names apart, by a linear layer behind it.

    Frequent names count less than in proportion: by the root of how often they come.

    Args:
        known: Statistics, (N, F).
        names: Of what is heard at each, N.
        width: Of what queries are told.
        config: How it is learned.

    Returns:
        Weight, (width, F), and bias, (width,), for statistics as they are; values have
        a root mean square of about 1.
    """
    generator = torch.Generator().manual_seed(config.seed)
    known = known.float()
    mean, deviation = known.mean(0), known.std(0).clamp(min=LEAST_DEVIATION)
    counts = Counter(names)
    places = {name: place for place, name in enumerate(sorted(counts))}
    wanted = torch.tensor([places[name] for name in names])
    shares = torch.tensor([counts[name] ** -0.5 for name in names])
    linear = nn.Linear(known.shape[1], width)
    nn.init.normal_(linear.weight, std=known.shape[1] ** -0.5, generator=generator)
    nn.init.zeros_(linear.bias)
    norm, head = nn.LayerNorm(width), nn.Linear(width, len(places))
    nn.init.normal_(head.weight, std=width**-0.5, generator=generator)
    nn.init.zeros_(head.bias)
    learned = [*linear.parameters(), *norm.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(learned, weight_decay=config.weight_decay)
    for step in range(config.steps):
        for group in optimizer.param_groups:
            rising = min(1.0, (step + 1) / config.rising_steps)
            group["lr"] = config.peak_lr * rising * (1 - step / config.steps)
        chosen = torch.multinomial(shares, config.batch, True, generator=generator)
        heard = (known[chosen] - mean) / deviation
        kept = torch.rand(heard.shape, generator=generator) >= config.dropout
        heard = heard * kept / (1 - config.dropout)
        loss = F.cross_entropy(head(norm(linear(heard))), wanted[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        some = (known[: config.batch * 8] - mean) / deviation
        weight = linear.weight / linear(some).square().mean().sqrt()
        bias = linear.bias / linear(some).square().mean().sqrt()
        weight = weight / deviation
        return weight, bias - weight @ mean


def begin(
    bridge: Bridge,
    frames: Frames,
    heard: Sequence[tuple[str, str]],
    config: FitConfig | None = None,
) -> None:
    """Let a bridge begin with a map of its statistics that tells clips apart.

    Args:
        bridge: With `running`, its frames standardised.
        frames: Of the clips.
        heard: The key of each clip, and words for what is heard in it.
        config: How it is learned.
    """
    assert bridge.config.running, "a bridge that keeps no statistics"
    config = config or FitConfig()
    keys, names = zip(*heard, strict=True)
    known, clips = collect(bridge, frames, keys, seed=config.seed)
    names_of = [names[number] for number in clips.tolist()]
    weight, bias = fit(known, names_of, bridge.config.width, config)
    with torch.no_grad():
        bridge.speech_running.weight.copy_(weight)
        bridge.speech_running.bias.copy_(bias)
