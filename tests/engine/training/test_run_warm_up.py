import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse, Replace, Sequence
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from engine.qformer import Bridge, BridgeConfig
from engine.training import run_warm_up
from engine.training.ctc import TokenHead
from engine.training.features import FeatureSettings, feature_folder
from engine.training.frame_store import FrameReader, FrameWriter
from engine.training.labels import Target
from engine.training.run_warm_up import (
    Data,
    examples_of,
    load_words,
    look,
    main,
    read_data,
)
from engine.training.warm_up import WarmUp, WarmUpConfig

LINES = [
    {"path": "a.ogg", "set": "read", "split": "train", "text": "To be", "gender": "f"},
    {"path": "b.ogg", "set": "read", "split": "train", "text": "or not", "gender": "m"},
    {"path": "c.ogg", "set": "esc10", "split": "train", "label": "rain"},
    {"path": "d.ogg", "set": "orders", "split": "train", "label": {"size": "large"}},
    {
        "path": "e.ogg",
        "set": "read",
        "split": "dev",
        "text": "not to be",
        "age": 9,
    },
    {"path": "f.ogg", "set": "esc10", "split": "dev", "label": "rain"},
    {"path": "g.ogg", "set": "esc10", "split": "dev", "label": "rain"},
]
VOCABULARY = [
    "other",
    "to",
    "be",
    "or",
    "not",
    "speech",
    "woman",
    "man",
    "noise",
    "rain",
    "unheard",
]
SMALL = BridgeConfig(
    speech_width=4,
    audio_width=0,
    width=8,
    heads=2,
    ffn_width=8,
    queries=2,
    speech_layers=2,
    running=True,
    llm_width=8,
    output_rms=1.0,
)
SETTINGS = FeatureSettings(encoder_sha256="0", layers=(1, 2), layer_width=4)


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "manifest.jsonl"
    lines = [json.dumps(line | {"duration_s": 1.0}) for line in LINES]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def gemma(tmp_path):
    """A folder with a tokenizer and embeddings, as of a language model."""
    from safetensors.torch import save_file

    folder = tmp_path / "gemma"
    words = {f"▁{word}": index for index, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="▁other"))
    tokenizer.decoder = Sequence([Replace("▁", " "), Fuse()])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    rows = torch.arange(len(words))[:, None] * torch.ones(1, 8)
    save_file({run_warm_up.EMBEDDINGS: rows}, folder / "model.safetensors")
    return folder


@pytest.fixture
def cache(tmp_path):
    """A cache folder with frames of all clips."""
    folder = tmp_path / "cache"
    rng = np.random.default_rng(0)
    with FrameWriter(
        feature_folder(folder, SETTINGS), width=8, settings={}, max_bytes=10**6
    ) as out:
        for index, line in enumerate(LINES):
            rows = rng.normal(0, 1, (40 + index, 8)).astype(np.float16)
            out.append(line["path"], rows, {})
    return folder


def test_targets_are_read_by_split(manifest):
    data = read_data(manifest, dev_limit=1)
    assert data.train == {
        "a.ogg": Target("to be", ("speech", "woman")),
        "b.ogg": Target("or not", ("speech", "man")),
        "c.ogg": Target("", ("noise", "rain")),
    }
    assert data.dev == {
        "e.ogg": ("read", Target("not to be", ("speech", "child"))),
        "f.ogg": ("esc10", Target("", ("noise", "rain"))),
    }


def test_transcripts_can_be_left_out(manifest):
    data = read_data(manifest, dev_limit=1, labels_only=True)
    assert data.train["a.ogg"] == Target("", ("speech", "woman"))
    assert data.dev["e.ogg"] == ("read", Target("", ("speech", "child")))


def test_only_words_of_the_texts_take_part(gemma):
    words, rows = load_words(gemma, ["to be", "be man"], least=1)
    assert words.rows.tokens == (1, 2, 7)
    assert rows[:, 0].tolist() == [1.0, 2.0, 7.0]
    assert words.places("man or be") == (3, 2)
    assert words.text(words.places("be man")) == "be man"


def test_examples_are_of_the_first_entries_and_of_no_dev_clip(manifest, gemma, cache):
    data = read_data(manifest, dev_limit=9)
    words, _ = load_words(gemma, ["to be or not speech woman man noise rain"], least=1)
    reader = FrameReader(feature_folder(cache, SETTINGS), width=8)
    found = examples_of(reader, data, words, num_entries=2)
    assert [example.key for example in found] == ["a.ogg", "b.ogg"]
    assert found[0].places == words.places("to be speech woman")
    assert found[1].num_frames == 41
    everything = examples_of(reader, data, words, num_entries=99)
    assert {example.key for example in everything} == set(data.train)


