"""Language models by their names on a hub that is a folder."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, logging

from engine import ask, store
from engine.config import EngineConfig, PartsConfig
from engine.errors import WeightsError
from engine.heads import load_head
from engine.hub import HubFile
from engine.hub_models import folder_of
from engine.inspection import inspect
from engine.progress import Lines
from engine.weights import resolve
from tests.engine.tiny_salmonn import write_salmonn

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAMED = Path("someone/tiny-1.0")


class FolderHub:
    """Hands out the files of a folder as those of every repository, and counts."""

    def __init__(self, folder):
        self.folder, self.asked, self.fetched = folder, [], []

    def commit(self, hub):
        self.asked.append((hub.repository, hub.revision))
        return COMMIT

    def files(self, hub):
        assert hub.revision == COMMIT
        return [self._file(path) for path in sorted(self.folder.rglob("*"))]

    def download(self, hub, names, folder):
        assert hub.revision == COMMIT
        for name in names:
            (folder / name).write_bytes((self.folder / name).read_bytes())
        self.fetched += names

    def _file(self, path):
        content = path.read_bytes() if path.is_file() else b""
        return HubFile(
            name=path.relative_to(self.folder).as_posix(),
            size_bytes=len(content),
            git_sha1="",
            sha256=hashlib.sha256(content).hexdigest(),
        )


class NoHub:
    """Is not to be reached."""

    def commit(self, hub):
        raise WeightsError(f"the hub does not give {hub.repository}: no network")

    files = download = commit


def quiet():
    return Lines(lambda line: None)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    logging.disable_progress_bar()
    return write_salmonn(tmp_path_factory.mktemp("salmonn"))


@pytest.fixture(scope="module")
def repository(files, tmp_path_factory):
    """Return a folder as authors publish theirs: weights twice, code, pictures."""
    folder = tmp_path_factory.mktemp("repository")
    model = AutoModelForCausalLM.from_pretrained(files.llm, dtype=torch.float16)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(files.llm).save_pretrained(folder)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "modeling_tiny.py").write_text("raise SystemExit\n")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"another format")
    return folder


@pytest.fixture
def hub(repository, monkeypatch, tmp_path):
    found = FolderHub(repository)
    monkeypatch.setattr("engine.hub.HuggingFace", lambda: found)
    monkeypatch.setenv("SALMONN_CACHE", str(tmp_path / "cache"))
    return found


def test_a_folder_is_taken_as_it_is(tmp_path, monkeypatch):
    (tmp_path / NAMED).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert folder_of(NAMED, tmp_path, quiet(), client=NoHub()) == NAMED


@pytest.mark.parametrize(
    "named", ["/no/such/folder", "folder", "../a", "a/b/c", "a/@b"]
)
def test_what_cannot_be_a_name_on_the_hub_is_a_folder_that_is_not_there(
    named, tmp_path
):
    assert folder_of(Path(named), tmp_path, quiet(), client=NoHub()) == Path(named)


def test_weights_settings_and_tokenizer_arrive_and_no_pickles_and_no_code(
    hub, tmp_path
):
    folder = folder_of(NAMED, tmp_path, quiet())
    expected = {"config.json", "generation_config.json", "model.safetensors"}
    expected |= {"tokenizer.json", "tokenizer_config.json", store.SOURCE}
    assert {path.name for path in folder.iterdir()} == expected
    facts = json.loads((folder / store.SOURCE).read_text())
    assert (facts["repository"], facts["revision"]) == (str(NAMED), COMMIT)
    assert not list((tmp_path / store.DOWNLOADS).iterdir())


def test_the_second_time_nothing_is_asked_and_a_revision_is_another_model(
    hub, tmp_path
):
    newest = folder_of(NAMED, tmp_path, quiet())
    assert folder_of(NAMED, tmp_path, quiet(), client=NoHub()) == newest
    assert hub.asked == [(str(NAMED), "main")]
    other = folder_of(Path(f"{NAMED}@refs/pr/4"), tmp_path, quiet())
    assert other != newest
    assert hub.asked[1:] == [(str(NAMED), "refs/pr/4")]


def test_a_model_that_breaks_off_is_not_taken_for_whole(hub, tmp_path, monkeypatch):
    def broken(self, hub, names, folder):
        (folder / "config.json").write_text("{}")
        raise WeightsError("the hub does not give someone/tiny-1.0: the line broke")

    with monkeypatch.context() as patch:
        patch.setattr(FolderHub, "download", broken)
        with pytest.raises(WeightsError, match="the line broke"):
            folder_of(NAMED, tmp_path, quiet())
    folder = folder_of(NAMED, tmp_path, quiet())
    assert (folder / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("left_out", "missing"),
    [("model.safetensors", ".safetensors"), ("config.json", "config.json")],
)
def test_a_repository_without_what_we_read_is_one_sentence(
    hub, repository, tmp_path, left_out, missing
):
    for path in repository.glob("*.*"):
        if path.name != left_out:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    hub.folder = tmp_path
    with pytest.raises(WeightsError) as caught:
        folder_of(NAMED, tmp_path / "cache", quiet())
    assert str(caught.value) == (
        f"there is no folder {NAMED}, and {NAMED} at 0123456789ab has no {missing}; "
        "name a folder that you have fetched yourself (docs/weights.md)"
    )
    assert not hub.fetched


def test_without_a_network_it_is_one_sentence(tmp_path):
    with pytest.raises(WeightsError) as caught:
        folder_of(NAMED, tmp_path, quiet(), client=NoHub())
    assert str(caught.value) == (
        f"there is no folder {NAMED}, and the hub does not give {NAMED}: no network"
    )


def test_before_it_is_loaded_it_is_looked_for_and_not_fetched(hub, files):
    parts = replace(files.parts, llm=NAMED)
    (problem,) = inspect(parts, "custom", precision="float32").problems
    assert f"there is no folder {NAMED}, and no model of that name in" in problem
    assert problem.endswith("it is fetched from the hub when it is loaded")
    assert not hub.asked
    resolve("llm", EngineConfig(parts=PartsConfig(llm=NAMED)))
    found = inspect(parts, "custom", precision="float32")
    assert found.problems == []
    assert found.memory == inspect(files.parts, "custom", precision="float32").memory


def test_a_head_of_it_is_that_of_its_folder(hub, files):
    def hidden(llm):
        parts = replace(files.parts, llm=llm)
        head = load_head(EngineConfig(preset="custom", parts=parts, dtype="float32"))
        assert head is not None
        return head.opening

    assert torch.equal(hidden(NAMED), hidden(files.llm))
    assert hub.fetched


def test_it_is_asked_about_files_and_tells_what_is_fetched(
    hub, files, tmp_path, capsys
):
    soundfile.write(tmp_path / "a.wav", torch.randn(20_000).numpy() / 10, 16_000)
    asked = [tmp_path / "a.wav", *files.flags, "--dtype", "float32", "--prompt", "Who?"]
    said = []
    for llm in (files.llm, NAMED):
        arguments = [*asked, "--max-tokens", "5", "--llm", llm]
        assert ask.main([str(argument) for argument in arguments]) == 0
        out, err = capsys.readouterr()
        said.append(out)
    assert said[0] == said[1]
    assert f"fetching {NAMED}" in err
