"""Stage files."""

import pytest

from engine.config import build, read_toml
from engine.qformer import MINI_BRIDGE
from engine.training.config import StageConfig
from engine.training.stages import find_stage, shipped

LEAST = {"name": "x", "out": "runs/x", "data": {"train": ["x.json"]}}


def test_defaults_are_the_originals():
    config = build(StageConfig, LEAST)
    assert (config.steps, config.data.batch, config.data.accumulation) == (90_000, 8, 1)
    assert config.optimiser.betas == (0.9, 0.999)
    assert config.optimiser.weight_decay == 0.05
    assert config.optimiser.max_gradient_norm is None
    assert config.data.max_target_tokens == 300
    assert (config.lora.rank, config.lora.scale, config.lora.dropout) == (8, 4.0, 0.1)
    assert config.hearing.mode == "exact"
    assert config.seed == 42


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"stepz": 1}, "unknown key stepz"),
        ({"data": {}}, "data.train and .stories. are alternatives"),
        ({"stories": {"clips": "x.jsonl"}}, "are alternatives"),
        ({"optimiser": {"betas": [0.9]}}, "betas are 1 numbers"),
        ({"optimiser": {"max_gradient_norm": -1.0}}, "it must be at least 0"),
        ({"mask": {"max_share": 0.0}}, "max_share is 0.0"),
        ({"data": {"train": ["x"], "batch": 0}}, "batch is 0"),
        ({"lora": {"rank": 0}}, "rank is 0"),
        ({"run": {"save_steps": 0}}, "save_steps is 0"),
        ({"hearing": {"mode": "loud"}}, "hearing.mode is 'loud'"),
    ],
)
def test_a_wrong_setting_is_told(change, told):
    with pytest.raises(ValueError, match=told):
        build(StageConfig, LEAST | change)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_stage_is_read(name):
    config = read_toml(StageConfig, find_stage(name))
    assert config.name == name
    assert config.out.name == name


@pytest.mark.parametrize("size", ["13b", "7b", "mini"])
def test_each_stage_starts_from_the_last_one(size):
    one, two, three = (
        read_toml(StageConfig, find_stage(f"{size}-{number}")) for number in (1, 2, 3)
    )
    assert two.start == one.out / "last.safetensors"
    assert three.start == two.out / "last.safetensors"
    assert three.stories is not None
    assert (three.stories.count, three.steps, three.data.batch) == (12, 12, 1)
    assert one.model == two.model == three.model
    assert one.bridge == two.bridge == three.bridge
    assert one.lora.scale == two.lora.scale == three.lora.scale


def test_a_stage_that_is_neither_file_nor_name_is_told():
    with pytest.raises(ValueError, match=r"no stage 'nowhere\.toml': neither"):
        find_stage("nowhere.toml")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_minis_stages_train_the_bridge_that_was_warmed_up(number):
    config = read_toml(StageConfig, find_stage(f"mini-{number}"))
    assert config.bridge == MINI_BRIDGE
