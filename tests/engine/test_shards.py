"""Folders of weights: whole and in shards, of both kinds, and damaged ones."""

import fractions
import json

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import WeightsError
from engine.shards import Shards

TENSORS = {
    "model.encoder.a": torch.arange(6.0).view(2, 3),
    "model.encoder.b": torch.ones(4),
    "model.decoder.a": torch.zeros(5),
}
SHAPES = {"model.encoder.a": (2, 3), "model.encoder.b": (4,), "model.decoder.a": (5,)}
KINDS = {"model.safetensors": save_file, "pytorch_model.bin": torch.save}


def whole(folder, name):
    KINDS[name](TENSORS, folder / name)


def sharded(folder, name):
    stem, _, suffix = name.rpartition(".")
    places = {}
    for number, (key, tensor) in enumerate(TENSORS.items(), 1):
        places[key] = f"{stem}-{number:05}-of-00003.{suffix}"
        KINDS[name]({key: tensor}, folder / places[key])
    index = {"metadata": {}, "weight_map": places}
    (folder / f"{name}.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("write", [whole, sharded])
def test_shapes_are_told_and_some_tensors_read(tmp_path, write, name):
    write(tmp_path, name)
    shards = Shards.of(tmp_path)
    assert shards.shapes() == SHAPES
    found = shards.load("model.encoder.")
    assert found.keys() == {"a", "b"}
    for key, tensor in found.items():
        assert torch.equal(tensor, TENSORS[f"model.encoder.{key}"])
    assert shards.size_bytes == sum(file.stat().st_size for file in shards.files)


def test_safetensors_are_taken_before_pickles(tmp_path):
    whole(tmp_path, "pytorch_model.bin")
    whole(tmp_path, "model.safetensors")
    assert Shards.of(tmp_path).files == (tmp_path / "model.safetensors",)


def refusal(folder):
    with pytest.raises(WeightsError) as caught:
        Shards.of(folder).shapes()
    return str(caught.value)


def test_a_folder_without_weights_is_refused(tmp_path):
    assert refusal(tmp_path).endswith("expected model.safetensors or pytorch_model.bin")


def test_a_shard_that_was_not_downloaded_is_named(tmp_path):
    sharded(tmp_path, "pytorch_model.bin")
    (tmp_path / "pytorch_model-00002-of-00003.bin").unlink()
    assert "names pytorch_model-00002-of-00003.bin, 1 missing" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"weight_map": {}}', '{"weight_map": 1}'])
def test_an_index_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    assert "model.safetensors.index.json" in refusal(tmp_path)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_cut_short_is_refused_by_name(tmp_path, name):
    whole(tmp_path, name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    assert f"{tmp_path / name} is " in refusal(tmp_path)


def test_a_pickle_of_more_than_tensors_is_not_opened(tmp_path):
    torch.save({"a": fractions.Fraction(1, 2)}, tmp_path / "pytorch_model.bin")
    assert "holds more than tensors" in refusal(tmp_path)
