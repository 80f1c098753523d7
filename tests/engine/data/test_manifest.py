import json

import pytest

from engine.data.manifest import ManifestError, read_manifest


@pytest.fixture
def manifest(tmp_path):
    lines = [
        {"path": f"{i}.ogg", "duration_s": 1.0, "set": f"set{i % 2}", "split": split}
        for i, split in enumerate(["train", "dev"] * 5)
    ]
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def test_paths_are_relative_to_the_manifest(manifest):
    clip = read_manifest(manifest)[0]
    assert clip.path == "0.ogg"
    assert clip.file == manifest.parent / "0.ogg"


def test_only_what_was_asked_for_is_read(manifest):
    clips = read_manifest(manifest, sets=("set1",), split="dev")
    assert [clip.path for clip in clips] == [f"{i}.ogg" for i in range(1, 10, 2)]


def test_a_limit_spreads_over_all_clips(manifest):
    assert [c.path for c in read_manifest(manifest, limit=2)] == ["0.ogg", "5.ogg"]
    assert len(read_manifest(manifest, limit=99)) == 10


def test_a_manifest_that_is_absent_is_named(tmp_path):
    with pytest.raises(ManifestError, match=r"cannot read .*none\.jsonl"):
        read_manifest(tmp_path / "none.jsonl")


def test_a_set_without_clips_is_named(manifest):
    with pytest.raises(ManifestError, match="no clip of set music, split any"):
        read_manifest(manifest, sets=("music",))


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"path": "a", "duration_s": "x"}'])
def test_a_line_that_is_no_clip_is_named(tmp_path, line):
    path = tmp_path / "manifest.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(ManifestError, match=r"manifest\.jsonl:1 is not a clip"):
        read_manifest(path)


def test_the_clips_of_several_manifests_follow_each_other(manifest, tmp_path):
    other = tmp_path / "made" / "other.jsonl"
    other.parent.mkdir()
    other.write_text('{"path": "a.ogg", "duration_s": 1, "set": "made"}')
    clips = read_manifest(manifest, other)
    assert (len(clips), clips[-1].file) == (11, other.parent / "a.ogg")
    assert len(read_manifest(manifest, other, sets=("made",))) == 1
