"""Sounds and what watches notice, as clients show them: `[dog barking]`.

Pure: knows no screen, no file and no connection.
"""

from stream.audio import SAMPLE_RATE
from stream.sound_events import Noticed, Sound
from stream.subtitles import Cue, bracketed


class SoundReceipts:
    """Which sounds were told, so that none is told twice.

    A server that does not know the session hears again what was not settled: it may
    tell again what has begun, and what is over.
    """

    def __init__(self) -> None:
        self._is_open: dict[tuple[str, str], bool] = {}
        self._ends: dict[tuple[str, str], int] = {}
        """Where each was last over."""

    def is_new(self, event: Sound | Noticed) -> bool:
        """Take an event; return whether it says something new."""
        name = event.label if isinstance(event, Sound) else event.id
        key = event.type, name
        if event.end <= self._ends.get(key, 0):
            return False
        if event.complete:
            self._is_open[key], self._ends[key] = False, event.end
            return True
        was_open, self._is_open[key] = self._is_open.get(key, False), True
        return not was_open


def cue_of(event: Sound | Noticed) -> Cue:
    """Return the cue of one that is over."""
    start_ms, end_ms = (
        samples * 1000 // SAMPLE_RATE for samples in (event.start, event.end)
    )
    return Cue(start_ms, max(end_ms, start_ms + 1), (bracketed(event.text),))
