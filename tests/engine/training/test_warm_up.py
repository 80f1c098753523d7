"""A run on a handful of made-up clips, each frame of which tells its token."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

from engine.qformer import Bridge, BridgeConfig
from engine.training.ctc import TokenHead
from engine.training.warm_up import Example, WarmUp, WarmUpConfig, standardise_by

NUM_TOKENS, WIDTH = 6, 16
BRIDGE = BridgeConfig(
    speech_width=8,
    audio_width=0,
    width=32,
    heads=2,
    ffn_width=64,
    queries=2,
    window=5,
    hop=5,
    llm_width=WIDTH,
    dropout=0.1,
    speech_layers=2,
    context=2,
    positions=True,
    running=True,
    output_rms=1.0,
)
CONFIG = WarmUpConfig(batch_frames=120, peak_lr=3e-3, rising_steps=10, seed=3)


class Clips(dict):
    """Frames by key."""

    def read(self, key):
        return self[key]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    sounds = rng.normal(0, 1, (NUM_TOKENS + 1, 16)) * ([1.0] * 8 + [50.0] * 8)
    clips, examples = Clips(), []
    for index in range(16):
        places = rng.integers(1, NUM_TOKENS + 1, rng.integers(2, 5))
        frames = np.repeat(sounds[places], 7, axis=0)
        frames = frames + rng.normal(0, 0.1, frames.shape)
        clips[str(index)] = frames.astype(np.float16)
        said = tuple(int(place) for place in places)
        examples.append(Example(str(index), len(frames), said))
    return clips, examples


def new_run(clips):
    torch.manual_seed(0)
    run = WarmUp(Bridge(BRIDGE), TokenHead(torch.randn(NUM_TOKENS, WIDTH)), CONFIG)
    standardise_by(run.bridge, list(clips.values()))
    return run


def train(run, data, steps):
    clips, examples = data
    return [run.step(examples, clips) for _ in range(steps)]


def same(one, other):
    """Compare what is nested in states."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            same(one[key], other[key]) for key in one
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def test_the_bridge_learns_to_say_what_it_hears(data):
    clips, examples = data
    run = new_run(clips)
    done = train(run, data, 300)
    assert done[-1].loss < done[0].loss / 10
    assert done[-1].epoch > done[0].epoch
    heard = run.hear([clips[example.key] for example in examples])
    right = sum(
        tuple(said) == example.places
        for said, example in zip(heard, examples, strict=True)
    )
    # Where a token follows itself, windows may not show that there are two.
    assert right > len(examples) / 2


def test_each_window_of_a_clip_can_be_asked_to_say_its_tokens(data):
    clips, examples = data
    run = new_run(clips)
    named = [
        dataclasses.replace(examples[n], places=places, in_each_window=True)
        for n, places in enumerate([(1,), (2, 3), (4, 5, 6)])
    ]
    for _ in range(150):
        run.step(named, clips)
    said = [run.name(clips[example.key]) for example in named]
    assert said == [[1], [2, 3], [4, 5]]  # as many as there are queries


def test_rows_and_statistics_of_the_frames_stay_as_they_are(data):
    clips, _ = data
    run = new_run(clips)
    kept = [run.head.rows, *run.bridge.speech_layers.buffers()]
    before = copy.deepcopy(kept)
    weights = copy.deepcopy(list(run.bridge.parameters()))
    train(run, data, 3)
    assert all(map(torch.equal, kept, before))
    changed = [
        not torch.equal(*pair)
        for pair in zip(run.bridge.parameters(), weights, strict=True)
    ]
    assert all(changed)


@pytest.mark.parametrize("first", [1, 3, 8])
def test_a_run_that_was_interrupted_is_the_run_that_was_not(data, first, tmp_path):
    clips, _ = data
    whole = new_run(clips)
    expected = train(whole, data, 12)

    early = new_run(clips)
    losses = train(early, data, first)
    torch.save(early.state(), tmp_path / "state.pt")
    torch.manual_seed(99)
    late = new_run(clips)
    late.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    losses += train(late, data, 12 - first)

    assert losses == expected
    assert same(late.state(), whole.state())


def test_hearing_neither_trains_nor_draws(data):
    clips, examples = data
    run = new_run(clips)
    train(run, data, 2)
    before = copy.deepcopy(run.state())
    once = run.hear([clips[examples[0].key]])
    assert run.hear([clips[examples[0].key]]) == once
    assert same(run.state(), before)


def test_a_clip_says_the_same_beside_a_longer_one(data):
    clips, _ = data
    run = new_run(clips)
    train(run, data, 60)
    short, long = sorted(clips.values(), key=len)[0], max(clips.values(), key=len)
    assert run.hear([short, long]) == run.hear([short]) + run.hear([long])


def test_the_rate_rises_and_then_falls():
    config = WarmUpConfig(peak_lr=1.0, rising_steps=100)
    assert config.lr(0) == pytest.approx(0.01)
    assert config.lr(99) == pytest.approx(1.0)
    assert config.lr(399) == pytest.approx(0.5)
