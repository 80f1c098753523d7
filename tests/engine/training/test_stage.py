"""Each stage from end to end on a tiny model."""

import io
import json
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from rich.console import Console

from engine import checkpoint
from engine.training.config import (
    DataConfig,
    MaskConfig,
    OptimiserConfig,
    RunConfig,
    StageConfig,
    StoriesConfig,
)
from engine.training.loop import TrainingError
from engine.training.stage import prepare
from engine.training.state import ResumeError
from tests.engine.training.tiny import (
    BRIDGE,
    frozen_state,
    start_from,
    tiny_parts,
    write_clips,
)

DROPOUT = 0.1


@pytest.fixture
def clips(tmp_path):
    return write_clips(tmp_path, 12)


@pytest.fixture
def config(tmp_path, clips):
    return StageConfig(
        name="one",
        out=tmp_path / "one",
        steps=12,
        data=DataConfig(
            train=(clips,), dev=(clips,), batch=4, workers=0, max_target_tokens=60
        ),
        optimiser=OptimiserConfig(
            peak_rate=2e-2, last_rate=1e-3, warm_up_steps=2, max_gradient_norm=5.0
        ),
        run=RunConfig(log_steps=1, validate_steps=6, save_steps=3),
    )


def dropping_parts():
    """Return a model in which chance matters: dropout everywhere, and masks."""
    return tiny_parts(
        bridge=replace(BRIDGE, dropout=DROPOUT),
        lora_dropout=DROPOUT,
        masks=MaskConfig(time_masks=2, channel_masks=1, max_channels=2),
    )


def train(config, parts, *, stop_after=None):
    """Run a stage, or stop it as a signal does; return what it told."""
    console = Console(file=io.StringIO(), width=200)
    trainer = prepare(config, parts, Accelerator(cpu=True), console)
    if stop_after is not None:
        advance = trainer.journal.advance

        def stop(step):
            advance(step)
            # Told after this step, it stops after the next one.
            trainer.stop = step >= stop_after - 1

        trainer.journal.advance = stop
    trainer.run()
    return console.file.getvalue()


def losses(folder):
    text = (folder / "log.jsonl").read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    return [line["train"]["loss"] for line in lines if "train" in line]


def weights(parts):
    return {name: p.detach().clone() for name, p in parts.learned()}


def same(one, other):
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_loss_falls_and_what_is_frozen_does_not_change(config):
    parts = tiny_parts()
    frozen, before = frozen_state(parts), weights(parts)
    train(config, parts)
    curve = losses(config.out)
    assert len(curve) == 12
    assert sum(curve[-3:]) < 0.95 * sum(curve[:3])
    after = frozen_state(parts)
    assert frozen.keys() == after.keys()
    assert all(torch.equal(frozen[name], after[name]) for name in frozen)
    changed = [n for n, value in weights(parts).items() if not value.equal(before[n])]
    assert any("lora_" in name for name in changed)
    assert any(name.startswith("bridge.") for name in changed)


def test_the_next_stage_starts_from_the_last_ones_checkpoint(config, tmp_path):
    first = tiny_parts()
    train(config, first)
    second = start_from(config.out / "last.safetensors")
    assert same(weights(first), weights(second))
    again = replace(config, out=tmp_path / "two", start=config.out / "last.safetensors")
    train(again, second)
    assert losses(again.out)[0] < 0.95 * losses(config.out)[0]


def test_clips_of_a_list_that_is_given_twice_are_heard_twice(config, clips):
    def members(*lists):
        data = replace(config.data, train=lists, together=4)
        stage = replace(config, out=config.out / str(len(lists)), data=data)
        console = Console(file=io.StringIO())
        return prepare(
            stage, tiny_parts(), Accelerator(cpu=True), console
        ).order.members

    once, twice = members(clips), members(clips, clips)
    assert twice[: len(once)] == once
    shifted = [tuple(n + sum(map(len, once)) for n in group) for group in once]
    assert list(twice[len(once) :]) == shifted


def test_interrupted_and_resumed_is_uninterrupted_to_the_bit(config, tmp_path):
    whole = dropping_parts()
    train(config, whole)
    cut = replace(config, out=tmp_path / "cut")
    train(cut, dropping_parts(), stop_after=5)
    assert len(losses(cut.out)) == 5
    rest = dropping_parts()
    train(cut, rest)
    assert losses(cut.out) == losses(config.out)
    assert same(weights(rest), weights(whole))
    files = [path / "best.safetensors" for path in (config.out, cut.out)]
    one, other = (checkpoint.read(file).tensors for file in files)
    assert same(one, other)


