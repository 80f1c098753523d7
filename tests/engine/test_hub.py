import hashlib

import pytest

from engine import hub
from engine.errors import WeightsError
from engine.presets import Hub
from engine.progress import Lines

WHISPER = Hub(repository="someone/whisper", revision="0123456789abcdef", licence="MIT")
LARGE, SMALL = "model.safetensors", "config.json"
CONTENT = {LARGE: b"weights", SMALL: b"{}\n"}
GIT_NAME_OF_EMPTY_TABLE = "0967ef424bce6791893e9a57bb952f80fd536e93"  # git hash-object


class FakeHub:
    """A hub that knows two files, and hands out what it is given."""

    def __init__(self, arriving):
        self.arriving = arriving

    def files(self, hub):
        large = hashlib.sha256(CONTENT[LARGE]).hexdigest()
        return [
            make_file(LARGE, sha256=large),
            make_file(SMALL, git_sha1=GIT_NAME_OF_EMPTY_TABLE),
            make_file("README.md"),
        ]

    def download(self, hub, names, folder):
        for name in names:
            (folder / name).write_bytes(self.arriving[name])


def make_file(name, *, git_sha1="", sha256=None):
    size_bytes = len(CONTENT.get(name, b""))
    return hub.HubFile(
        name=name, size_bytes=size_bytes, git_sha1=git_sha1, sha256=sha256
    )


def fetch(folder, names=(LARGE, SMALL), **arriving):
    client = FakeHub(CONTENT | arriving)
    hub.fetch(WHISPER, names, folder, Lines(lambda line: None), client=client)


def test_asked_files_arrive_and_no_others(tmp_path):
    fetch(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {LARGE, SMALL}


def test_a_large_file_is_checked_by_its_sha_256(tmp_path):
    with pytest.raises(WeightsError, match=r"model\.safetensors has SHA-256 .*; exp"):
        fetch(tmp_path, **{LARGE: b"weighty"})


def test_a_small_file_is_checked_by_its_name_in_git(tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json has git's SHA-1 .*; exp"):
        fetch(tmp_path, **{SMALL: b"[]\n"})


def test_a_file_that_is_not_the_right_one_does_not_stay(tmp_path):
    with pytest.raises(WeightsError):
        fetch(tmp_path, **{LARGE: b"weighty"})
    assert not (tmp_path / LARGE).exists()


def test_a_commit_without_the_file_is_refused_before_anything_is_fetched(tmp_path):
    with pytest.raises(WeightsError, match="at 0123456789ab has no file 'vocab"):
        fetch(tmp_path / "new", names=(LARGE, "vocab.json"))
    assert not (tmp_path / "new").exists()


def test_an_unreachable_hub_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="the hub does not give someone/whisper: "):
        hub.fetch(WHISPER, (SMALL,), tmp_path, Lines(lambda line: None))
