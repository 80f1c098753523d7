"""Memory from shapes: against counts by hand, and against tensors that are there."""

from dataclasses import replace

import pytest
from safetensors.torch import load_file, save_file

from engine import checkpoint
from engine.config import EngineConfig
from engine.few_bits import load_in
from engine.heads import load_head
from engine.inspection import inspect, inspect_mini, released_memory
from engine.memory import CacheShape, audio_positions, memory_of
from engine.qformer import BridgeConfig
from engine.skills import Skills
from engine.whisper import load_encoder, load_whisper
from tests.checkout import ROOT
from tests.engine.tiny_checkpoint import TINY_BEATS
from tests.engine.tiny_salmonn import tiny_llama, write_salmonn


def by_part(memory):
    return {row.part.partition(",")[0]: row for row in memory}


def test_the_official_shape_has_88_positions_of_audio():
    assert audio_positions(BridgeConfig()) == 88
    assert audio_positions(BridgeConfig(queries=4)) == 352


def test_a_cache_holds_keys_and_values_of_every_layer():
    # LLaMA 13B in 16 bits: the 0.82 MB a position that is told of it everywhere.
    shape = CacheShape(layers=40, heads=40, head_width=128)
    assert shape.size_bytes(1, 2.0) == 819_200


@pytest.mark.parametrize(
    ("preset", "precision", "linear", "rest"),
    [
        ("salmonn-13b", "bfloat16", 2.0, 2.0),
        ("salmonn-7b", "4bit", 0.5625, 2.0),
        ("salmonn-7b", "float32", 4.0, 4.0),
    ],
)
def test_only_linear_layers_of_the_language_model_shrink(
    preset, precision, linear, rest
):
    width, layers, ffn = {
        "salmonn-13b": (5120, 40, 13824),
        "salmonn-7b": (4096, 32, 11008),
    }[preset]
    matrices = layers * (4 * width * width + 3 * width * ffn)
    others = 2 * 32_000 * width + (2 * layers + 1) * width
    found = by_part(released_memory(preset, precision=precision))["language model"]
    assert found.parameters == matrices + others
    assert found.size_bytes == pytest.approx(matrices * linear + others * rest)


def test_in_eight_bits_the_head_shrinks_and_the_rest_is_float32():
    width, layers, ffn = 4096, 32, 11008
    linear = layers * (4 * width * width + 3 * width * ffn) + 32_000 * width
    others = 32_000 * width + (2 * layers + 1) * width
    parts = by_part(released_memory("salmonn-7b", precision="8bit"))
    assert parts["language model"].size_bytes == linear + 4 * others
    assert parts["KV cache"].dtype == "float32"


def test_on_a_gpu_eight_bits_are_for_the_linear_layers_alone():
    width, layers, ffn = 4096, 32, 11008
    linear = layers * (4 * width * width + 3 * width * ffn)
    others = 2 * 32_000 * width + (2 * layers + 1) * width
    found = released_memory("salmonn-7b", precision="8bit", device="cuda")
    parts = by_part(found)
    assert parts["language model"].size_bytes == linear + 2 * others
    assert parts["KV cache"].dtype == "16 bits"


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_what_few_bits_are_computed_to_need_is_what_lies_in_memory(tmp_path, bits):
    files = write_salmonn(tmp_path)
    where = {"precision": bits, "device": "cuda"}  # the same weights as on the CPU
    (computed,) = (
        row.size_bytes
        for row in inspect(files.parts, "custom", **where).memory
        if row.part == "language model"
    )
    model = load_in(bits, files.llm, device="cpu").model
    held = sum(parameter.nbytes for parameter in model.parameters())
    if bits == "4bit":  # its scales are no parameters
        held += sum(
            parameter.quant_state.absmax.nbytes
            for parameter in model.parameters()
            if hasattr(parameter, "quant_state")
        )
    assert computed == pytest.approx(held, rel=0.02)


@pytest.mark.parametrize("preset", ["salmonn-13b", "salmonn-7b"])
@pytest.mark.parametrize(
    ("live", "title"), [(False, "computed"), (True, "computed, live")]
)
def test_the_tables_in_the_documents_are_what_a_dry_run_computes(preset, live, title):
    text = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    lines = text.partition(f"| {title} |")[2].partition("\n\n")[0].splitlines()
    heads = [cell.strip() for cell in lines[0].split("|")[:-1]]
    rows = {
        cells[1].strip().partition(",")[0]: cells[2:-1]
        for cells in (line.split("|") for line in lines[2:])
    }
    size = preset.removeprefix("salmonn-").upper()
    columns = {
        "16 bits": ("bfloat16", "cpu"),
        "8 bits, CPU": ("8bit", "cpu"),
        "8 bits, GPU": ("8bit", "cuda"),
        "4 bits": ("4bit", "cuda"),
    }
    for head, (precision, device) in columns.items():
        column = heads.index(f"{size} {head}")
        how = {"precision": precision, "device": device, "live": live}
        memory = released_memory(preset, **how)
        computed = {name: row.size_bytes for name, row in by_part(memory).items()}
        computed["bridge and LoRA"] = computed.pop("bridge") + computed.pop("LoRA")
        computed["sum"] = sum(computed.values())
        told = {name: float(cells[column]) for name, cells in rows.items()}
        assert told == {name: round(n / 1e9, 2) for name, n in computed.items()}


