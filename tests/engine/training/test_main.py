"""`salmonn-train` with models in files, as a user calls it."""

import json

import pytest
import torch

from engine import checkpoint
from engine.training.__main__ import main
from tests.engine.tiny_checkpoint import TINY_BEATS, beats_file
from tests.engine.training.model_files import (
    LLM_WIDTH,
    SPEECH_WIDTH,
    llm_folder,
    whisper_folder,
)
from tests.engine.training.tiny import write_clips

STAGE = """
name = "{name}"
out = "{folder}/{name}"
steps = 3
{start}

[model]
preset = "mini"
whisper = "{models}/whisper"
llm = "{models}/llm"
{beats}
precision = "{precision}"

[bridge]
speech_width = {speech_width}
audio_width = {audio_width}
width = 24
heads = 2
ffn_width = 32
layers = 1
llm_width = {llm_width}

[lora]
rank = {rank}

[data]
train = ["{clips}"]
dev = ["{clips}"]
batch = 2
workers = 0

[optimiser]
warm_up_steps = 0
peak_rate = 1e-2

[run]
log_steps = 1
validate_steps = 3
max_dev_examples = 2
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    whisper_folder(folder)
    llm_folder(folder)
    beats_file(folder / "beats.pt")
    return folder


@pytest.fixture
def write_stage(tmp_path, models):
    clips = write_clips(tmp_path, 4)

    def write(name="one", *, beats=True, start="", rank=2, **others):
        settings = {
            "precision": "float32",
            "speech_width": SPEECH_WIDTH,
            "llm_width": LLM_WIDTH,
            "audio_width": TINY_BEATS.encoder_embed_dim if beats else 0,
        }
        path = tmp_path / f"{name}.toml"
        text = STAGE.format(
            name=name,
            folder=tmp_path,
            models=models,
            clips=clips,
            start=f'start = "{start}"' if start else "",
            beats=f'beats = "{models}/beats.pt"' if beats else "",
            rank=rank,
            **(settings | others),
        )
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_two_stages_in_a_row(write_stage, tmp_path, capsys):
    assert main([write_stage("one")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"last: {tmp_path / 'one' / 'last.safetensors'}"
    assert "token accuracy" in told[-1]
    last = tmp_path / "one" / "last.safetensors"
    assert main([write_stage("two", start=last)]) == 0
    log = (tmp_path / "two" / "log.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2, 3, 3]
    trained = checkpoint.read(tmp_path / "two" / "last.safetensors")
    assert trained.sizes.language_model.width == LLM_WIDTH
    assert trained.sizes.lora.scale == 16.0  # alpha 32 over rank 2
    before = checkpoint.read(last)
    assert trained.sizes == before.sizes
    assert not torch.equal(
        trained.bridge["speech_llama_proj.weight"],
        before.bridge["speech_llama_proj.weight"],
    )


def test_the_command_line_says_otherwise(write_stage, tmp_path, capsys):
    out = tmp_path / "other"
    assert main([write_stage(), "--out", str(out), "--steps", "1"]) == 0
    lines = (out / "log.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 1]


@pytest.mark.filterwarnings("ignore:.*CPU.*autocast.*")
def test_a_stage_in_bfloat16(write_stage, tmp_path):
    assert main([write_stage(precision="bfloat16")]) == 0
    trained = checkpoint.read(tmp_path / "one" / "last.safetensors")
    assert {t.dtype for t in trained.tensors.values()} == {torch.float32}


def test_measuring_keeps_nothing_and_tells_the_floor(write_stage, tmp_path, capsys):
    assert main([write_stage(), "--measure", "2"]) == 0
    told = capsys.readouterr().out
    assert "steps/s" in told
    assert "floor" in told
    assert "multiply-adds at" in told
    assert not (tmp_path / "one").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"llm_width": 48}, "bridge.llm_width is 48"),
        ({"speech_width": 17}, "bridge.speech_width is 17"),
        ({"beats": False, "audio_width": 16}, "bridge.audio_width is 16"),
    ],
)
def test_models_that_do_not_fit_are_told(write_stage, capsys, change, told):
    assert main([write_stage(**change)]) == 1
    assert told in capsys.readouterr().err


def test_a_checkpoint_of_another_shape_is_refused(write_stage, tmp_path, capsys):
    assert main([write_stage("one")]) == 0
    last = tmp_path / "one" / "last.safetensors"
    assert main([write_stage("two", start=last, rank=4)]) == 1
    assert "has lora.rank 2; the stage asks for 4" in capsys.readouterr().err


def test_an_official_stage_needs_its_models(capsys, tmp_path):
    assert main(["13b-1", "--out", str(tmp_path / "x"), "--cpu"]) == 1
    assert "model.llm is not set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [([], "no STAGE"), (["nowhere"], "no stage 'nowhere'")],
)
def test_wrong_usage_is_told(arguments, told, capsys):
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_a_wrong_key_is_told_with_its_file(write_stage, capsys):
    path = write_stage()
    with open(path, "a", encoding="utf-8") as file:
        file.write("colour = 3\n")
    assert main([path]) == 2
    assert f"{path}: unknown key run.colour" in capsys.readouterr().err


def test_the_stages_that_come_along_are_listed(capsys):
    assert main(["--list"]) == 0
    assert {"13b-1", "7b-3"} <= set(capsys.readouterr().out.split())
