import json
import shutil

import pytest

from engine.evaluation.__main__ import main

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
