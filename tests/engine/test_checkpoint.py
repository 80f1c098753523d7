"""Files of weights: the official layouts, ours, and what is refused."""

import fractions
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from engine.beats import Beats, BeatsConfig
from engine.checkpoint import BeatsCheckpoint, read, read_beats, write, write_beats
from engine.errors import WeightsError
from engine.qformer import Bridge, BridgeConfig
from engine.skills import Skills
from tests.engine.tiny_checkpoint import (
    LAYERS,
    NUM_EXTRAS,
    PREFIX,
    TINY,
    TINY_BEATS,
    beats_file,
    extras_state,
    key_list,
    lora_state,
    model_state,
    official_file,
)

TABLE = "encoder.layers.{}.self_attn.relative_attention_bias.weight"
SOME = (
    "ln_audio.weight",
    "speech_query_tokens",
    f"{PREFIX}.1.self_attn.v_proj.lora_B.default.weight",
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return model_state()


@pytest.fixture
def official(tmp_path, model):
    return official_file(tmp_path / "official.pth", model)


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype, name
        assert torch.equal(actual[name], tensor), name


def refusal(path, reader=read):
    """Return why a file is refused; every reason starts with the file."""
    with pytest.raises(WeightsError) as caught:
        reader(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


def test_an_official_file_is_split_into_bridge_adapters_and_extras(official, model):
    checkpoint = read(official)
    assert_same(checkpoint.tensors, model)
    assert len(checkpoint.bridge) == 61
    assert len(checkpoint.lora) == 4 * LAYERS
    assert len(checkpoint.extras) == NUM_EXTRAS
    assert checkpoint.sizes.bridge == TINY
    assert checkpoint.sizes.lora.alpha == 32.0
    Bridge(checkpoint.sizes.bridge).load_state_dict(checkpoint.bridge, strict=True)


@pytest.mark.parametrize(
    ("size", "layers", "llm"), [("13b", 40, "13B v1.1"), ("7b", 32, "7B v1.5")]
)
def test_a_full_size_file_loads_strictly(tmp_path, size, layers, llm):
    shapes = key_list(f"salmonn_keys_{size}.txt")
    extras = key_list("salmonn_extras_13b.txt")
    for beyond in range(layers, 40):
        del extras[f"{PREFIX}.{beyond}.self_attn.rotary_emb.inv_freq"]
    # One number, shown as often as the shape asks for: no gigabyte is written.
    model = {
        name: torch.zeros(()).expand(shape)
        for name, shape in {**shapes, **extras}.items()
    }
    path = official_file(tmp_path / "full.pth", model)
    assert path.stat().st_size < 1_000_000
    checkpoint = read(path)
    assert checkpoint.sizes.language_model.name == f"Vicuna {llm}"
    assert len(checkpoint.extras) == layers + 12
    with torch.device("meta"):
        skeleton = Bridge(checkpoint.sizes.bridge)
    skeleton.load_state_dict(checkpoint.bridge, strict=True, assign=True)


def test_the_model_alone_is_a_checkpoint_with_official_settings(tmp_path, model):
    torch.save({"model": model}, tmp_path / "bare.pth")
    sizes = read(tmp_path / "bare.pth").sizes
    assert (sizes.lora.alpha, sizes.bridge.window) == (32.0, 17)


def test_alpha_and_windows_come_from_the_settings(tmp_path, model):
    settings = {"lora_alpha": 16, "second_per_window": 0.5, "second_stride": 0.2}
    path = official_file(tmp_path / "a.pth", model, config={"model": settings})
    sizes = read(path).sizes
    assert (sizes.lora.scale, sizes.bridge.window, sizes.bridge.hop) == (8.0, 25, 10)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"lora_alpha": "32"}, "lora_alpha is '32'; expected a number above 0"),
        ({"lora_alpha": 0}, "lora_alpha is 0; expected a number above 0"),
        ({"second_stride": 0.001}, "second_stride is shorter than a frame"),
    ],
)
def test_settings_that_are_no_numbers_are_refused(tmp_path, model, settings, reason):
    path = official_file(tmp_path / "a.pth", model, config={"model": settings})
    assert refusal(path) == f": config.model.{reason}"


@pytest.mark.parametrize("name", SOME)
def test_a_missing_tensor_is_refused_by_name(tmp_path, model, name):
    del model[name]
    path = official_file(tmp_path / "a.pth", model)
    assert refusal(path) == f" is no SALMONN checkpoint: 1 missing ({name})"


