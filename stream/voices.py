"""The audio of segments whose speakers are to be told, until the engine has heard it.

Pure book-keeping, a part of `stream.book`: it knows neither speakers nor captions.

    open ──▶ hear … ──▶ end

Voices that a client brings go first, each at once.  A session's segments are heard in
their order, a piece at a time, sessions by turns.  Whoever adds audio looks at
`backlog` first and waits (stream/hub.py): none is dropped.
"""

from collections import deque
from dataclasses import dataclass, field

from stream.jobs import (
    Enrolling,
    EnrolVoice,
    HearAudio,
    MakeFinal,
    OpenUtterance,
    Recognising,
    SegmentJob,
)

STEP = 12_800
"""Samples; 0.8 s, the least that is worth a turn: two windows, embedded in one pass."""
SLICE = 19_200
"""Samples; 1.2 s, the most that one turn takes: captions do not wait for long."""
SAMPLE_BYTES = 2


@dataclass(slots=True)
class _Segment:
    most: int
    pcm: bytearray = field(default_factory=bytearray)
    ended: bool = False

    @property
    def pending(self) -> int:
        """Samples not handed out."""
        return len(self.pcm) // SAMPLE_BYTES


class VoiceBook:
    """The segments of all sessions in which speakers are to be told."""

    def __init__(self) -> None:
        self._open: dict[str, dict[int, _Segment]] = {}
        """By session, then in the order of segments."""
        self._brought: dict[str, deque[EnrolVoice]] = {}
        """By session, as many as it may have speakers, at most."""
        self._turns: deque[str] = deque()
        """Sessions; the one served longest ago comes first."""
        self._known: set[str] = set()
        """Sessions whose voices the engine may hold."""

    def add(self, session: str, job: SegmentJob) -> None:
        """Enter what a session wants of a segment, if its speakers are to be told."""
        if isinstance(job, OpenUtterance):
            if job.speakers:
                self._begin(session)
                self._open[session][job.segment] = _Segment(job.speakers)
            return
        segment = self._open.get(session, {}).get(job.segment)
        if segment is None:
            return
        match job:
            case HearAudio(pcm=pcm):
                segment.pcm += pcm
            case MakeFinal():
                segment.ended = True

    def enrol(self, session: str, job: EnrolVoice) -> None:
        """Enter a voice that a session's client knows."""
        self._begin(session)
        self._brought.setdefault(session, deque()).append(job)

    def next_turn(self) -> Recognising | Enrolling | None:
        """Return the next piece of work, if any is worth a turn."""
        for session in self._turns:
            if brought := self._brought.get(session):
                job = brought.popleft()
                self._serve(session)
                return Enrolling(
                    session=session, name=job.name, most=job.most, pcm=job.pcm
                )
            for number, segment in self._open[session].items():
                if segment.ended or segment.pending >= STEP:
                    return self._hand_out(session, number, segment)
                break  # the next segment waits for this one
        return None

    def drop(self, session: str, segment: int) -> None:
        """Hear no more of a segment."""
        self._open.get(session, {}).pop(segment, None)

    def cancel(self, session: str) -> bool:
        """Forget a session; return whether the engine may hold its voices."""
        if self._open.pop(session, None) is not None:
            self._turns.remove(session)
        self._brought.pop(session, None)
        held = session in self._known
        self._known.discard(session)
        return held

    def backlog(self, session: str) -> int:
        """Return how many samples of a session were not handed out."""
        segments = self._open.get(session, {}).values()
        return sum(segment.pending for segment in segments)

    def _hand_out(self, session: str, number: int, segment: _Segment) -> Recognising:
        pcm = bytes(segment.pcm[: SLICE * SAMPLE_BYTES])
        del segment.pcm[: len(pcm)]
        is_last = segment.ended and not segment.pcm
        if is_last:
            del self._open[session][number]
        self._serve(session)
        return Recognising(
            session=session,
            segment=number,
            most=segment.most,
            pcm=pcm,
            is_last=is_last,
        )

    def _begin(self, session: str) -> None:
        if session not in self._open:
            self._open[session] = {}
            self._turns.append(session)

    def _serve(self, session: str) -> None:
        """Note that a session has its turn, and that the engine holds its voices."""
        self._turns.remove(session)
        self._turns.append(session)
        self._known.add(session)
