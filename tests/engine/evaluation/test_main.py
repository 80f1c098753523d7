import json
import shutil
from contextlib import contextmanager

import pytest

from engine import api, local
from engine.evaluation import live, untaught
from engine.evaluation.__main__ import main
from tests.engine.evaluation.test_answerers import CountedSamples, clip_of
from tests.fakes.engine import ScriptedEngine

SPOKEN = (
    "And so my fellow Americans ask not what your country can do for you "
    "ask what you can do for your country"
)


@pytest.fixture
def manifest(tmp_path):
    shutil.copy("demo/jfk.ogg", tmp_path)
    clip = {"path": "jfk.ogg", "duration_s": 11.0, "text": SPOKEN}
    path = tmp_path / "manifest.jsonl"
    path.write_text(json.dumps(clip), encoding="utf-8")
    return path


@pytest.mark.end_to_end
def test_live_and_offline_are_scored_side_by_side(manifest, tmp_path, capsys):
    out = tmp_path / "result.json"
    assert main(["--manifest", str(manifest), "--fast", "--json", str(out)]) == 0
    result = json.loads(out.read_text())
    (clip,) = result["clips"]
    assert clip["path"] == "jfk.ogg"
    assert clip["reference"] == SPOKEN
    assert "country" in clip["hypothesis_live"]
    assert clip["hypothesis"] == clip["hypothesis_live"]
    assert result["totals"]["offline"]["wer"] < 10
    assert result["totals"]["live"]["wer"] < 25
    assert "word error rate live" in capsys.readouterr().out


