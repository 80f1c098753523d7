"""How benchmarks tell what they do and what they found; knows none of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from engine.data.manifest import Clip


class Row(NamedTuple):
    """A line of a table for people."""

    what: str
    figure: str
    promised: str = ""


class Advance(Protocol):
    """What moves a bar on."""

    def __call__(self, count: int = 1) -> None:
        """Note that so many more steps are done."""


class Figures(Protocol):
    """What a benchmark found: a dataclass of numbers, lists and texts."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def engine(self) -> str:
        """What computed it, in a line."""

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a benchmark measures with."""

    clips: list[Clip]
    config: Path | None
    """The server's TOML file."""
    limit: int | None
    notes: Console
    """Where it tells how far it is."""
    rounds: int | None = None
    """How often each thing is tried; None is as often as the benchmark likes."""
    preset: str = ""
    """Of which released SALMONN the shape is, where only that is measured."""
    device: str = ""
    """Where that is done, as torch names it."""

    @contextmanager
    def steps(self, what: str, total: int) -> Iterator[Advance]:
        """Show a bar on a terminal, a line elsewhere; yield what moves the bar on."""
        if not self.notes.is_terminal:
            self.notes.print(f"{what}: {total} …", highlight=False)
        with Progress(
            TextColumn(f"{what:24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.notes,
            disable=not self.notes.is_terminal,
        ) as progress:
            bar = progress.add_task(what, total=total)

            def advance(count: int = 1) -> None:
                progress.advance(bar, count)

            yield advance


def table(title: str, rows: list[Row]) -> Table:
    """Return figures as people read them."""
    drawn = Table("", title, "promised", title_justify="left", highlight=False)
    for row in rows:
        drawn.add_row(*row)
    return drawn
