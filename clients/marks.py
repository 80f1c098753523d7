"""Moments that somebody marked, and where they stand among the cues of a transcript.

Pure: knows no keyboard and no file.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from stream.audio import SAMPLE_RATE
from stream.subtitles import Cue

SHOWN_MS = 1_000
"""For how long subtitles show a mark."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment."""

    number: int
    """From 1."""
    at: int
    """Samples at 16 kHz from the start of the audio."""
    sent: int
    """The same in the client's own samples, in which a server says what is settled."""

    @property
    def label(self) -> str:
        """What people read."""
        return f"mark {self.number}"

    def cue(self) -> Cue:
        """Return it as a cue of its own: SubRip has no comments."""
        start_ms = self.at * 1000 // SAMPLE_RATE
        return Cue(start_ms, start_ms + SHOWN_MS, (f"[{self.label}]",))


class WaitingMarks:
    """Marks whose place is not known: speech from before them may still get its text.

    They come in the order of time.
    """

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()

    def push(self, mark: Mark) -> None:
        """Add one."""
        self._marks.append(mark)

    def before(self, cue: Cue) -> list[Cue]:
        """Return, and forget, those that belong before a cue."""
        return self._while(lambda mark: mark.at * 1000 <= cue.start_ms * SAMPLE_RATE)

    def settled(self, sample: int) -> list[Cue]:
        """Return, and forget, those before which no cue will come any more."""
        return self._while(lambda mark: mark.sent <= sample)

    def flush(self) -> list[Cue]:
        """End the stream; return what is left."""
        left = [mark.cue() for mark in self._marks]
        self._marks.clear()
        return left

    def _while(self, is_due: Callable[[Mark], bool]) -> list[Cue]:
        due = []
        while self._marks and is_due(self._marks[0]):
            due.append(self._marks.popleft().cue())
        return due
