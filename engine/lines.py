"""Lines to replicas of an engine, which may be cut at any moment.

Whoever makes them knows what they are made of (`engine.ray`); whoever uses them
(`engine.remote`) knows what to do when one is cut.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

import numpy as np

from engine.api import Samples, UtteranceOptions
from engine.errors import EngineError
from engine.hosting import PUSH, Answer, Call, Failure, Opening

logger = logging.getLogger(__name__)

MOST_LOSSES: Final = 5
"""Replicas that may be lost in a row, before something else is taken to be wrong."""

T = TypeVar("T")


class LostError(Exception):
    """Raised when the replica at the other end of a line is gone."""


class BugError(Exception):
    """Raised when a replica failed in a way that no engine should."""


def value_of(said: Answer | Failure) -> Any:
    """Return what a call returned.

    Raises:
        EngineError: If the engine refused it.
        BugError: If it failed for any other reason.
    """
    match said:
        case Answer(value=value):
            return value
        case Failure(message=message, is_known=True):
            raise EngineError(message)
        case Failure(message=message):
            raise BugError(message)


class Line(Protocol):
    """To one seat at one replica; calls are answered in their order."""

    @property
    def ticket(self) -> str:
        """What the seat goes by there."""

    @property
    def replica(self) -> str:
        """Which replica it leads to; "" until `is_up`."""

    def is_up(self, wait_s: float) -> bool:
        """Return whether a replica has taken it, or is lost already."""

    def post(self, call: Call) -> None:
        """Send a call."""

    def answer(self) -> Any:
        """Return the next answer.

        Raises:
            BugError: If the call failed for no reason that an engine names.
            EngineError: If it failed.
            FullError: If no replica had a place; the line is closed then.
            LostError: If the replica is gone, or the line was closed.
        """

    def close(self) -> None:
        """Give the seat up."""


Dial = Callable[[Opening], Line]
"""Opens a line to a replica that has a place; does not wait for it."""


def persist(attempt: Callable[[], T]) -> T:
    """Return what an attempt returns, once no replica is lost in it.

    Raises:
        EngineError: If that does not come about; and what the attempt raises.
    """
    for _ in range(MOST_LOSSES):
        try:
            return attempt()
        except LostError as exc:
            lost = exc
            logger.warning("a replica is lost, another one takes over: %s", exc)
    raise EngineError(f"{MOST_LOSSES} replicas were lost in a row: {lost}") from lost


class Lease:
    """A line that an utterance and its replies share."""

    def __init__(self, line: Line) -> None:
        self.line, self.num_users = line, 1

    def share(self) -> "Lease":
        """Count one more user."""
        self.num_users += 1
        return self

    def release(self) -> None:
        """Count a user out; the last one hangs up."""
        self.num_users -= 1
        if not self.num_users:
            self.line.close()


def new_lease(dial: Dial, options: UtteranceOptions, audio: Sequence[Samples]) -> Lease:
    """Return a new line for an utterance of which some was heard already."""
    line = dial(options)
    if audio:
        line.post(Call(PUSH, (np.concatenate(audio),)))
    return Lease(line)
