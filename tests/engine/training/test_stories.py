"""Stories that a model writes for itself."""

import json
from dataclasses import replace

import pytest
import torch

from engine.data.lists import DataError, read_examples
from engine.lora import DEFAULT
from engine.training.config import StoriesConfig
from engine.training.reading import Reader
from engine.training.stories import questions, write_stories
from tests.engine.training.tiny import tiny_parts, write_clips

SCALE = 4.0


@pytest.fixture
def clips(tmp_path):
    return read_examples(
        [write_clips(tmp_path, 6, broken=1)], "train", answered=False
    ).items


@pytest.fixture
def config(tmp_path):
    return StoriesConfig(
        clips=tmp_path / "clips.jsonl", count=3, max_tokens=12, min_tokens=4
    )


def write(parts, clips, config, path, told=None):
    reader = Reader(questions(clips), parts.listener, parts.speller, seed=0, fixed=True)
    write_stories(
        parts.student,
        parts.llm,
        reader,
        clips,
        config=config,
        trained_scale=SCALE,
        seed=0,
        path=path,
        tell=(told if told is not None else []).append,
    )
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_each_story_is_about_another_clip_and_is_an_example(tmp_path, clips, config):
    told = []
    path = tmp_path / "stories.jsonl"
    lines = write(tiny_parts(), clips, config, path, told)
    assert len({line["path"] for line in lines}) == len(told) == 3
    examples = read_examples([path], "train").items
    assert [item.task for item in examples] == ["audio_story_telling"] * 3
    assert all(file.exists() for item in examples for file in item.files)


def test_the_same_seed_writes_the_same_stories(tmp_path, clips, config):
    first = write(tiny_parts(), clips, config, tmp_path / "a.jsonl")
    assert write(tiny_parts(), clips, config, tmp_path / "b.jsonl") == first


def test_the_scale_is_reduced_while_writing_and_restored(tmp_path, clips, config):
    parts = tiny_parts()
    with torch.no_grad():
        for name, parameter in parts.learned():
            if "lora_B" in name:
                parameter.normal_()
    full = replace(config, lora_scale=SCALE)
    scaled = write(parts, clips, config, tmp_path / "a.jsonl")
    assert write(parts, clips, full, tmp_path / "b.jsonl") != scaled
    layer = parts.llm.model.get_submodule("model.layers.0.self_attn.q_proj")
    assert layer.scaling[DEFAULT] == SCALE  # alpha 8 over rank 2


def test_too_few_stories_are_an_error_and_leave_no_list(tmp_path, clips, config):
    path = tmp_path / "stories.jsonl"
    # Five of six clips can be heard.
    with pytest.raises(DataError, match="6 clips led to 5 stories of at least 4"):
        write(tiny_parts(), clips, replace(config, count=6), path)
    assert not path.exists()


def test_an_answer_that_ends_at_once_is_no_story(tmp_path, clips, config):
    parts = tiny_parts()
    parts.llm.stop = frozenset(range(parts.llm.model.config.vocab_size))
    with pytest.raises(DataError, match="led to 0 stories"):
        write(parts, clips, config, tmp_path / "stories.jsonl")