@pytest.mark.parametrize("name", SOME)
def test_a_renamed_tensor_is_refused_by_name(tmp_path, model, name):
    model[f"{name}_"] = model.pop(name)
    reason = refusal(official_file(tmp_path / "a.pth", model))
    assert reason.endswith(f"1 missing ({name}); 1 unknown ({name}_)")


@pytest.mark.parametrize("name", SOME)
def test_a_misshaped_tensor_is_refused_by_name(tmp_path, model, name):
    model[name] = model[name][..., :-1]
    reason = refusal(official_file(tmp_path / "a.pth", model))
    assert f"1 misshaped ({name} is [" in reason


def test_an_extra_beyond_the_known_ones_is_refused_by_name(tmp_path, model):
    model["beats.layer_norm.weight"] = torch.zeros(8)
    reason = refusal(official_file(tmp_path / "a.pth", model))
    assert reason.endswith("1 unknown (beats.layer_norm.weight)")


def test_whole_numbers_in_place_of_weights_are_refused(tmp_path, model):
    model["ln_speech.bias"] = model["ln_speech.bias"].long()
    reason = refusal(official_file(tmp_path / "a.pth", model))
    assert reason.endswith("ln_speech.bias is torch.int64; expected dense floats")


def test_an_entry_that_is_no_tensor_is_refused_by_name(tmp_path, model):
    model["ln_speech.bias"] = [0.0]
    reason = refusal(official_file(tmp_path / "a.pth", model))
    assert reason.endswith("ln_speech.bias is a list; expected a tensor")


def test_a_pickle_of_more_than_tensors_is_not_opened(tmp_path, model):
    path = official_file(tmp_path / "a.pth", model, epoch=fractions.Fraction(1, 2))
    assert "holds more than plain tensors" in refusal(path)
    assert "holds more than plain tensors" in refusal(path, read_beats)


def test_a_file_that_is_cut_short_is_refused(official):
    whole = official.read_bytes()
    for kept in (0, 5, len(whole) // 2, len(whole) - 30):
        official.write_bytes(whole[:kept])
        assert refusal(official) == " is damaged, cut short or not PyTorch's"


def test_a_file_that_is_not_there_is_refused(tmp_path):
    expected = " cannot be read: No such file or directory"
    assert refusal(tmp_path / "a.pth") == expected
    assert refusal(tmp_path / "a.safetensors").startswith(" cannot be read: No such")


def test_a_file_with_another_content_is_refused(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"state": {}, "step": 1}, path)
    assert refusal(path) == " has no dict 'model'; its keys are state, step"
    torch.save([1], path)
    assert refusal(path) == " holds a list; expected a dict"


def test_official_to_ours_and_back_changes_nothing(tmp_path, official, model):
    ours, back = tmp_path / "ours.safetensors", tmp_path / "back.pth"
    first = read(official)
    write(first, ours)
    second = read(ours)
    write(second, back)
    third = read(back)
    assert first.sizes == second.sizes == third.sizes
    for checkpoint in (second, third):
        assert_same(checkpoint.tensors, model)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_types_strides_and_settings_survive_both_formats(tmp_path, model, suffix):
    model["ln_speech.bias"] = model["ln_speech.bias"].bfloat16()
    model["speech_llama_proj.weight"] = torch.randn(24, 16).T
    settings = {"lora_alpha": 28.5, "second_per_window": 0.5, "second_stride": 0.2}
    source = official_file(tmp_path / "a.pth", model, config={"model": settings})
    first = read(source)
    write(first, tmp_path / f"b{suffix}")
    second = read(tmp_path / f"b{suffix}")
    assert second.sizes == first.sizes
    assert second.sizes.lora.alpha == 28.5
    assert_same(second.tensors, model)


def test_another_bridge_and_other_targets_survive_our_format(tmp_path, official):
    config = replace(TINY, heads=4, layers=1, queries=3, window=20, hop=10)
    lora = lora_state(("self_attn.o_proj", "mlp.up_proj"), rank=5)
    first = replace(
        read(official), bridge=Bridge(config).state_dict(), lora=lora, extras={}
    )
    targets = {"mlp.up_proj": (16, 16), "self_attn.o_proj": (16, 16)}
    adapters = replace(first.sizes.lora, rank=5, alpha=10.0, targets=targets)
    first = replace(first, sizes=replace(first.sizes, bridge=config, lora=adapters))
    write(first, tmp_path / "ours.safetensors")
    second = read(tmp_path / "ours.safetensors")
    assert second.sizes == first.sizes
    assert_same(second.tensors, first.tensors)
    with pytest.raises(WeightsError, match="heads 4 has no official layout; expected"):
        write(first, tmp_path / "b.pth")