def test_a_manifest_that_is_absent_is_a_failed_run(tmp_path, capsys):
    assert main(["--manifest", str(tmp_path / "none.jsonl")]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_clips_without_text_cannot_be_scored(manifest, capsys):
    manifest.write_text('{"path": "jfk.ogg", "duration_s": 1}', encoding="utf-8")
    assert main(["--manifest", str(manifest)]) == 1
    assert "none of the clips has a text" in " ".join(capsys.readouterr().err.split())


@pytest.fixture
def spoken(tmp_path, monkeypatch):
    """A manifest of two clips, and a scripted engine behind the head `salmonn`."""
    clips = [
        clip_of(tmp_path, 7, 9, name="a.wav", text="7 9", lang="en", set="words"),
        clip_of(tmp_path, 5, name="b.wav", label="rain", task="sound-event"),
    ]
    lines = [{"path": c.path, "duration_s": c.duration_s, **c.facts} for c in clips]
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    monkeypatch.setattr(api, "load", lambda config: ScriptedEngine())
    return path


def test_a_free_question_is_put_to_every_clip(spoken, capsys):
    assert main(["--manifest", str(spoken), "--ask", "Who?", "--json", "-"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["clips"] == [
        {
            "path": path,
            "reference": label,
            "hypothesis": answer,
            "hypothesis_offline": answer,
        }
        for path, label, answer in (
            ("a.wav", None, "Who? 7 9"),
            ("b.wav", "rain", "Who? 5"),
        )
    ]
    assert result["totals"] == {"clips": 2}
    assert result["settings"]["ask"] == "Who?"


def test_questions_that_no_training_has_are_listed_with_all_answers(
    spoken, monkeypatch, capsys
):
    two = [
        untaught.Untaught(text, lambda known, name=name: str(known.get(name, "")))
        for text, name in (("Why?", "text"), ("Wet?", "label"))
    ]
    monkeypatch.setattr(untaught, "QUESTIONS", two)
    assert main(["--manifest", str(spoken), "--untaught"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1. Why? (`a.wav`: 7 9) → Why? 7 9",
        "2. Wet? (`b.wav`: rain) → Wet? 5",
    ]


@pytest.fixture
def server(monkeypatch):
    """A server that answers each question with the question, in capitals."""

    @contextmanager
    def running_server(config, flags):
        yield "ws://here", 1

    def hear(url, files, *flags, report):
        assert flags[0] == "--ask"
        return [[{"type": "answer", "text": flags[1].upper()}] for _ in files]

    monkeypatch.setattr(live, "running_server", running_server)
    monkeypatch.setattr(live, "hear", hear)


def test_a_free_question_is_put_to_a_server_beside_the_same_model_offline(
    spoken, server, capsys
):
    arguments = ["--manifest", str(spoken), "--ask", "Who?", "--mode", "both"]
    assert main([*arguments, "--json", "-"]) == 0
    told = capsys.readouterr()
    clip, _ = json.loads(told.out)["clips"]
    assert clip["hypothesis_offline"] == "Who? 7 9"
    assert clip["hypothesis_live"] == "WHO?"
    lines = told.err.splitlines()
    assert lines[:2] == ["a.wav, offline: Who? 7 9", "a.wav, live: WHO?"]


def test_one_answer_needs_no_name(spoken, capsys):
    assert main(["--manifest", str(spoken), "--ask", "Who?"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "a.wav: Who? 7 9"


def test_a_language_model_transcribes_when_it_is_asked_to(spoken, tmp_path):
    out = tmp_path / "all.json"
    flags = ["--task", "asr", "--head", "salmonn", "--json", str(out)]
    assert main(["--manifest", str(spoken), *flags]) == 0
    (clip,) = json.loads(out.read_text("utf-8"))["clips"]
    prompt = "Recognize the speech and give me the transcription."
    assert clip["hypothesis"] == clip["hypothesis_offline"] == f"{prompt} 7 9"


def test_a_language_model_is_asked_to_transcribe_live_too(spoken, server, tmp_path):
    out = tmp_path / "all.json"
    flags = ["--task", "asr", "--head", "salmonn", "--mode", "live"]
    assert main(["--manifest", str(spoken), *flags, "--json", str(out)]) == 0
    (clip,) = json.loads(out.read_text("utf-8"))["clips"]
    assert clip["hypothesis"].startswith("RECOGNIZE THE SPEECH")


def test_the_table_is_printed_and_written(spoken, tmp_path, capsys):
    flags = ["--table", "--head", "salmonn", "--mode", "offline"]
    flags += ["--report", str(tmp_path / "out"), "--json", str(tmp_path / "all.json")]
    assert main(["--manifest", str(spoken), *flags]) == 0
    printed = capsys.readouterr().out
    assert "ASR" in printed
    assert "WER" in printed
    data = json.loads((tmp_path / "all.json").read_text("utf-8"))
    asr = next(row for row in data["rows"] if row["task"] == "ASR")
    prompt = "Recognize the speech and give me the transcription."
    assert asr["clips"][0]["offline"] == f"{prompt} 7 9"
    assert (tmp_path / "out" / "report.md").read_text("utf-8").startswith("# Scores of")


def test_one_row_of_the_table_can_be_had_alone(spoken, tmp_path):
    flags = ["--table", "--head", "salmonn", "--mode", "offline", "--row", "Sound"]
    out = tmp_path / "all.json"
    assert main(["--manifest", str(spoken), *flags, "--json", str(out)]) == 0
    assert [row["task"] for row in json.loads(out.read_text())["rows"]] == ["Sound"]


def test_a_table_has_so_many_questions_of_each_row(spoken, tmp_path):
    clips = [
        clip_of(tmp_path, 5, name=f"{n}.wav", label="rain", task="sound-event")
        for n in range(4)
    ]
    lines = [{"path": c.path, "duration_s": c.duration_s, **c.facts} for c in clips]
    other = tmp_path / "other.jsonl"
    other.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    out = tmp_path / "all.json"
    flags = ["--table", "--head", "salmonn", "--mode", "offline", "--limit", "2"]
    flags += ["--row", "ASR", "--row", "Sound", "--json", str(out)]
    assert main(["--manifest", str(spoken), "--manifest", str(other), *flags]) == 0
    rows = json.loads(out.read_text("utf-8"))["rows"]
    assert {row["task"]: len(row["clips"]) for row in rows} == {"ASR": 1, "Sound": 2}


def test_clips_of_which_nothing_is_known_have_no_table(manifest, capsys):
    manifest.write_text('{"path": "jfk.ogg", "duration_s": 1}', encoding="utf-8")
    assert main(["--manifest", str(manifest), "--table"]) == 1
    assert "nothing is known" in capsys.readouterr().err


@pytest.fixture
def heard_whole(monkeypatch):
    """Whisper's decoder, which counts samples."""
    monkeypatch.setattr(local.LocalEngine, "load", lambda config: CountedSamples())


def test_two_heads_stand_side_by_side(spoken, heard_whole, tmp_path, capsys):
    out = tmp_path / "all.json"
    flags = ["--table", "--head", "both", "--mode", "offline", "--json", str(out)]
    assert main(["--manifest", str(spoken), "--row", "ASR", *flags]) == 0
    (row,) = json.loads(out.read_text("utf-8"))["rows"]
    assert row["clips"][0]["offline salmonn"].endswith("7 9")
    assert row["clips"][0]["offline whisper"] == "transcribe 9600"
    assert "offline whisper" in capsys.readouterr().out


@pytest.mark.end_to_end
def test_the_table_of_whisper_has_offline_beside_live(manifest, tmp_path, capsys):
    out = tmp_path / "all.json"
    flags = ["--table", "--row", "ASR", "--fast", "--json", str(out)]
    assert main(["--manifest", str(manifest), *flags]) == 0
    (row,) = json.loads(out.read_text())["rows"]
    wer = row["metrics"][0]
    assert wer["offline"]["value"] < 10
    assert wer["live"]["value"] < 25
    assert wer["paper"]["with_activation"] == 2.1
    assert "whisper-base" in capsys.readouterr().out
