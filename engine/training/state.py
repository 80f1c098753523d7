"""What a run needs to go on as if it had not stopped; one file, replaced as a whole.

Weights that learn, the optimiser's averages, the number of the next step, and what has
been counted.  There is nothing to keep of order and chance: both are functions of the
seed and the step.  Knows neither model nor data.
"""

import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import EngineError

NAME = "last.state"
VERSION = 1


class ResumeError(EngineError):
    """Raised when a run cannot go on from what its folder holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A run between two steps."""

    step: int
    """Steps done."""
    settings: dict[str, str]
    """What decides what is learned; another run must not go on from here."""
    learned: dict[str, Tensor]
    optimiser: dict[str, Any]
    best: float | None
    """Score of the best checkpoint so far."""
    skipped: int
    """Examples that could not be read so far."""


def write_state(state: State, folder: Path) -> None:
    """Write a state into a run's folder, in place of the last one."""
    fields = {name: getattr(state, name) for name in State.__dataclass_fields__}
    replace_file(
        folder / NAME, lambda path: torch.save({"version": VERSION, **fields}, path)
    )


def read_state(folder: Path, settings: Mapping[str, str]) -> State | None:
    """Return the state of a run's folder, or None if no run began there.

    Raises:
        ResumeError: If it is damaged, or of a run with other settings.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        fields = torch.load(path, map_location="cpu", weights_only=True)
        version = fields.pop("version")
        state = State(**fields)
    except (OSError, RuntimeError, ValueError, LookupError, TypeError) as exc:
        raise ResumeError(f"{path} is damaged: {exc}") from exc
    except (pickle.UnpicklingError, EOFError, AttributeError) as exc:
        raise ResumeError(f"{path} is no state of a run: {exc}") from exc
    if version != VERSION:
        raise ResumeError(f"{path} has version {version}; expected {VERSION}")
    for name in sorted(settings.keys() | state.settings.keys()):
        was, wanted = state.settings.get(name), settings.get(name)
        if was != wanted:
            raise ResumeError(
                f"{path} is of a run with {name} {was}; asked for is {wanted}: "
                "take the old setting, or another `out`"
            )
    return state


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have a file written beside its place, then put it there at once.

    Whoever reads, or comes back after a fall, finds the old file or the new one whole.
    """
    beside = path.with_name(f".{path.name}.new{path.suffix}")
    write(beside)
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(beside, path)
