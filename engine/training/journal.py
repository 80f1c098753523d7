"""What a run tells while it lasts: JSON lines, TensorBoard, a bar with the time left.

    log.jsonl     {"step": 120, "train": {"loss": 2.1, "rate": 3e-05, …}}
    tensorboard/  the same numbers, as train/loss and dev/loss

Only one process tells.  It knows numbers by their names, not what they mean.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from tensorboardX import SummaryWriter

LOG = "log.jsonl"
BOARD = "tensorboard"


class Journal:
    """The lines of one run; a context manager.

    Args:
        folder: Where they are kept; None keeps nothing.
        steps: Of the whole run.
        done: Steps that an earlier process did; lines of later ones are taken back.
        console: Where people look.
    """

    def __init__(
        self, folder: Path | None, *, steps: int, done: int, console: Console
    ) -> None:
        self._console, self._folder = console, folder
        self._steps, self._done = steps, done
        self._file: TextIO | None = None
        self._board: SummaryWriter | None = None
        self._bars = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._bar = self._bars.add_task("steps", total=steps, completed=done, told="")

    def __enter__(self) -> "Journal":
        if (folder := self._folder) is not None:
            folder.mkdir(parents=True, exist_ok=True)
            _forget(folder / LOG, after=self._done)
            self._file = (folder / LOG).open("a", encoding="utf-8")
            self._board = SummaryWriter(str(folder / BOARD), purge_step=self._done + 1)
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()
        if self._file is not None and self._board is not None:
            self._file.close()
            self._board.close()

    def say(self, line: str) -> None:
        """Tell people something."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def advance(self, step: int) -> None:
        """Note how many steps are done."""
        self._bars.update(self._bar, completed=step)

    def record(self, step: int, kind: str, numbers: Mapping[str, float]) -> None:
        """Keep the numbers of a kind, `train` or `dev`, and show them."""
        if self._file is not None and self._board is not None:
            self._file.write(json.dumps({"step": step, kind: dict(numbers)}) + "\n")
            self._file.flush()
            for name, value in numbers.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)
        told = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        if kind == "train":
            self._bars.update(self._bar, told=_short(numbers))
        if kind != "train" or not self._console.is_terminal:
            self.say(f"step {step}/{self._steps}  {kind}: {told}")


def _short(numbers: Mapping[str, float]) -> str:
    shown = ("loss", "steps_per_s")
    return "  ".join(f"{name} {numbers[name]:.3g}" for name in shown if name in numbers)


def _forget(log: Path, *, after: int) -> None:
    """Take back lines of steps that will be done again, and one that was cut short."""
    if not log.exists():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            step = json.loads(line)["step"]
        except ValueError:
            continue
        if step <= after:
            kept.append(line + "\n")
    log.write_text("".join(kept), encoding="utf-8")
