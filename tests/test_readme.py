"""README.md and its pages keep their word: commands parse or run, names exist."""

import argparse
import asyncio
import contextlib
import os
import pty
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path

import pytest
import soundfile

from stream.audio import SAMPLE_RATE, to_float
from stream.config import read_config
from tests.checkout import ROOT, tracked
from tests.clients.threaded_server import threaded_server
from tests.fakes.engine import speak
from tests.fakes.process import serving
from tests.weights import require_weights

TEXT = (ROOT / "README.md").read_text("utf-8")
MAP = (ROOT / "docs" / "map.md").read_text("utf-8")
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("demo/*.md")]
PROGRAMS = {
    script.name: script
    for script in entry_points(group="console_scripts")
    if script.name.startswith("salmonn-")
}
DEMO_S = 240


def code(language: str) -> str:
    """Return the only block of a language."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return block


def commands(*documents: Path) -> list[str]:
    """Return the commands of the indented lines that start one of our programs."""
    texts = [document.read_text("utf-8") for document in documents]
    lines = [line for text in texts for line in re.findall(r"^    (\S.*)$", text, re.M)]
    steps = [step.strip() for line in lines for step in line.split("|")]
    return [step for step in steps if step.startswith("salmonn-")]


README, RECIPES = ROOT / "README.md", ROOT / "docs" / "recipes.md"
CHECKED = (README, RECIPES, ROOT / "docs" / "speakers.md", ROOT / "docs" / "mcp.md")
RUN = [text for text in commands(RECIPES) if text.startswith("salmonn-file")]
VOICE = speak(21, 22, 0, 0, samples=16_000)


class ParsedError(Exception):
    """Raised in place of running a command whose line was understood."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Be in a folder with the files that commands name."""
    (tmp_path / "demo").mkdir()
    for name in ("demo/jfk.ogg", "anna.wav", "ben.flac"):
        soundfile.write(tmp_path / name, to_float(VOICE), SAMPLE_RATE, format="WAV")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", sorted({*commands(*CHECKED)}))
def test_every_command_line_is_understood(command, folder, monkeypatch):
    parse_args = argparse.ArgumentParser.parse_args

    def only_parse(self, args=None, namespace=None):
        parse_args(self, args, namespace)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    program, *arguments = shlex.split(command, comments=True)
    with pytest.raises(ParsedError):
        PROGRAMS[program].load()(arguments)


@pytest.mark.parametrize("command", RUN)
async def test_every_recipe_for_files_runs(command, folder):
    program, *arguments = shlex.split(command, comments=True)
    module = PROGRAMS[program].value.partition(":")[0]
    async with serving(folder) as address:
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments, "--url", f"ws://{address}"),
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        _, err = await running.communicate()
    assert (running.returncode, err) == (0, b"")
    for flag, name in pairwise(arguments):
        if flag in ("--save", "--json"):
            written = (folder / name).read_text("utf-8")
            assert "21" in written
            assert ("Kennedy" in written) == ("--speaker" in arguments)


def test_there_are_commands_for_each_client_and_the_server():
    shown = {shlex.split(command, comments=True)[0] for command in commands(README)}
    assert {"salmonn-serve", "salmonn-file", "salmonn-mic", "salmonn-stdin"} <= shown


def test_every_target_of_make_exists():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:^    |`)make ([a-z]+)", TEXT, re.MULTILINE)) <= {
        *targets
    }


def test_the_settings_shown_are_read(tmp_path):
    path = tmp_path / "server.toml"
    path.write_text(code("toml"), encoding="utf-8")
    assert read_config(path, {}).segmenter.hangover_ms == 700


def test_the_python_example_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    with threaded_server() as server:
        source = code("python").replace("ws://127.0.0.1:8765", server.url)
        assert server.url in source
        # It brings its own loop, as a script does.
        exec(compile(source, "README.md", "exec"), {"__name__": "__main__"})
    assert "so |  far\n" in capsys.readouterr().out


@pytest.mark.parametrize("package", ["stream", "engine", "clients"])
def test_the_tree_shown_is_the_tree(package):
    (listed,) = re.findall(rf"^{package}/ .*\n((?:[├└]── .*\n)+)", MAP, re.MULTILINE)
    names = re.findall(r"^[├└]── (\S+)  ", listed, re.MULTILINE)
    assert sorted(names) == sorted(shown_names(package))


def shown_names(package: str) -> list[str]:
    """Return what the tree has a line for: modules, and a package's only module."""
    files = [file for file in tracked(package) if file.suffix == ".py"]
    named = [file for file in files if file.name != "__init__.py"]
    names = [file.name for file in named if file.parent == ROOT / package]
    for folder in {file.parent for file in named} - {ROOT / package}:
        inner = [file.name for file in named if file.parent == folder]
        names.append(f"{folder.name}/" + (inner[0] if len(inner) == 1 else ""))
    return names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(document: Path) -> set[str]:
    """Return what headings can be linked by, as code forges name them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings
    }


@pytest.fixture
def weights():
    require_weights()


DEMO = [sys.executable, "-m", "clients.demo", "demo/jfk.ogg"]


@pytest.mark.end_to_end
def test_the_demo_shows_partials_and_finals_and_tells_how_late_they_came(weights):
    demo = subprocess.run(
        DEMO, cwd=ROOT, capture_output=True, text=True, timeout=DEMO_S, check=True
    )
    assert re.search(r"^\[0\.0–\d\.\d\] .+ …  \(\d+\.\d\d s\)$", demo.stdout, re.M)
    assert "your country" in demo.stdout
    assert re.search(
        r"\d+\.\d\d s  from the end of a segment to its final", demo.stdout
    )


@pytest.mark.end_to_end
async def test_the_demo_redraws_on_a_terminal(weights):
    ours, theirs = pty.openpty()
    demo = await asyncio.create_subprocess_exec(
        *DEMO, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = await asyncio.to_thread(read_all, ours)
    async with asyncio.timeout(DEMO_S):
        assert await demo.wait() == 0
    assert "\x1b[2K" in shown  # a line is taken back
    assert "your country" in shown


def read_all(terminal: int) -> str:
    """Return what is written to a terminal until the last of its users leaves."""
    shown = b""
    # An error is how Linux says that nobody holds the other end any more.
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 4096):
            shown += data
    os.close(terminal)
    return shown.decode(errors="replace")
