import hashlib
import json
from pathlib import Path

import pytest

from engine import manifest
from engine.errors import WeightsError

NEEDED = ("config.json", "model.safetensors")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    manifest.write(tmp_path, "wheels")
    return tmp_path


def test_a_listed_folder_is_verified_and_tells_its_source(folder):
    assert manifest.verify(folder, NEEDED) == "wheels"


def test_one_changed_byte_is_found_and_the_file_named(folder):
    (folder / "model.safetensors").write_bytes(b"weighty")
    with pytest.raises(WeightsError) as error:
        manifest.verify(folder, NEEDED)
    found = hashlib.sha256(b"weighty").hexdigest()[:16]
    expected = hashlib.sha256(b"weights").hexdigest()[:16]
    path = folder / "model.safetensors"
    assert str(error.value) == f"{path} has SHA-256 {found}…; expected {expected}…"


def test_a_file_cut_short_is_told_by_its_size(folder):
    (folder / "model.safetensors").write_bytes(b"weigh")
    with pytest.raises(WeightsError, match="has 5 bytes; expected 7"):
        manifest.verify(folder, NEEDED)


def test_a_file_that_is_gone_is_named(folder):
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"config\.json is missing"):
        manifest.verify(folder, NEEDED)


@pytest.mark.parametrize("name", [manifest.NAME, "config.json"])
def test_a_file_that_cannot_be_read_is_named(folder, monkeypatch, name):
    open_file = Path.open

    def refuse(path, *args, **options):
        if path.name == name:
            raise PermissionError(13, "Permission denied")
        return open_file(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(WeightsError, match=f"{name} cannot be read: Permission denied"):
        manifest.verify(folder, NEEDED)


def test_a_folder_without_its_list_is_refused(folder):
    (folder / manifest.NAME).unlink()
    with pytest.raises(WeightsError, match=r"manifest\.json is missing"):
        manifest.verify(folder, NEEDED)


def test_a_list_that_lacks_a_needed_file_is_refused(folder):
    with pytest.raises(WeightsError, match="does not list 'tokenizer"):
        manifest.verify(folder, (*NEEDED, "tokenizer.json"))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 1, "source": "hub", "files": {"a": {}}}']
)
def test_a_list_that_is_none_is_refused(folder, text):
    (folder / manifest.NAME).write_text(text)
    with pytest.raises(WeightsError, match="is not a list of files with their SHA-256"):
        manifest.verify(folder, NEEDED)


def test_a_folder_of_another_format_is_refused(folder):
    listing = json.loads((folder / manifest.NAME).read_text())
    (folder / manifest.NAME).write_text(json.dumps(listing | {"format": 0}))
    with pytest.raises(WeightsError, match="has format 0; expected 1"):
        manifest.verify(folder, NEEDED)
