"""Names and shapes: those of the official files, and of files of any other width."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.beats import Beats, BeatsConfig
from engine.checkpoint_names import Names, check_shapes
from engine.errors import WeightsError
from engine.qformer import Bridge, BridgeConfig
from tests.engine.tiny_checkpoint import (
    LAYERS,
    PREFIX,
    TINY,
    key_list,
    lora_state,
    model_state,
)

LISTS = {"13b": (5120, 40, 52), "7b": (4096, 32, 44)}
Q, V = "self_attn.q_proj", "self_attn.v_proj"


def shapes_of(state):
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def sizes_of(shapes, bridge=BridgeConfig()):
    names = Names.of(shapes, bridge=bridge)
    return names.sizes(shapes, bridge, 32.0)


@pytest.fixture
def shapes():
    return shapes_of(model_state())


@pytest.mark.parametrize("size", LISTS)
def test_the_official_lists_are_understood(size):
    listed = key_list(f"salmonn_keys_{size}.txt")
    width, layers, _ = LISTS[size]
    sizes = sizes_of(listed)
    assert sizes.bridge == BridgeConfig(llm_width=width)
    assert (sizes.lora.rank, sizes.lora.layers, sizes.lora.scale) == (8, layers, 4.0)
    assert sizes.lora.targets == {Q: (width, width), V: (width, width)}


@pytest.mark.parametrize("size", LISTS)
def test_the_layout_is_the_official_list(size):
    listed = key_list(f"salmonn_keys_{size}.txt")
    width, layers, num_extras = LISTS[size]
    names = Names.of(listed, bridge=BridgeConfig())
    with torch.device("meta"):
        bridge = Bridge(BridgeConfig(llm_width=width)).state_dict()
    assert shapes_of(bridge) == {name: listed[name] for name in names.bridge}
    assert len(names.bridge) == 61
    assert {*names.bridge, *names.lora} == listed.keys()
    assert len(names.lora) == 4 * layers
    assert len(names.extras) == num_extras


def test_the_extras_are_the_52_known_ones():
    listed = key_list("salmonn_keys_13b.txt")
    extras = key_list("salmonn_extras_13b.txt")
    assert Names.of(listed, bridge=BridgeConfig()).extras.keys() == extras.keys()
    assert sizes_of({**listed, **extras}) == sizes_of(listed)


def test_beats_has_the_official_names_and_shapes():
    with torch.device("meta"):
        state = Beats(BeatsConfig()).state_dict()
    assert shapes_of(state) == key_list("beats_keys.txt")


def test_other_widths_are_read_from_the_shapes(shapes):
    sizes = sizes_of(shapes)
    assert sizes.bridge == TINY
    assert (sizes.lora.rank, sizes.lora.layers) == (2, LAYERS)


@settings(max_examples=25)
@given(
    widths=st.tuples(*[st.integers(1, 64)] * 5),
    heads_wide=st.integers(1, 8),
    rank=st.integers(1, 64),
)
def test_any_widths_are_read_from_the_shapes(widths, heads_wide, rank):
    names = ("speech_width", "audio_width", "ffn_width", "queries", "llm_width")
    config = BridgeConfig(
        **dict(zip(names, widths, strict=True)), width=12 * heads_wide
    )
    with torch.device("meta"):
        bridge = Bridge(config).state_dict()
        lora = lora_state(rank=rank, width=config.llm_width)
    sizes = sizes_of(shapes_of({**bridge, **lora}))
    square = (config.llm_width, config.llm_width)
    assert sizes.bridge == config
    assert sizes.lora.rank == rank
    assert sizes.lora.targets == {Q: square, V: square}


def test_every_missing_tensor_is_named(shapes):
    for name in trained(shapes):
        others = {key: shape for key, shape in shapes.items() if key != name}
        with pytest.raises(WeightsError) as caught:
            sizes_of(others)
        assert str(caught.value) == f"1 missing ({name})"


def test_every_renamed_tensor_is_named_with_both_names(shapes):
    for name in trained(shapes):
        renamed = {key + "s" * (key == name): shape for key, shape in shapes.items()}
        with pytest.raises(WeightsError) as caught:
            sizes_of(renamed)
        assert str(caught.value) == f"1 missing ({name}); 1 unknown ({name}s)"


def test_every_tensor_that_is_one_too_long_is_named_with_its_shape(shapes):
    for name in trained(shapes):
        wrong = (*shapes[name][:-1], shapes[name][-1] + 1)
        with pytest.raises(WeightsError) as caught:
            sizes_of({**shapes, name: wrong})
        told = f"1 misshaped ({name} is {list(wrong)}, expected {list(shapes[name])})"
        assert str(caught.value) == told


def test_every_tensor_with_one_dimension_more_is_named(shapes):
    for name, shape in shapes.items():
        with pytest.raises(WeightsError) as caught:
            sizes_of({**shapes, name: (*shape, 1)})
        assert f"{name} is " in str(caught.value)


def trained(shapes):
    """Return the names that no checkpoint lacks."""
    return shapes.keys() - Names.of(shapes, bridge=BridgeConfig()).extras.keys()


@pytest.mark.parametrize(
    "unknown",
    [
        f"{PREFIX}.{LAYERS + 1}.self_attn.q_proj.lora_A.default.weight",
        f"{PREFIX}.0.self_attn.q_porj.lora_A.default.weight",
        f"{PREFIX}.0.self_attn.q_proj.weight",
        "beats.encoder.layers.0.self_attn.relative_attention_bias.weight",
        "speech_Qformer.bert.encoder.layer.2.output_query.dense.bias",
    ],
)
def test_a_tensor_beyond_the_layout_is_named(shapes, unknown):
    with pytest.raises(WeightsError, match=unknown.replace(".", r"\.")):
        sizes_of({**shapes, unknown: (2, 16)})


def test_a_layer_without_its_adapters_is_missed_if_its_extra_is_there(shapes):
    last = f"{PREFIX}.{LAYERS - 1}.self_attn"
    cut = {key: shape for key, shape in shapes.items() if f"{last}.q_" not in key}
    cut = {key: shape for key, shape in cut.items() if f"{last}.v_" not in key}
    with pytest.raises(WeightsError, match=r"^4 missing .* and 1 more\)$"):
        sizes_of(cut)


def test_extras_may_be_absent(shapes):
    only = {name: shapes[name] for name in trained(shapes)}
    assert sizes_of(only) == sizes_of(shapes)


def test_a_checkpoint_without_adapters_is_refused(shapes):
    bridge = {name: shapes[name] for name in shapes if "llama_model" not in name}
    with pytest.raises(WeightsError, match="no LoRA: nothing is named"):
        sizes_of(bridge)


def test_empty_adapters_are_refused(shapes):
    for name in shapes:
        if "lora_A" in name:
            shapes[name] = (0, shapes[name][1])
        elif "lora_B" in name:
            shapes[name] = (shapes[name][0], 0)
    with pytest.raises(WeightsError, match=r"is \[0, 16\], expected \[rank, 16\]"):
        sizes_of(shapes)


def test_a_width_that_the_heads_do_not_share_is_refused(shapes):
    with pytest.raises(WeightsError, match="24 wide; expected a multiple of its 7"):
        sizes_of(shapes, BridgeConfig(heads=7))


def test_adapters_may_read_something_else_than_hidden_states(shapes):
    for layer in range(LAYERS):
        name = f"{PREFIX}.{layer}.mlp.down_proj"
        shapes[f"{name}.lora_A.default.weight"] = (2, 40)
        shapes[f"{name}.lora_B.default.weight"] = (16, 2)
    assert sizes_of(shapes).lora.targets["mlp.down_proj"] == (40, 16)


def test_the_first_few_of_many_wrong_names_are_told():
    with pytest.raises(WeightsError) as caught:
        check_shapes({"e": (1,)}, dict.fromkeys("abcd", (1,)))
    assert str(caught.value) == "4 missing (a, b, c and 1 more); 1 unknown (e)"
