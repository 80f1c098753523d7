"""When each sample was sent, to tell how late an event about it comes.

And whether that is so late that people should know.

Pure: the clock is the caller's.
"""

from bisect import bisect_left
from dataclasses import dataclass

from stream.events import (
    Answer,
    AnswerPartial,
    AnswerStarted,
    Final,
    Partial,
    ServerEvent,
    SpeechEnded,
)
from stream.sound_events import Noticed, Sound

EVENT_RATE = 16_000  # Hz, of `start` and `end` in events
BEHIND_S = 10.0
"""Seconds by which a final is late on a server that does not keep up: several times
what the longest final takes, and early in the 30 s after which it reads more slowly."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event, and how late it came."""

    event: ServerEvent
    latency_s: float | None
    """From sending the sample at the event's `end`, or from the question that it
    answers, to its arrival; None without either."""


class SendTimes:
    """The times at which a stream's pieces were sent, first sent first."""

    def __init__(self, *, rate: int) -> None:
        self._rate = rate
        self._ends: list[int] = []
        self._times_s: list[float] = []
        self._asked_s: dict[str, float] = {}

    def ask(self, name: str, time_s: float) -> None:
        """Note that a question has now been asked."""
        self._asked_s[name] = time_s

    def add(self, end: int, time_s: float) -> None:
        """Note that the samples before `end` have now been sent."""
        self._ends.append(end)
        self._times_s.append(time_s)

    def latency_s(self, event: ServerEvent, now_s: float) -> float | None:
        """Return the time from sending the last sample of an event until now.

        For an answer, it is the time from its question.  None for events that have
        neither, and for audio that was forgotten.
        """
        if isinstance(event, AnswerStarted | AnswerPartial | Answer):
            asked_s = self._asked_s.get(event.id)
            if isinstance(event, Answer):
                self._asked_s.pop(event.id, None)
            return None if asked_s is None else now_s - asked_s
        is_over = isinstance(event, Sound | Noticed) and event.complete
        kinds = Partial | SpeechEnded | Final | Sound | Noticed
        if not isinstance(event, kinds) or is_over or not self._ends:
            return None
        # The client's sample that brought sample `end - 1`; a server that closes a
        # segment may add some silence past the last one that was sent.
        end = -(-event.end * self._rate // EVENT_RATE)
        index = min(bisect_left(self._ends, end), len(self._ends) - 1)
        return now_s - self._times_s[index]

    def forget(self, before: int) -> None:
        """Drop the pieces that end before a sample, all but the last of them.

        The one that stays is for events that end exactly there.
        """
        stale = bisect_left(self._ends, before)
        del self._ends[:stale], self._times_s[:stale]


class LagWatch:
    """Notices when finals begin to come late; once, until they are in time again."""

    def __init__(self) -> None:
        self._is_behind = False

    def is_news(self, event: ServerEvent, latency_s: float | None) -> bool:
        """Return whether an event shows for the first time that the server lags."""
        if not isinstance(event, Final) or latency_s is None:
            return False
        was_behind = self._is_behind
        # It must have caught up well, so that one slow final after another is no news.
        self._is_behind = latency_s > (BEHIND_S / 2 if was_behind else BEHIND_S)
        return self._is_behind and not was_behind
