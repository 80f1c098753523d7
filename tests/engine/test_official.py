"""The released SALMONNs at full size, without a byte of their weights."""

import pytest
import torch

from engine import official
from engine.beats import Beats, BeatsConfig
from engine.checkpoint import read
from engine.errors import WeightsError
from engine.qformer import Bridge
from engine.salmonn_files import preset_of, read_checkpoint
from tests.engine.tiny_checkpoint import PREFIX, key_list, official_file

LISTS = {"salmonn-13b": "salmonn_keys_13b.txt", "salmonn-7b": "salmonn_keys_7b.txt"}
PARAMETERS = {"salmonn-13b": 13_015_864_320, "salmonn-7b": 6_738_415_616}


def released_state(preset):
    """Return all tensors of a released file: one number each, shown in its shape."""
    extras = key_list("salmonn_extras_13b.txt")
    for beyond in range(official.language_model(preset).layers, 40):
        del extras[f"{PREFIX}.{beyond}.self_attn.rotary_emb.inv_freq"]
    shapes = {**key_list(LISTS[preset]), **extras}
    return {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}


@pytest.fixture(params=LISTS)
def preset(request):
    return request.param


def numel(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_skeletons_have_the_sizes_of_the_originals(preset):
    llm = official.llm_skeleton(preset)
    assert numel(llm) == PARAMETERS[preset]
    assert {parameter.device.type for parameter in llm.parameters()} == {"meta"}
    assert numel(official.whisper_skeleton()) == 1_543_304_960
    encoder = official.speech_encoder_skeleton()
    assert numel(encoder) == 636_784_640
    assert encoder.config.d_model == official.bridge_config(preset).speech_width


def test_a_released_file_fills_the_skeleton_strictly(preset, tmp_path):
    path = official_file(tmp_path / "released.pth", released_state(preset))
    assert path.stat().st_size < 1_000_000
    found = read_checkpoint(path, preset)
    assert len(found.extras) == official.language_model(preset).layers + 12
    with torch.device("meta"):
        bridge, beats = Bridge(official.bridge_config(preset)), Beats(BeatsConfig())
    bridge.load_state_dict(found.bridge, strict=True, assign=True)
    assert numel(beats) == 90_717_055
    linear = dict(official.llm_skeleton(preset).named_modules())
    for name, tensor in found.lora.items():
        layer, _, half = name.removeprefix(f"{PREFIX}.").rpartition(".lora_")
        weight = linear[f"model.layers.{layer}"].weight
        side = weight.shape[1] if half.startswith("A") else weight.shape[0]
        assert set(tensor.shape) == {side, official.LORA_RANK}


@pytest.mark.parametrize(
    "name",
    [
        "ln_speech.weight",
        "speech_llama_proj.bias",
        f"{PREFIX}.31.self_attn.q_proj.lora_A.default.weight",
        "speech_Qformer.bert.encoder.layer.1.crossattention.self.key.weight",
    ],
)
def test_at_full_size_too_a_wrong_key_is_refused_by_name(preset, tmp_path, name):
    for change in ("renamed", "missing", "extra", "misshaped"):
        state = released_state(preset)
        tensor = state[name]
        if change == "misshaped":
            state[name] = tensor[..., :-1]
        elif change == "extra":
            state[f"{name}.more"] = tensor
        else:
            del state[name]
        if change == "renamed":
            state[f"old.{name}"] = tensor
        with pytest.raises(WeightsError) as caught:
            read(official_file(tmp_path / "wrong.pth", state))
        assert name in str(caught.value), change


def test_a_released_file_tells_its_preset_and_is_refused_for_another(preset, tmp_path):
    path = official_file(tmp_path / "released.pth", released_state(preset))
    assert preset_of(read(path)) == preset
    (other,) = LISTS.keys() - {preset}
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path, other)
    mine, others = (official.language_model(name).name for name in (preset, other))
    assert f"was trained with {mine}" in str(caught.value)
    assert str(caught.value).endswith(f"preset {other} has {others}")