def test_a_fall_between_two_checkpoints_costs_only_the_steps_since(config, tmp_path):
    whole = dropping_parts()
    train(config, whole)
    fallen = replace(config, out=tmp_path / "fallen")
    trainer = prepare(fallen, dropping_parts(), Accelerator(cpu=True), Console())
    advance = trainer.journal.advance

    def fall(step):
        advance(step)
        if step == 5:  # two steps after the last checkpoint
            raise OSError("the power is gone")

    trainer.journal.advance = fall
    with pytest.raises(OSError, match="power"):
        trainer.run()
    rest = dropping_parts()
    train(fallen, rest)
    assert losses(fallen.out) == losses(config.out)
    assert same(weights(rest), weights(whole))


def test_accumulated_small_batches_are_one_large_batch(config, tmp_path):
    train(config, tiny_parts())
    data = replace(config.data, batch=2, accumulation=2)
    small = replace(config, out=tmp_path / "small", data=data)
    train(small, tiny_parts())
    assert losses(small.out) == pytest.approx(losses(config.out), rel=1e-4)


def test_a_finished_stage_has_nothing_to_do(config):
    train(config, tiny_parts())
    stamp = (config.out / "last.state").stat().st_mtime_ns
    parts = tiny_parts()
    train(config, parts)
    assert (config.out / "last.state").stat().st_mtime_ns == stamp


def test_a_folder_of_another_run_is_refused(config):
    train(config, tiny_parts())
    with pytest.raises(ResumeError, match="with seed 42; asked for is 43"):
        train(replace(config, seed=43), tiny_parts())


def test_broken_clips_are_told_counted_and_left_out(config, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    listed = write_clips(folder, 12, broken=2)
    told = train(
        replace(config, data=replace(config.data, train=(listed,))), tiny_parts()
    )
    assert told.count("skipped: ") == 2
    assert f"skipped: {folder / 'low0.wav'} is not audio" in told
    last = (config.out / "log.jsonl").read_text("utf-8").splitlines()[-2]
    # Twelve steps of four are four epochs of twelve.
    assert json.loads(last)["train"]["skipped"] == 4 * 2


def test_a_step_of_which_nothing_can_be_read_ends_the_run(config, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    listed = write_clips(folder, 4, broken=4)
    data = replace(config.data, train=(listed,), dev=())
    with pytest.raises(TrainingError, match="no example of step 1 could be read"):
        train(replace(config, data=data), tiny_parts())


def test_a_loss_that_is_no_number_ends_the_run(config):
    parts = tiny_parts()
    with torch.no_grad():
        parts.student.bridge.speech_llama_proj.bias.fill_(torch.nan)
    with pytest.raises(TrainingError, match="the loss of step 1 is nan"):
        train(config, parts)


def test_the_gradient_is_clipped(config, tmp_path):
    limit = replace(config.optimiser, max_gradient_norm=1e-9)
    still = replace(config, out=tmp_path / "still", optimiser=limit, steps=1)
    free = replace(
        still,
        out=tmp_path / "free",
        optimiser=replace(limit, max_gradient_norm=None, eps=1.0, weight_decay=0.0),
    )
    held = replace(
        still,
        out=tmp_path / "held",
        optimiser=replace(limit, eps=1.0, weight_decay=0.0),
    )
    start = weights(tiny_parts())

    def moved(stage):
        parts = tiny_parts()
        train(stage, parts)
        after = weights(parts)
        return max(float((after[n] - start[n]).abs().max()) for n in start)

    assert moved(held) < 1e-3 * moved(free)


def test_only_words_that_occur_are_scored_where_that_is_asked_for(config):
    train(replace(config, loss_words="seen"), tiny_parts())
    # Letters of "low" and "high", and the end: eight tokens.
    assert losses(config.out)[0] < 6.0


def test_activation_tuning_writes_stories_and_learns_them(config, clips, tmp_path):
    stage = replace(
        config,
        out=tmp_path / "three",
        steps=4,
        data=replace(config.data, train=(), dev=(), batch=1),
        stories=StoriesConfig(
            clips=clips, count=4, lora_scale=2.0, max_tokens=30, min_tokens=5
        ),
    )
    parts = tiny_parts()
    told = train(stage, parts)
    assert "story 4/4" in told
    lines = (stage.out / "stories.jsonl").read_text("utf-8").splitlines()
    stories = [json.loads(line) for line in lines]
    assert len({story["path"] for story in stories}) == 4
    assert {story["task"] for story in stories} == {"audio_story_telling"}
    assert all(story["text"] for story in stories)
    assert len(losses(stage.out)) == 4
    # Once written, they are what a run that goes on learns, too.
    train(replace(stage, run=replace(stage.run, log_steps=2)), tiny_parts())
    assert (stage.out / "stories.jsonl").read_text("utf-8").splitlines() == lines
