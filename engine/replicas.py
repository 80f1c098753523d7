"""What replicas of an engine say of themselves, where there are any."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaFigures:
    """What one of several processes that compute for an engine has done."""

    name: str
    utterances: int
    """That it holds, and sessions' voices, of all servers."""
    busy_s: float
    """Time for which it has computed."""
    audio_s: float
    """Speech that it was given."""


@runtime_checkable
class Replicated(Protocol):
    """An engine that is in several processes."""

    def replicas(self) -> Sequence[ReplicaFigures]:
        """Return what each replica says.

        Callable from any thread; waits a second at most.  A replica that says nothing
        in time is left out.
        """
