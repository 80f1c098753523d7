"""The real client of the hub, against a hub of two files on the loopback."""

import hashlib
import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from engine import hub
from engine.errors import WeightsError
from engine.presets import Hub
from engine.progress import Lines

REVISION = "0123456789abcdef0123456789abcdef01234567"
WHISPER = Hub(repository="someone/whisper", revision=REVISION, licence="MIT")
LARGE, SMALL = "model.safetensors", "config.json"
CONTENT = {LARGE: b"weights", SMALL: b"{}\n"}
GIT_NAME_OF_SMALL = "0967ef424bce6791893e9a57bb952f80fd536e93"  # git hash-object


class HubOnLoopback(BaseHTTPRequestHandler):
    """Answers what the client asks; `server.content` is what it hands out."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/api/models/someone/whisper/revision/main":
            about = {"_id": "1", "id": "someone/whisper", "sha": REVISION}
            self._answer(json.dumps(about).encode())
        elif path == f"/api/models/someone/whisper/revision/{REVISION}":
            large = {
                "size": len(CONTENT[LARGE]),
                "sha256": hashlib.sha256(CONTENT[LARGE]).hexdigest(),
                "pointerSize": 130,
            }
            files = [
                {"rfilename": LARGE, "size": 7, "blobId": "a" * 40, "lfs": large},
                {"rfilename": SMALL, "size": 3, "blobId": GIT_NAME_OF_SMALL},
            ]
            about = {"_id": "1", "id": "someone/whisper", "sha": REVISION}
            self._answer(json.dumps(about | {"siblings": files}).encode())
        elif path == f"/api/models/someone/whisper/tree/{REVISION}":
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                for name, content in self.server.content.items()
            ]
            self._answer(json.dumps(tree).encode())
        elif path.startswith(f"/someone/whisper/resolve/{REVISION}/"):
            name = path.rpartition("/")[-1]
            self.server.served.append((self.command, name))
            headers = {"ETag": f'"{name}"', "X-Repo-Commit": REVISION}
            self._answer(self.server.content[name], headers)
        else:
            self.send_error(404)

    do_HEAD = do_GET  # noqa: N815 (the names are http.server's)

    def _answer(self, body, headers=()):
        self.send_response(200)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


def point_client_at(address, monkeypatch):
    url = f"http://127.0.0.1:{address[1]}"
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)


@pytest.fixture
def server(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), HubOnLoopback) as server:
        server.daemon_threads = True
        server.content, server.served = dict(CONTENT), []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        point_client_at(server.server_address, monkeypatch)
        yield server
        server.shutdown()
        thread.join()


def fetch(folder, names=(LARGE, SMALL)):
    hub.fetch(WHISPER, names, folder, Lines(lambda line: None))


def test_a_branch_names_a_commit(server):
    branch = replace(WHISPER, revision="main")
    assert hub.HuggingFace().commit(branch) == REVISION


def test_a_branch_that_is_not_there_is_one_sentence(server):
    branch = replace(WHISPER, revision="maim")
    with pytest.raises(WeightsError, match="the hub does not give someone/whisper: "):
        hub.HuggingFace().commit(branch)


def test_the_files_of_the_commit_arrive(server, tmp_path):
    fetch(tmp_path / "new")
    for name, content in CONTENT.items():
        assert (tmp_path / "new" / name).read_bytes() == content


def test_files_that_nobody_asked_for_do_not_arrive(server, tmp_path):
    fetch(tmp_path, names=(SMALL,))
    assert {name for _, name in server.served} == {SMALL}


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    fetch(tmp_path)
    server.served.clear()
    fetch(tmp_path)
    assert ("GET", LARGE) not in server.served


def test_a_large_file_is_checked_by_its_sha_256(server, tmp_path):
    server.content[LARGE] = b"weighty"
    with pytest.raises(WeightsError, match=r"model\.safetensors has SHA-256 .*; exp"):
        fetch(tmp_path)


def test_a_small_file_is_checked_by_its_name_in_git(server, tmp_path):
    server.content[SMALL] = b"[]\n"
    with pytest.raises(WeightsError, match=r"config\.json has git's SHA-1 .*; exp"):
        fetch(tmp_path)


def test_a_wrong_file_does_not_stay_and_is_fetched_again(server, tmp_path):
    server.content[LARGE] = b"weighty"
    with pytest.raises(WeightsError):
        fetch(tmp_path)
    assert not (tmp_path / LARGE).exists()
    server.content[LARGE] = CONTENT[LARGE]
    fetch(tmp_path)
    assert (tmp_path / LARGE).read_bytes() == CONTENT[LARGE]


def test_a_commit_without_the_file_is_refused_before_anything_is_fetched(
    server, tmp_path
):
    with pytest.raises(WeightsError, match="at 0123456789ab has no file 'vocab"):
        fetch(tmp_path / "new", names=(LARGE, "vocab.json"))
    assert not (tmp_path / "new").exists()


def test_an_unreachable_hub_is_one_sentence(tmp_path, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), HubOnLoopback) as closed:
        address = closed.server_address
    point_client_at(address, monkeypatch)
    with pytest.raises(WeightsError) as error:
        fetch(tmp_path)
    assert str(error.value).startswith("the hub does not give someone/whisper: ")
    assert "\n" not in str(error.value)