def test_a_checkpoint_without_extras_survives(tmp_path, model):
    bare = {name: model[name] for name in model.keys() - extras_state().keys()}
    write(read(official_file(tmp_path / "a.pth", bare)), tmp_path / "ours.safetensors")
    assert_same(read(tmp_path / "ours.safetensors").tensors, bare)


@pytest.fixture
def ours(tmp_path, official):
    """Return the tensors and the metadata that our format has for a checkpoint."""
    checkpoint = read(official)
    sizes = checkpoint.sizes
    bridge = {name: getattr(sizes.bridge, name) for name in BridgeConfig.__slots__}
    lora = {name: getattr(sizes.lora, name) for name in ("rank", "alpha", "layers")}
    metadata = {
        "format": "salmonn-live",
        "version": "1",
        "bridge": json.dumps(bridge),
        "lora": json.dumps({**lora, "targets": sizes.lora.targets}),
    }
    tensors = {name: tensor.clone() for name, tensor in checkpoint.tensors.items()}
    return tensors, metadata


def test_what_was_trained_survives_our_format(tmp_path, official):
    skills = Skills(
        tasks=("describe", "translate:zh"),
        questions=True,
        from_transcript=("translate:zh",),
    )
    assert read(official).skills is None
    path = tmp_path / "ours.safetensors"
    write(replace(read(official), skills=skills), path)
    assert read(path).skills == skills


@pytest.mark.parametrize(
    "options",
    [
        {"audio_width": 0},
        {"speech_layers": 1},
        {"speech_layers": 5, "running": True},
        {"context": 3, "positions": True},
        {"output_rms": 1.5},
        {
            "audio_width": 0,
            "queries": 4,
            "speech_layers": 2,
            "context": 3,
            "positions": True,
            "running": True,
            "output_rms": 1.0,
        },
    ],
)
def test_a_bridge_with_options_has_our_layout_only(tmp_path, official, options):
    config = replace(TINY, **options)
    first = read(official)
    sizes = replace(first.sizes, bridge=config)
    first = replace(first, sizes=sizes, bridge=Bridge(config).state_dict())
    write(first, tmp_path / "ours.safetensors")
    second = read(tmp_path / "ours.safetensors")
    assert second.sizes == sizes
    assert_same(second.tensors, first.tensors)
    with pytest.raises(WeightsError, match=r"has no official layout; expected"):
        write(first, tmp_path / "official.pth")


def test_layers_of_another_width_than_the_mix_are_refused(tmp_path, official):
    config = replace(TINY, speech_layers=2, running=True)
    first = read(official)
    bridge = Bridge(config).state_dict()
    for name in ("mean", "deviation"):
        bridge[f"speech_layers.{name}"] = torch.zeros(24)
    bridge["speech_running.weight"] = torch.zeros(24, 48)
    sizes = replace(first.sizes, bridge=config)
    write(replace(first, sizes=sizes, bridge=bridge), tmp_path / "ours.safetensors")
    assert "speech_layers.mean is [24], expected [20]" in refusal(
        tmp_path / "ours.safetensors"
    )


def test_the_format_is_names_tensors_and_four_facts(tmp_path, ours, model):
    tensors, metadata = ours
    save_file(tensors, tmp_path / "a.safetensors", metadata=metadata)
    assert_same(read(tmp_path / "a.safetensors").tensors, model)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": "pt"}, " has format 'pt'; expected 'salmonn-live'"),
        ({"version": "2"}, " has version '2'; expected '1'"),
        ({"lora": "{}"}, " does not say what it holds: 'alpha'"),
        ({"bridge": '{"heads": 0}'}, "bridge.heads is 0; expected 1 or more"),
        ({"bridge": '{"context": -1}'}, "bridge.context is -1; expected 0 or more"),
        ({"bridge": '{"depth": 0}'}, "unexpected keyword argument 'depth'"),
        ({"bridge": "{}"}, " says that it holds Sizes(bridge=BridgeConfig("),
        (
            {"skills": '{"tasks": ["sing"]}'},
            " does not say what it holds: no task 'sing'",
        ),
    ],
)
def test_metadata_that_does_not_fit_is_refused(tmp_path, ours, changes, reason):
    tensors, metadata = ours
    path = tmp_path / "a.safetensors"
    save_file(tensors, path, metadata={**metadata, **changes})
    assert reason in refusal(path)


