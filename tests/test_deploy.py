"""What the containers' files name is there; no daemon is asked to build them."""

import json
import re
from fnmatch import fnmatch

import pytest

from tests.checkout import ROOT
from tests.test_repository import PROJECT

DOCKERFILES = sorted((ROOT / "deploy").glob("Dockerfile*"))
COMPOSE = sorted((ROOT / "deploy").glob("compose*.yaml"))


def instructions(dockerfile):
    """Return (instruction, its arguments); lines that go on are joined."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_is_there_and_is_let_through(dockerfile):
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = [line[1:] for line in ignore if line.startswith("!")]
    copied = [
        source
        for name, rest in instructions(dockerfile)
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert {"pyproject.toml", "engine", "stream", "clients"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(fnmatch(source, pattern) for pattern in let_through), source


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_installed_and_started_is_declared(dockerfile):
    (extras,) = re.findall(r"'\.\[([\w,]+)\]'", dockerfile.read_text())
    assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()
    (entry,) = [rest for name, rest in instructions(dockerfile) if name == "ENTRYPOINT"]
    assert json.loads(entry)[0] in PROJECT["scripts"]


@pytest.mark.parametrize("file", COMPOSE, ids=lambda path: path.name)
def test_a_compose_file_names_a_dockerfile_that_is_there(file):
    (named,) = re.findall(r"^ +dockerfile: (\S+)$", file.read_text(), re.MULTILINE)
    assert (ROOT / named).exists()


def test_the_unit_starts_a_program_that_is_declared():
    unit = (ROOT / "deploy" / "salmonn-live.service").read_text()
    (started,) = re.findall(r"^ExecStart=\S*/(\S+)", unit, re.MULTILINE)
    assert started in PROJECT["scripts"]