def test_only_a_clip_without_a_transcript_is_named_in_each_window(gemma, cache):
    data = Data(
        {
            "a.ogg": Target("to be", ("speech", "woman")),
            "c.ogg": Target("", ("noise", "rain")),
        },
        {},
    )
    words, _ = load_words(gemma, ["to be speech woman noise rain"], least=1)
    reader = FrameReader(feature_folder(cache, SETTINGS), width=8)
    spoken, sound = examples_of(reader, data, words, num_entries=99)
    assert not spoken.in_each_window
    assert sound.in_each_window


def test_dev_clips_are_scored_by_set(monkeypatch, gemma, cache):
    data = Data(
        {},
        {
            "e.ogg": ("read", Target("not to be", ("speech", "woman"))),
            "f.ogg": ("esc10", Target("", ("noise", "rain"))),
            "g.ogg": ("esc10", Target("", ("noise", "rain"))),
            "none.ogg": ("esc10", Target("", ("noise", "rain"))),
        },
    )
    texts = ["to be or not speech woman man noise rain"]
    words, rows = load_words(gemma, texts, least=1)
    reader = FrameReader(feature_folder(cache, SETTINGS), width=8)
    run = WarmUp(Bridge(SMALL), TokenHead(rows), WarmUpConfig())
    said = iter(["not be speech woman", "noise rain", "speech rain"])
    monkeypatch.setattr(run, "hear", lambda _: [words.places(next(said))])
    monkeypatch.setattr(run, "name", lambda _: words.places(next(said)))
    scores = look(run, reader, data, words)
    assert scores["read"]["labels"] == 1.0
    assert scores["read"]["wer"] == pytest.approx(100 / 3)
    assert scores["esc10"] == {"clips": 2, "labels": 0.5}


@pytest.fixture
def command(monkeypatch, manifest, gemma, cache):
    """The command on tiny parts; takes steps."""
    folders = {"whisper": cache, "gemma": gemma}
    monkeypatch.setattr(run_warm_up, "resolve", lambda part, _: folders[part])
    monkeypatch.setattr(run_warm_up, "settings_of", lambda _: SETTINGS)
    monkeypatch.setattr(run_warm_up, "cache_folder", lambda: cache)
    monkeypatch.setattr(run_warm_up, "MINI_BRIDGE", SMALL)
    monkeypatch.setattr(run_warm_up, "LEAST", 1)

    def run(steps, name, *more):
        flags = ["--manifest", str(manifest), "--steps", str(steps), "--name", name]
        flags += more
        flags += ["--log-every", "1", "--look-every", "4"]
        assert main(flags) == 0
        folder = cache / "training" / name
        state = torch.load(folder / "state.pt", weights_only=True)
        log = [
            json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()
        ]
        return state, log

    return run


def test_the_same_command_goes_on_where_it_ended(command):
    command(3, "interrupted")
    state, log = command(5, "interrupted")
    whole, whole_log = command(5, "whole")
    for key, tensor in whole["bridge"].items():
        assert torch.equal(state["bridge"][key], tensor), key
    assert (state["steps"], state["epoch"]) == (whole["steps"], whole["epoch"])
    losses = [line["loss"] for line in log if "loss" in line]
    assert losses == [line["loss"] for line in whole_log if "loss" in line]
    assert [line["step"] for line in log if "dev" in line] == [3, 4, 5]


def test_a_run_may_begin_with_the_bridge_of_another(command, cache):
    first, _ = command(2, "first")
    start = cache / "training" / "first" / "state.pt"
    second, log = command(0, "second", "--start", str(start))
    assert second["steps"] == 0
    assert log[0]["start"] == str(start)
    for key, tensor in first["bridge"].items():
        assert torch.equal(second["bridge"][key], tensor), key
    assert not torch.equal(second["head"]["blank"], first["head"]["blank"])


def test_a_state_of_other_texts_is_refused(command, manifest, capsys):
    command(1, "texts")
    lines = [json.dumps(line | {"duration_s": 1.0}) for line in LINES[:1]]
    manifest.write_text("\n".join(lines))
    flags = ["--manifest", str(manifest), "--steps", "2", "--name", "texts"]
    assert main(flags) == 1
    assert "was trained on other texts" in capsys.readouterr().err