def test_our_format_misses_a_last_layer_that_its_metadata_has(tmp_path, ours):
    tensors, metadata = ours
    cut = {key: tensors[key] for key in tensors if f"{PREFIX}.{LAYERS - 1}" not in key}
    save_file(cut, tmp_path / "a.safetensors", metadata=metadata)
    assert "says that it holds" in refusal(tmp_path / "a.safetensors")


def test_our_format_is_refused_by_name_like_the_official_one(tmp_path, ours):
    tensors, metadata = ours
    del tensors["ln_audio.bias"]
    save_file(tensors, tmp_path / "a.safetensors", metadata=metadata)
    assert "1 missing (ln_audio.bias)" in refusal(tmp_path / "a.safetensors")


def test_a_damaged_file_of_ours_is_refused(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"weights")
    assert refusal(tmp_path / "a.safetensors").startswith(" is damaged: ")


def test_beats_is_loaded_with_the_names_of_its_classes(tmp_path):
    path = beats_file(tmp_path / "beats.pt")
    found = read_beats(path)
    assert found.model.config == TINY_BEATS
    assert found.labels == {0: "/m/09x0r", 1: "/m/05zppz"}
    stored = torch.load(path, weights_only=True)["model"]
    assert_same(dict(found.model.state_dict()), dict(stored))
    assert not found.model.training
    assert not any(weight.requires_grad for weight in found.model.parameters())
    assert found.model(torch.zeros(1, 32, 128))[0].shape == (1, 16, 16)


def test_a_beats_of_our_own_says_what_it_was_taught(tmp_path):
    config = replace(TINY_BEATS, block_columns=2, predictor_class=2)
    model, path = Beats(config), tmp_path / "own.pt"
    taught = frozenset({"a.ogg", "b.ogg"})
    write_beats(BeatsCheckpoint(model, {0: "rain", 1: "dog"}, taught), path)
    found = read_beats(path)
    assert (found.labels, found.taught) == ({0: "rain", 1: "dog"}, taught)
    assert found.model.config == config
    for name, tensor in model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], tensor)


def test_beats_still_has_one_table_for_all_layers(tmp_path):
    model = read_beats(beats_file(tmp_path / "beats.pt")).model
    tables = {
        id(layer.self_attn.relative_attention_bias) for layer in model.encoder.layers
    }
    assert len(tables) == 1


def test_beats_in_halves_computes_in_float32(tmp_path):
    state = Beats(TINY_BEATS).half().state_dict()
    found = read_beats(beats_file(tmp_path / "beats.pt", model=state)).model
    assert {weight.dtype for weight in found.parameters()} == {torch.float32}


def test_the_official_beats_loads_strictly(tmp_path):
    shapes = key_list("beats_keys.txt")
    state = {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}
    path = beats_file(tmp_path / "beats.pt", cfg={"finetuned_model": True}, model=state)
    assert path.stat().st_size < 1_000_000
    assert read_beats(path).model.config == BeatsConfig()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s.pop("predictor.bias"), "1 missing (predictor.bias)"),
        (lambda s: s.update(head=torch.zeros(1)), "1 unknown (head)"),
        (
            lambda s: s.update({"predictor.bias": torch.zeros(6)}),
            "1 misshaped (predictor.bias is [6], expected [5])",
        ),
        (
            lambda s: s.update({TABLE.format(7): torch.zeros(8, 2)}),
            f"{TABLE.format(7)} differs from {TABLE.format(0)}; expected it repeated",
        ),
        (lambda s: s.update(head=1), "head is a int; expected a tensor"),
    ],
    ids=["missing", "unknown", "misshaped", "another table", "no tensor"],
)
def test_a_beats_that_does_not_fit_is_refused_by_name(tmp_path, change, reason):
    state = Beats(TINY_BEATS).state_dict()
    change(state)
    path = beats_file(tmp_path / "beats.pt", model=state)
    assert refusal(path, read_beats) == f" is no BEATs: {reason}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"cfg": {"deep_norm": False}}, "cfg.deep_norm is False; expected True"),
        ({"cfg": {"embed_dim": "8"}}, " holds no BEATs of this kind: "),
        ({"cfg": None}, " has no dict 'cfg'; its keys are cfg, label_dict, model"),
        ({"label_dict": {"speech": 0}}, " holds no BEATs of this kind: "),
    ],
)
def test_a_beats_of_another_kind_is_refused(tmp_path, content, reason):
    path = beats_file(tmp_path / "beats.pt", **content)
    assert reason in refusal(path, read_beats)
