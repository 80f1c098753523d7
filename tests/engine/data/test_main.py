import json

import numpy as np
import pytest
import soundfile

from engine.data.__main__ import main
from engine.data.audio import samples_of_clip
from engine.data.lists import read_examples
from engine.data.manifest import Clip, read_manifest, write_manifest
from tests.engine.data.layouts import damage, record, write


@pytest.fixture
def corpus(tmp_path):
    chapter = tmp_path / "LibriSpeech/test-clean/61/70968"
    names = [f"61-70968-000{i}" for i in range(3)]
    write(chapter / "61-70968.trans.txt", *(f"{name} SOME WORDS" for name in names))
    record(chapter / f"{names[0]}.flac", 1.0)
    record(chapter / f"{names[1]}.flac", 3.0)
    damage(chapter / f"{names[2]}.flac")
    return tmp_path / "LibriSpeech"


def test_a_set_becomes_a_manifest_and_says_what_it_skipped(corpus, tmp_path, capsys):
    out, skipped = tmp_path / "out/clean.jsonl", tmp_path / "skipped.jsonl"
    flags = ["--out", str(out), "--max-s", "2", "--skipped", str(skipped)]
    assert main(["read", "librispeech", str(corpus), *flags]) == 0
    said = capsys.readouterr()
    assert said.out == "1 clips, 0.00 hours, 2 skipped\n"
    assert "skipped 1: longer than 2 s" in said.err
    assert "skipped 1: the recording cannot be read" in said.err
    (clip,) = read_manifest(out)
    assert clip.path == "../LibriSpeech/test-clean/61/70968/61-70968-0000.flac"
    assert clip.file.is_file()
    assert clip.facts["text"] == "SOME WORDS"
    assert len(skipped.read_text("utf-8").splitlines()) == 2


def test_a_folder_with_nothing_to_use_is_a_failed_run(tmp_path, capsys):
    damage(tmp_path / "test-clean/1/2/1-2-0000.flac")
    write(tmp_path / "test-clean/1/2/1-2.trans.txt", "1-2-0000 WORDS")
    out = tmp_path / "out.jsonl"
    assert main(["read", "librispeech", str(tmp_path), "--out", str(out)]) == 1
    assert "nothing in" in capsys.readouterr().err
    assert not out.exists()


def test_clips_are_cut_out_of_long_files(tmp_path, capsys):
    samples = np.linspace(0, 1, 3 * 16_000)
    soundfile.write(tmp_path / "long.wav", samples, 16_000)
    facts = {"start_s": 1.0, "text": "middle"}
    parts = [Clip("", tmp_path / "long.wav", 0.5, facts)]
    parts += [Clip("", tmp_path / "gone.wav", 0.5, {"start_s": 0.0})]
    write_manifest(tmp_path / "parts.jsonl", parts)
    out = tmp_path / "cut/parts.jsonl"
    assert main(["cut", str(tmp_path / "parts.jsonl"), "--out", str(out)]) == 0
    assert "1 clips, 0.00 hours, 1 skipped" in capsys.readouterr().out
    (clip,) = read_manifest(out)
    assert clip.start_s is None
    assert clip.facts["text"] == "middle"
    cut = samples_of_clip(clip)
    assert len(cut) == 8_000
    assert np.abs(cut - samples[16_000:24_000]).max() < 1e-4


def test_a_manifest_becomes_an_annotation(corpus, tmp_path):
    manifest, out = tmp_path / "clean.jsonl", tmp_path / "stage1.json"
    assert main(["read", "librispeech", str(corpus), "--out", str(manifest)]) == 0
    flags = ["--out", str(out), "--task", "asr", "--split", "test"]
    assert main(["annotate", str(manifest), *flags]) == 0
    assert [e.text for e in read_examples([out], "train").items] == ["Some words"] * 2
    paths = [entry["path"] for entry in json.loads(out.read_text())["annotation"]]
    assert not any(path.startswith("/") for path in paths)


def test_an_annotation_without_examples_is_a_failed_run(corpus, tmp_path, capsys):
    manifest, out = tmp_path / "clean.jsonl", tmp_path / "stage1.json"
    assert main(["read", "librispeech", str(corpus), "--out", str(manifest)]) == 0
    flags = ["--task", "audiocaption", "--out", str(out)]
    assert main(["annotate", str(manifest), *flags]) == 1
    assert "nothing that teaches these tasks" in capsys.readouterr().err


def test_recordings_of_a_pair_are_heard_a_tenth_of_a_second_apart(tmp_path):
    record(tmp_path / "a.wav", 1.0)
    record(tmp_path / "b.wav", 0.5)
    pair = Clip("", tmp_path / "a.wav", 1.6, {}, (tmp_path / "b.wav",))
    write_manifest(tmp_path / "pairs.jsonl", [pair])
    (clip,) = read_manifest(tmp_path / "pairs.jsonl")
    samples = samples_of_clip(clip)
    assert len(samples) == 25_600
    assert not samples[16_000:17_600].any()
    assert samples[15_900:16_000].any()
