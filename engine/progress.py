"""How long work tells what it does: bars on a terminal, plain lines elsewhere.

It knows steps and bytes, not what they are for.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

T = TypeVar("T")

POLL_S = 0.1  # how often the size of a growing file is looked at
MB = 1_000_000


class Report(Protocol):
    """Someone who is told how far work is."""

    def say(self, line: str) -> None:
        """Take note of a step whose length is not known."""

    def progress(self, step: str, done: int, total: int) -> None:
        """Take note that `done` of `total` bytes of a step are done."""


class Lines:
    """One line when a step begins, none while it lasts."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._step = write, ""

    def say(self, line: str) -> None:
        """Write the line."""
        self._write(line)

    def progress(self, step: str, done: int, total: int) -> None:
        """Write the step if it is a new one."""
        if step != self._step:
            self._step = step
            self._write(f"{step} ({total / MB:.1f} MB)")


class Bars:
    """One bar a step."""

    def __init__(self, bars: Progress) -> None:
        self._bars, self._tasks = bars, dict[str, TaskID]()

    def say(self, line: str) -> None:
        """Print the line above the bars."""
        self._bars.console.print(line, markup=False, highlight=False)

    def progress(self, step: str, done: int, total: int) -> None:
        """Move the bar of the step."""
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=total)
        self._bars.update(self._tasks[step], completed=done)


@contextlib.contextmanager
def report_on(console: Console) -> Iterator[Report]:
    """Report to a console while inside."""
    if not console.is_terminal:
        yield Lines(lambda line: console.print(line, markup=False, soft_wrap=True))
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        yield Bars(bars)


def watch(
    work: Callable[[], T], folder: Path, step: str, total: int, report: Report
) -> T:
    """Do work that fills a folder; report the size of the folder meanwhile.

    Downloads are left to other programs, which say nothing that we could rely on;
    what they have written we can see.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        doing = thread.submit(work)
        while not wait([doing], timeout=POLL_S).done:
            report.progress(step, min(size_of(folder), total), total)
        result = doing.result()
    report.progress(step, total, total)
    return result


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder; 0 where there is none."""
    total = 0
    # Others write here: what was listed may be gone before it is looked at.  `os.walk`
    # passes over folders that are, `Path.rglob` does not (Python 3.11).
    for inner, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(os.path.join(inner, name)).st_size
    return total
