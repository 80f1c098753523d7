"""What holds for the repository as a whole, whatever it does."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.checkout import ROOT, tracked

PACKAGES = ("stream", "engine", "clients")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = [name for name in PROJECT["optional-dependencies"] if name != "dev"]
"""What users install beside the clients."""
MOST_LINES = 400
ADAPTER = "engine/adapters/mini.safetensors"
MOST_BYTES = 250_000
HELP_S = 60
HELP = """
import sys
from {module} import {function}
try:
    {function}(["--help"])
except SystemExit as exc:
    code = exc.code
loaded = sorted({forbidden} & sys.modules.keys())
sys.exit(f"exit code {{code}}, imported {{loaded}}" if code or loaded else 0)
"""
USED_BY_OTHERS = {
    "import-linter": "make lint",
    "mypy": "make types",
    "protobuf": "transformers, to read SentencePiece's vocabularies",
    "pytest-asyncio": "pytest",
    "pytest-timeout": "pytest",
    "python-multipart": "starlette, to read forms",
    "ruff": "make lint",
}
"""Declared packages that none of our files imports, and who uses them."""


def sources(*folders: str) -> list[Path]:
    return [
        file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))
    ]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("module", sources(*PACKAGES), ids=name_of)
def test_every_module_says_what_it_is(module):
    assert ast.get_docstring(ast.parse(module.read_text("utf-8")))


def test_no_file_is_too_long_to_be_read():
    long = {
        name_of(file): num_lines
        for file in sources(*PACKAGES)
        if (num_lines := len(file.read_text("utf-8").splitlines())) > MOST_LINES
    }
    assert not long


def test_no_module_is_a_drawer():
    drawers = {"utils", "util", "common", "helpers", "misc"}
    assert not [file for file in sources(*PACKAGES, "tests") if file.stem in drawers]


def test_every_file_with_tests_is_collected():
    for file in sources("tests"):
        tree = ast.parse(file.read_text("utf-8"))
        tests = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
        ]
        if tests:
            assert file.name.startswith("test_"), f"{name_of(file)}: nothing runs it"
    for folder in {file.parent for file in sources("tests")}:
        assert (folder / "__init__.py").exists(), folder


def test_only_the_demo_and_one_test_have_sound_and_only_the_adapter_is_large():
    sounds = {".wav", ".flac", ".ogg", ".mp3", ".opus", ".npz", ".safetensors", ".bin"}
    files = tracked()
    found = [name_of(file) for file in files if file.suffix in sounds]
    demo = ["demo/crow.ogg", "demo/guitar.ogg", "demo/jfk.ogg"]
    assert sorted(found) == [*demo, ADAPTER, "tests/data/order.ogg"]
    large = [name_of(file) for file in files if file.stat().st_size > MOST_BYTES]
    assert large == [ADAPTER]


def test_the_repository_speaks_of_no_machine():
    homes = re.compile(rb"/(?:home|root|work|Users)/\w")
    for file in tracked():
        if file != Path(__file__) and (found := homes.search(file.read_bytes())):
            pytest.fail(f"{name_of(file)}: {found[0].decode()}")


@pytest.mark.parametrize("script", PROJECT["scripts"])
def test_help_comes_without_loading_a_model_library(script):
    module, _, function = PROJECT["scripts"][script].partition(":")
    forbidden = {"torch", "transformers"}
    if module.startswith("clients"):
        forbidden |= modules_of(declared(*EXTRAS) - declared())
    code = HELP.format(module=module, function=function, forbidden=forbidden)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HELP_S
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("usage: ")


def test_the_installed_commands_are_the_declared_ones():
    installed = {
        script.name: script.value
        for script in entry_points(group="console_scripts")
        if script.dist is not None and script.dist.name == PROJECT["name"]
    }
    assert installed == PROJECT["scripts"]


@pytest.mark.slow
def test_the_wheel_has_all_that_is_no_python_too(tmp_path):
    copy = tmp_path / "checkout"
    for file in tracked():
        target = copy / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*build, "--quiet", "--wheel-dir", str(tmp_path), str(copy)], check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith(PACKAGES)}
    assert packed == {name_of(file) for folder in PACKAGES for file in tracked(folder)}
    assert "stream/browser/index.html" in packed


def normal(name: str) -> str:
    """Return the name of a package as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> set[str]:
    """Return the packages that clients need, and those of the extras."""
    lines = list(PROJECT["dependencies"])
    for extra in extras:
        lines += PROJECT["optional-dependencies"][extra]
    return {normal(re.split(r"[<>=\[;]", line)[0]) for line in lines}


def imported(*folders: str, apart_from: Collection[str] = ()) -> set[str]:
    """Return the packages that files import, ours and Python's left out."""
    providers = packages_distributions()
    files = [file for file in sources(*folders) if name_of(file) not in apart_from]
    names = {name for file in files for name in imports(file)}
    foreign = names - set(sys.stdlib_module_names) - {*PACKAGES, "tests"}
    return {normal(provider) for name in foreign for provider in providers[name]}


def modules_of(packages: set[str]) -> set[str]:
    """Return the names by which packages are imported."""
    providers = packages_distributions()
    return {name for name, by in providers.items() if packages & {*map(normal, by)}}


def imports(file: Path) -> Iterator[str]:
    """Yield the top-level names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_a_client_install_has_all_that_clients_import():
    assert imported("clients") <= declared("mcp")
    with_the_extra = ("clients/mcp/tools.py", "clients/mcp/results.py")
    assert imported("clients", apart_from=with_the_extra) <= declared()


def test_what_is_imported_is_declared():
    assert imported(*PACKAGES) <= declared(*EXTRAS)
    assert imported("tests") <= declared(*EXTRAS, "dev")


def test_what_is_declared_is_used():
    everything = declared(*EXTRAS, "dev")
    assert everything - imported(*PACKAGES, "tests") == USED_BY_OTHERS.keys()


def test_what_is_declared_is_pinned_and_explained():
    pins = re.findall(r"^(\S+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert declared(*EXTRAS, "dev") <= set(pins)
    rows = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    named = re.findall(r"[\w-]+", " ".join(re.findall(r"^\| ([^|]+) \|", rows, re.M)))
    assert declared(*EXTRAS, "dev") <= set(named)


def test_each_decision_has_a_number_of_its_own():
    names = [path.name for path in (ROOT / "docs" / "adr").glob("*.md")]
    numbers = [name.partition("-")[0] for name in names]
    assert len(set(numbers)) == len(numbers), sorted(names)
    for path in (ROOT / "docs" / "adr").glob("*.md"):
        first, *_ = path.read_text(encoding="utf-8").splitlines()
        assert first.startswith(f"# {path.name.partition('-')[0]}"), path.name
