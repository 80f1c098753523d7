"""Which language model a checkpoint needs, and which it refuses."""

import pytest

from engine.checkpoint_sizes import VICUNAS, LanguageModel, Lora, Sizes
from engine.errors import WeightsError
from engine.qformer import BridgeConfig

Q, V = "self_attn.q_proj", "self_attn.v_proj"
VICUNA_13B, VICUNA_7B = VICUNAS
CONFIG_13B = {
    "hidden_size": 5120,
    "num_hidden_layers": 40,
    "max_position_embeddings": 2048,
}


def sizes(width, layers, targets):
    lora = Lora(rank=8, alpha=32.0, layers=layers, targets=targets)
    return Sizes(BridgeConfig(llm_width=width), lora)


@pytest.mark.parametrize("vicuna", VICUNAS, ids=lambda vicuna: vicuna.name)
def test_the_official_sizes_need_a_vicuna_by_name(vicuna):
    square = (vicuna.width, vicuna.width)
    found = sizes(vicuna.width, vicuna.layers, {Q: square, V: square})
    assert found.language_model == vicuna


def test_another_size_needs_what_its_shapes_tell():
    found = sizes(16, 3, {Q: (16, 16), V: (16, 16)}).language_model
    assert found == LanguageModel(width=16, layers=3)
    assert str(found) == "a language model (hidden size 16, 3 layers)"


def test_fewer_key_heads_than_vicuna_has_are_another_language_model():
    found = sizes(4096, 32, {Q: (4096, 4096), V: (4096, 1024)}).language_model
    assert found.name is None


def test_the_right_language_model_is_accepted():
    VICUNA_13B.check(CONFIG_13B, "vicuna-13b")
    LanguageModel(width=5120, layers=40).check(CONFIG_13B, "vicuna-13b")


def test_a_config_that_does_not_tell_its_generation_is_accepted():
    VICUNA_13B.check({"hidden_size": 5120, "num_hidden_layers": 40}, "vicuna-13b")


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_size", 4096), ("num_hidden_layers", 32)],
)
def test_a_language_model_of_another_size_is_refused(key, value):
    with pytest.raises(WeightsError, match=f"llm has {key} {value}; the checkpoint"):
        VICUNA_13B.check({**CONFIG_13B, key: value}, "llm")


def test_the_wrong_generation_of_vicuna_is_refused():
    with pytest.raises(WeightsError) as caught:
        VICUNA_13B.check({**CONFIG_13B, "max_position_embeddings": 4096}, "llm")
    assert str(caught.value) == (
        "llm has max_position_embeddings 4096; the checkpoint needs Vicuna 13B v1.1 "
        "(hidden size 5120, 40 layers), which has 2048"
    )
