"""What a client remembers so that a dropped connection loses nothing.

    settled           cursor                       end
       |  sent, not settled  |   not yet sent       |
       +---------------------+----------------------+
       released as the server settles it            + appended

Pure: bytes and events in, bytes and decisions out.  No socket, no clock.  Positions
are the client's own samples (of all channels at once) from the start of the stream.
"""

from collections import deque

from clients.errors import BrokenServerError
from clients.sounds import SoundReceipts
from stream.events import (
    Ended,
    Error,
    Final,
    Flush,
    Progress,
    Resume,
    ServerEvent,
    Started,
)
from stream.sound_events import Noticed, Sound


class ReplayBuffer:
    """The audio from `settled` on, the flushes between, and how far it was sent.

    It is bounded by `max_samples`: who appends asks `room` first, and waits for the
    server to settle more where there is none.
    """

    def __init__(self, *, sample_bytes: int, max_samples: int) -> None:
        self._sample_bytes = sample_bytes  # of all channels
        self._max_samples = max_samples
        self._audio = bytearray()
        self._flushes: deque[int] = deque()  # positions, in order
        self._num_sent_flushes = 0
        self.settled = 0
        self.cursor = 0

    @property
    def end(self) -> int:
        """Position after the last sample that was appended."""
        return self.settled + len(self._audio) // self._sample_bytes

    @property
    def room(self) -> int:
        """How many samples can be appended now."""
        return self._max_samples - (self.end - self.settled)

    @property
    def is_sent(self) -> bool:
        """Whether everything was taken."""
        return self.cursor == self.end and self._num_sent_flushes == len(self._flushes)

    def append(self, pcm: bytes) -> None:
        """Add whole samples, at most `room`."""
        assert len(pcm) % self._sample_bytes == 0, "part of a sample"
        assert len(pcm) // self._sample_bytes <= self.room, "no room"
        self._audio += pcm

    def flush(self) -> None:
        """Ask for a flush after the audio that was appended so far.

        A second flush at the same place would end nothing, and is left out.
        """
        if not self._flushes or self._flushes[-1] != self.end:
            self._flushes.append(self.end)

    def take(self, max_samples: int) -> bytes | Flush | None:
        """Return what to send next and move the cursor; None if all was sent."""
        stop = min(self.end, self.cursor + max_samples)
        if self._num_sent_flushes < len(self._flushes):
            flush = self._flushes[self._num_sent_flushes]
            if flush == self.cursor:
                self._num_sent_flushes += 1
                return Flush()
            stop = min(stop, flush)
        if stop == self.cursor:
            return None
        first = (self.cursor - self.settled) * self._sample_bytes
        last = (stop - self.settled) * self._sample_bytes
        self.cursor = stop
        return bytes(self._audio[first:last])

    def release(self, settled: int) -> None:
        """Forget what lies before `settled`; going back is no news and ignored.

        Raises:
            BrokenServerError: If that much was never sent.
        """
        if settled > self.cursor:
            raise BrokenServerError(
                f"it settled sample {settled}, but only {self.cursor} were sent"
            )
        if settled <= self.settled:
            return
        del self._audio[: (settled - self.settled) * self._sample_bytes]
        self.settled = settled
        # A flush at `settled` itself stays: sending it twice does no harm.
        while self._flushes and self._flushes[0] < settled:
            self._flushes.popleft()
            self._num_sent_flushes -= 1

    def rewind(self, accepted: int) -> None:
        """Go on sending from `accepted`, on a new connection.

        Raises:
            BrokenServerError: If the audio from there on is not held.
        """
        if not self.settled <= accepted <= self.end:
            raise BrokenServerError(
                f"it asks for the audio from sample {accepted} on; "
                f"{self.settled} to {self.end} are held"
            )
        self.cursor = accepted
        # Audio after a flush proves that the flush arrived; nothing else does.
        self._num_sent_flushes = sum(flush < accepted for flush in self._flushes)


class Receipts:
    """Which events have arrived, so that none counts twice."""

    def __init__(self) -> None:
        self._session = ""
        self._seq = 0
        self._finals: dict[str, int] = {}
        """The last segment of each task that has its final, or an error instead."""
        self._ends: dict[str, int] = {}
        """Where the last final of each task ended, in samples at 16 kHz."""
        self._sounds = SoundReceipts()

    def begin(self, started: Started) -> None:
        """Take the first event of a connection."""
        self._session = started.session
        if not started.resumed:
            self._seq = started.seq
        for task in started.tasks:
            self._finals.setdefault(task, 0)

    def is_new(self, event: ServerEvent) -> bool:
        """Take a later event; return whether it has not been seen before.

        A final may come again under another `seq`: a server that does not know the
        session hears again what was not settled, though one of several tasks may
        have had its final.  It may also cut the audio into other segments, so where a
        final ends, and not its number, tells whether it is news.
        """
        if event.seq <= self._seq:
            return False
        self._seq = event.seq
        if isinstance(event, Final):
            if event.end <= self._ends.get(event.task, 0):
                return False
            self._ends[event.task] = event.end
            self._finals[event.task] = event.segment
        elif isinstance(event, Sound | Noticed):
            return self._sounds.is_new(event)
        elif isinstance(event, Error) and event.segment is not None:
            tasks = list(self._finals) if event.task is None else [event.task]
            # Another task has no final: who speaks is told beside them.
            for task in (task for task in tasks if task in self._finals):
                self._finals[task] = max(self._finals[task], event.segment)
        return True

    def resume(self, settled: int) -> Resume:
        """Return how to go on, given what of the audio is settled."""
        return Resume(
            session=self._session,
            seq=self._seq,
            settled=settled,
            segment=min(self._finals.values(), default=0),
        )


def settled_by(event: ServerEvent) -> int | None:
    """Return the position that an event settles; None if it says nothing of it.

    A `started` does not count, though it names one: the finals before that position
    may be among the events that follow it, and the connection may break before them.
    """
    if isinstance(event, Final | Progress | Ended):
        return event.settled
    return None
