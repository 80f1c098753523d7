"""What a server's engine thread did, piece by piece: noted as it works, and read.

A piece of hearing is a line of JSON.  What it was about follows from the pieces before:
how much of the segment was heard, and how much nobody had read yet.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stream.audio import SAMPLE_RATE
from stream.jobs import Action

WORKER: Final = "stream.worker"
"""The logger that tells, at the level of debugging, what each piece of hearing took."""
READS: Final = (Action.PARTIAL,)
"""What leaves a hypothesis behind that the next piece goes on from."""
CLOSES: Final = (Action.EARLY_FINAL, Action.FINAL)


class WorkLog(logging.Handler):
    """Writes what the worker's logger says of pieces of hearing, a line each."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.DEBUG)
        # A line at a time, so that whoever reads it while the server runs has all.
        self._file = path.open("w", encoding="utf-8", buffering=1)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, if it is of that kind."""
        if record.msg.startswith("%s of %d samples") and isinstance(record.args, tuple):
            # What it is about stands beside the sentence.
            about = [getattr(record, name) for name in ("session", "segment")]
            self._file.write(json.dumps([*about, *record.args]) + "\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceOfWork:
    """One piece of hearing, as the server did it."""

    action: Action
    samples_s: float
    """Of audio that came with it."""
    heard_s: float
    """Of the segment, with these."""
    new_s: float
    """That no partial had read before."""
    is_ready: bool
    """Whether a final was there already, from the pause."""
    took_s: float


def read_work(lines: Iterable[str]) -> list[PieceOfWork]:
    """Return pieces of work in their order, each with what it was about.

    Raises:
        ValueError: If a line is no such piece.
    """
    heard_s, read_s = dict[tuple[str, int], float](), dict[tuple[str, int], float]()
    closed = set[tuple[str, int]]()
    found = []
    for line in lines:
        session, segment, name, samples, _, took_s = json.loads(line)
        key, action, samples_s = (session, segment), Action[name], samples / SAMPLE_RATE
        heard_s[key] = heard_s.get(key, 0.0) + samples_s
        if samples:
            closed.discard(key)
        found.append(
            PieceOfWork(
                action=action,
                samples_s=samples_s,
                heard_s=heard_s[key],
                new_s=heard_s[key] - read_s.get(key, 0.0),
                is_ready=key in closed,
                took_s=took_s,
            )
        )
        if action in READS:
            read_s[key] = heard_s[key]
        if action in CLOSES:
            closed.add(key)
    return found
