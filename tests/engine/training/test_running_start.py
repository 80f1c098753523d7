"""The map from running statistics to a bridge's queries, before the warm-up."""

import numpy as np
import pytest
import torch

from engine.qformer import Bridge, BridgeConfig
from engine.running import RunningStatistics
from engine.training.running_start import FitConfig, begin, collect, fit
from engine.windows import cut_windows

CONFIG = BridgeConfig(
    speech_width=6,
    audio_width=0,
    width=8,
    heads=2,
    ffn_width=16,
    llm_width=12,
    speech_layers=2,
    running=True,
)
QUICK = FitConfig(steps=60, batch=64)


class Clips:
    """Frames of clips that differ by their mean or by how much they vary."""

    def __init__(self, count=24):
        draw = np.random.default_rng(0)
        self.heard = [(str(n), ("rain", "dog", "silence")[n % 3]) for n in range(count)]
        shift, scale = (3.0, 0.0, 0.0), (1.0, 4.0, 1.0)
        self._frames = {
            key: (
                draw.normal(shift[n % 3], scale[n % 3], (60 + 17 * (n % 4), 12))
            ).astype(np.float16)
            for n, (key, _) in enumerate(self.heard)
        }

    def read(self, key):
        return self._frames[key]


def told(bridge, frames):
    """Return what the last window's queries are told."""
    speech = bridge.standardise(torch.from_numpy(frames).float()[None])
    windows = cut_windows(speech, size=17, hop=17)
    return bridge.told(windows, RunningStatistics())[0, -1].detach()


def test_what_queries_are_told_tells_clips_apart_that_were_not_learned():
    torch.manual_seed(0)
    bridge, clips = Bridge(CONFIG), Clips()
    begin(bridge, clips, clips.heard[:12], QUICK)
    by_name = {}
    for key, name in clips.heard[:12]:
        by_name.setdefault(name, []).append(told(bridge, clips.read(key)))
    centres = {name: torch.stack(each).mean(0) for name, each in by_name.items()}
    for key, name in clips.heard[12:]:
        heard = told(bridge, clips.read(key))
        nearest = min(centres, key=lambda n: float((centres[n] - heard).norm()))
        assert nearest == name


def test_it_is_learned_the_same_way_each_time():
    clips = Clips()
    first, again = Bridge(CONFIG), Bridge(CONFIG)
    for bridge in (first, again):
        begin(bridge, clips, clips.heard, QUICK)
    assert torch.equal(first.speech_running.weight, again.speech_running.weight)
    assert torch.equal(first.speech_running.bias, again.speech_running.bias)


def test_moments_are_those_at_the_ends_of_windows_and_the_last_is_among_them():
    bridge, clips = Bridge(CONFIG), Clips(3)
    keys = [key for key, _ in clips.heard]
    known, numbers = collect(bridge, clips, keys, seed=0)
    assert known.shape == (len(numbers), 2 * 12)
    assert sorted(set(numbers.tolist())) == [0, 1, 2]
    for number, key in enumerate(keys):
        speech = bridge.standardise(torch.from_numpy(clips.read(key)).float()[None])
        every = RunningStatistics().push(cut_windows(speech, size=17, hop=17))[0]
        of_clip = known[numbers == number].float()
        assert torch.allclose(of_clip[-1], every[-1], atol=2e-3)
        near = (of_clip[:, None] - every[None]).abs().amax(-1).min(1).values
        assert near.max() < 2e-3


def test_values_are_about_as_large_as_queries():
    known = 100 * torch.randn(500, 10, generator=torch.Generator().manual_seed(1)) + 7
    weight, bias = fit(known, ["a", "b"] * 250, 8, QUICK)
    size = (known @ weight.T + bias).square().mean().sqrt()
    assert size == pytest.approx(1.0, rel=0.05)