def test_live_the_decoder_counts_and_an_answer_has_one_cache(tmp_path):
    files = write_salmonn(tmp_path)
    how = {"precision": "float32", "beams": 4}
    rows = by_part(inspect(files.parts, "custom", live=True, **how).memory)
    offline = by_part(inspect(files.parts, "custom", **how).memory)
    config = EngineConfig(
        preset="custom", parts=files.parts, dtype="float16", llm_dtype="float32"
    )
    whisper = load_whisper(files.whisper, "float16").model
    assert rows.pop("Whisper").size_bytes == sum(p.nbytes for p in whisper.parameters())
    cache, beams = rows.pop("KV cache"), offline.pop("KV cache")
    assert (cache.part, 4 * cache.size_bytes) == (
        "KV cache, 1 x 328 positions",
        beams.size_bytes,
    )
    del offline["Whisper's encoder"]
    assert rows == offline
    head = load_head(config)
    modules = (head.bridge, head.beats, head.llm.model)
    held = sum(p.nbytes for module in modules for p in module.parameters())
    assert sum(row.size_bytes for row in rows.values()) == held


def test_a_whisper_without_a_decoder_is_not_served_live(tmp_path):
    files = write_salmonn(tmp_path)
    state = load_file(files.whisper / "model.safetensors")
    encoder = {name: t for name, t in state.items() if ".encoder." in name}
    save_file(encoder, files.whisper / "model.safetensors", {"format": "pt"})
    assert inspect(files.parts, "custom", precision="float32").problems == []
    (problem,) = inspect(files.parts, "custom", precision="float32", live=True).problems
    assert "has no tensors of a decoder, for captions" in problem


def test_what_was_trained_is_33_million_weights_in_float32():
    found = by_part(released_memory("salmonn-13b", precision="bfloat16"))
    trained = found["bridge"].parameters + found["LoRA"].parameters
    assert trained == 33_332_992
    assert found["LoRA"].size_bytes == 4 * 6_553_600


def test_a_cache_grows_with_beams_and_answers():
    def cache(**how):
        parts = by_part(
            memory_of(
                speech={},
                audio=TINY_BEATS,
                bridge=BridgeConfig(),
                lora={},
                llm={},
                cache=CacheShape(layers=1, heads=1, head_width=1),
                precision="bfloat16",
                **how,
            )
        )
        (row,) = (row for name, row in parts.items() if name.startswith("KV cache"))
        return row.size_bytes

    assert cache(beams=1, max_tokens=10) == (40 + 88 + 10) * 2 * 2
    assert cache(beams=3, max_tokens=10) == 3 * cache(beams=1, max_tokens=10)


def adapter_of_the_mini(folder, **skills):
    """Return a configuration of the mini with small parts and an adapter."""
    files = write_salmonn(folder)
    path = folder / "adapter.safetensors"
    trained = checkpoint.read(files.ckpt)
    checkpoint.write(
        replace(trained, skills=Skills(tasks=("describe",), **skills)), path
    )
    return EngineConfig(parts=replace(files.parts, ckpt=path), dtype="float32")


@pytest.mark.parametrize("skills", [{}, {"languages": ("en",)}])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_dry_run_of_the_mini_counts_what_answers_prompts(tmp_path, precision, skills):
    config = adapter_of_the_mini(tmp_path, **skills)
    found = inspect_mini(config, precision=precision)
    assert found.problems == []
    assert [finding.part for finding in found.findings] == [
        *("ckpt", "whisper", "beats", "llm")
    ]
    rows = by_part(found.memory)
    assert rows.pop("Whisper").dtype == precision
    cache = rows.pop("KV cache")
    assert cache.part == "KV cache, 1 x 328 positions"
    head = load_head(replace(config, llm_dtype=precision))
    parts = [head.bridge, head.beats, head.llm.model]
    held = sum(p.nbytes for module in parts for p in module.parameters())
    assert sum(row.size_bytes for row in rows.values()) == held
    assert sum(row.parameters for row in rows.values()) == sum(
        p.numel() for module in parts for p in module.parameters()
    )
    (name,) = [n for n in rows if n.startswith("head of")] or [""]
    assert bool(name) == bool(skills)


def test_a_dry_run_of_the_mini_without_an_adapter_counts_captions(tmp_path):
    config = adapter_of_the_mini(tmp_path)
    config = replace(config, parts=replace(config.parts, ckpt=None))
    found = inspect_mini(config)
    assert [row.part for row in found.memory] == ["Whisper"]
    assert found.findings[0].what.endswith("questions need an adapter")


def test_a_language_model_that_the_mini_lacks_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SALMONN_CACHE", str(tmp_path / "empty"))
    config = adapter_of_the_mini(tmp_path)
    config = replace(config, parts=replace(config.parts, llm=None))
    found = inspect_mini(config)
    assert [row.part for row in found.memory] == ["Whisper"]
    (problem,) = found.problems
    assert problem.endswith("fetch it: salmonn-weights --part gemma")


def test_what_is_computed_from_files_is_what_lies_in_memory_once_loaded(tmp_path):
    files = write_salmonn(tmp_path)
    found = by_part(inspect(files.parts, "custom", precision="float32").memory)
    encoder = load_encoder(files.whisper)
    held = sum(tensor.nbytes for tensor in encoder.state_dict().values())
    assert found["Whisper's encoder"].size_bytes == held
    llm = sum(tensor.nbytes for tensor in tiny_llama().state_dict().values())
    assert found["language model"].size_bytes == llm
