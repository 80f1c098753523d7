"""A SALMONN's files before they are loaded: told, and refused for what is wrong."""

import json
from dataclasses import replace

import pytest
import torch

from engine.checkpoint import read, write
from engine.config import PartsConfig
from engine.errors import WeightsError
from engine.inspection import inspect
from engine.presets import RELEASED
from engine.salmonn_files import (
    LLAMA_OPENING,
    SalmonnFiles,
    check_llm,
    check_tokenizer,
)
from tests.engine.test_official import released_state
from tests.engine.tiny_checkpoint import LAYERS, beats_file, official_file
from tests.engine.tiny_salmonn import BRIDGE, trained_state, write_salmonn


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write_salmonn(tmp_path_factory.mktemp("salmonn"))


def look(parts, preset="custom"):
    return inspect(parts, preset, precision="float32")


def test_files_that_fit_have_no_problem_and_tell_what_they_are(written):
    found = look(written.parts)
    assert found.problems == []
    what = {finding.part: finding.what for finding in found.findings}
    assert what == {
        "ckpt": "trained with a language model (hidden size 16, 3 layers); "
        "LoRA of rank 2, alpha 32",
        "beats": "16 wide, 12 layers, 5 classes",
        "whisper": "12 wide, 2 layers in its encoder",
        "llm": "llama: a language model (hidden size 16, 3 layers)",
    }
    assert all(finding.size_bytes for finding in found.findings)
    assert sum(row.size_bytes for row in found.memory) > 0


def test_our_own_format_is_looked_at_as_the_official_one(written, tmp_path):
    ours = tmp_path / "ours.safetensors"
    write(read(written.ckpt), ours)
    found = look(replace(written.parts, ckpt=ours))
    assert found.problems == []
    assert found.memory == look(written.parts).memory


@pytest.mark.parametrize("preset", RELEASED)
def test_before_there_are_files_a_released_preset_says_which_it_needs(preset):
    found = look(PartsConfig(), preset)
    assert len(found.problems) == 4
    assert f"expected {RELEASED[preset].checkpoint}" in found.problems[0]
    assert RELEASED[preset].llm_repository in found.problems[3]
    assert found.memory, "computed from the released shapes"


def test_before_there_are_files_nothing_is_computed_of_other_sizes():
    assert look(PartsConfig()).memory == ()


def test_problems_of_all_parts_are_told_at_once(written, tmp_path):
    torch.manual_seed(0)
    wide = replace(BRIDGE, speech_width=20, audio_width=24)
    ckpt = official_file(tmp_path / "a.pth", trained_state(0.1, wide))
    found = look(replace(written.parts, ckpt=ckpt, llm=tmp_path / "nowhere"))
    assert found.problems == [
        f"{written.beats} is 16 wide; the checkpoint was trained with a BEATs of 24",
        f"{written.whisper} has d_model 12; the checkpoint was trained with a "
        "Whisper of 20",
        f"{tmp_path / 'nowhere' / 'config.json'} cannot be read: "
        "No such file or directory",
    ]


def test_a_checkpoint_of_other_sizes_is_not_a_released_one(written):
    (problem,) = look(written.parts, "salmonn-7b").problems
    assert problem == (
        f"{written.ckpt} was trained with a language model (hidden size 16, 3 layers);"
        " preset salmonn-7b has Vicuna 7B v1.5"
    )


def llm_with(folder, source, **settings):
    config = json.loads((source / "config.json").read_text())
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**config, **settings}))
    return folder


def test_a_language_model_of_another_size_is_refused(written, tmp_path):
    llm = llm_with(tmp_path / "llm", written.llm, num_hidden_layers=LAYERS + 1)
    problem = look(replace(written.parts, llm=llm)).problems[0]
    assert problem.startswith(f"{llm} has num_hidden_layers 4; the checkpoint needs")


@pytest.mark.parametrize(
    ("preset", "positions", "other"),
    [("salmonn-13b", 2048, 4096), ("salmonn-7b", 4096, 2048)],
)
def test_the_wrong_generation_of_vicuna_is_refused(
    written, tmp_path, preset, positions, other
):
    trained = read(official_file(tmp_path / "a.pth", released_state(preset)))
    needed = trained.sizes.language_model
    sizes = {"hidden_size": needed.width, "num_hidden_layers": needed.layers}
    llm = llm_with(
        tmp_path / "llm", written.llm, **sizes, max_position_embeddings=other
    )
    with pytest.raises(WeightsError) as caught:
        check_llm(llm, trained)
    message = str(caught.value)
    assert f"max_position_embeddings {other}; the checkpoint needs {needed}" in message
    assert message.endswith(f"which has {positions}")


class Words:
    """A tokenizer that says the same of every text."""

    bos_token_id = 1

    def __init__(self, *ids):
        self._ids = list(ids)

    def encode(self, text, *, add_special_tokens):
        assert not add_special_tokens
        return self._ids


def test_a_tokenizer_that_reads_prompts_in_another_way_is_refused(tmp_path):
    check_tokenizer(Words(*LLAMA_OPENING[1:]), tmp_path)
    with pytest.raises(WeightsError) as caught:
        check_tokenizer(Words(3148, 1001), tmp_path)
    assert "opens a prompt with [1, 3148, 1001]; expected [1, 3148," in str(
        caught.value
    )


def test_a_language_model_without_a_tokenizer_is_refused(written, tmp_path):
    trained = read(official_file(tmp_path / "a.pth", released_state("salmonn-7b")))
    needed = trained.sizes.language_model
    sizes = {"hidden_size": needed.width, "num_hidden_layers": needed.layers}
    llm = llm_with(tmp_path / "llm", written.llm, **sizes, max_position_embeddings=4096)
    with pytest.raises(WeightsError, match=r"no tokenizer; expected tokenizer\.model"):
        check_llm(llm, trained)


def test_a_beats_that_is_none_is_told(written, tmp_path):
    beats = beats_file(tmp_path / "beats.pt", cfg={"deep_norm": False})
    (problem,) = look(replace(written.parts, beats=beats)).problems
    assert "cfg.deep_norm is False" in problem


def test_all_four_parts_must_be_named(written):
    assert SalmonnFiles.of(written.parts, "custom").llm == written.llm
    with pytest.raises(WeightsError) as caught:
        SalmonnFiles.of(replace(written.parts, beats=None, llm=None), "salmonn-7b")
    assert str(caught.value) == (
        "preset salmonn-7b needs four parts, and none is named for beats, llm "
        "(docs/weights.md)"
    )
