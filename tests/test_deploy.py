"""What the containers' files name is there; no daemon is asked to build them."""

import json
import re
import shutil
import subprocess
from fnmatch import fnmatch

import pytest
import yaml

from tests.checkout import ROOT
from tests.test_repository import PROJECT

DOCKERFILES = sorted((ROOT / "deploy").glob("Dockerfile*"))
COMPOSE = sorted((ROOT / "deploy").glob("compose*.yaml"))
UNIT = ROOT / "deploy" / "salmonn-live.service"
INSTALLED = "/opt/salmonn-live/bin"
VERIFY_S = 60


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
def test_a_compose_file_names_what_is_there(file):
    told = yaml.safe_load(file.read_text())
    for service in told["services"].values():
        if "build" not in service:  # others made it: of one version
            assert re.fullmatch(r"[\w/]+:\d[\w.-]*", service["image"])
            continue
        context = (file.parent / service["build"]["context"]).resolve()
        assert context == ROOT
        assert (ROOT / service["build"]["dockerfile"]).exists()
        for volume in service["volumes"]:
            # What users name in the environment, `${NAME:?why}`, stands for a folder.
            source, target, *_ = re.sub(r"\$\{[^}]+\}", "/named", volume).split(":")
            assert target.startswith("/")
            if source.startswith("."):
                assert (file.parent / source).exists(), source
            elif not source.startswith("/"):
                assert source in told["volumes"]


def test_the_unit_starts_a_program_that_is_declared():
    (started,) = re.findall(r"^ExecStart=\S*/(\S+)", UNIT.read_text(), re.MULTILINE)
    assert started in PROJECT["scripts"]


def verify(folder, unit):
    """Return what systemd finds wrong with a unit, its programs being there."""
    programs = folder / "bin"
    programs.mkdir()
    for name in set(re.findall(rf"{INSTALLED}/(\S+)", unit)):
        program = programs / name
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    file = folder / UNIT.name
    file.write_text(unit.replace(INSTALLED, str(programs)))
    run = subprocess.run(
        ["systemd-analyze", "verify", str(file)],
        capture_output=True,
        text=True,
        timeout=VERIFY_S,
    )
    # It also speaks of other units of the machine.
    told = [line for line in run.stderr.splitlines() if UNIT.name in line]
    return "\n".join(told), run.returncode


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="no systemd-analyze on this machine"
)
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path):
    unit = UNIT.read_text()
    assert verify(tmp_path, unit) == ("", 0)
    (tmp_path / "wrong").mkdir()
    told, _ = verify(tmp_path / "wrong", unit.replace("ExecReload", "ExecRelod"))
    assert "Unknown key" in told
    assert "ExecRelod" in told
