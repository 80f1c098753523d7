import json

import pytest

from engine.benchmarks import clips
from engine.benchmarks.clips import MUSIC, SPEECH, choose_clips
from engine.data.manifest import ManifestError


@pytest.fixture
def manifest(tmp_path):
    def write(*facts):
        file = tmp_path / "manifest.jsonl"
        lines = [
            json.dumps({"path": f"{index}.ogg", "duration_s": 1.0} | fact)
            for index, fact in enumerate(facts)
        ]
        file.write_text("\n".join(lines))
        return file

    return write


def paths(chosen):
    return [clip.path for clip in chosen]


def test_without_a_manifest_the_demo_is_heard():
    (clip,) = choose_clips(SPEECH, None)
    assert clip.file.is_file()
    assert clip.duration_s == pytest.approx(11.0)
    assert "ask not" in clip.facts["text"]
    (clip,) = choose_clips(MUSIC, None)
    assert clip.path == "guitar.ogg"


def test_without_manifest_and_demo_the_flag_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(clips, "DEMO", tmp_path)
    with pytest.raises(ManifestError, match=r"jfk\.ogg is missing.*--manifest"):
        choose_clips(SPEECH, None)


def test_by_default_the_benchmarks_own_set_and_split_are_heard(manifest):
    file = manifest(
        {"set": SPEECH.set, "split": "train", "text": "a"},
        {"set": SPEECH.set, "split": "dev", "text": "a"},
        {"set": "other", "split": "dev", "text": "a"},
    )
    assert paths(choose_clips(SPEECH, file)) == ["1.ogg"]
    assert paths(choose_clips(SPEECH, file, split="train")) == ["0.ogg"]
    assert paths(choose_clips(SPEECH, file, sets=("other",))) == ["2.ogg"]


def test_a_manifest_without_sets_is_heard_whole(manifest):
    file = manifest({"text": "a"}, {"text": "b"})
    assert paths(choose_clips(SPEECH, file)) == ["0.ogg", "1.ogg"]
    assert paths(choose_clips(SPEECH, file, limit=1)) == ["0.ogg"]


def test_speech_without_a_text_is_left_out_and_music_is_not(manifest):
    assert paths(choose_clips(SPEECH, manifest({"text": "a"}, {}))) == ["0.ogg"]
    assert paths(choose_clips(MUSIC, manifest({}))) == ["0.ogg"]
    with pytest.raises(ManifestError, match="none of the clips has a text"):
        choose_clips(SPEECH, manifest({}))
