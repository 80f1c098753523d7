"""What was heard, and when: the memory behind the tools.

Pure: events and times in, segments out.  No socket, no clock, no device.

A *stretch* is what one call of `listen` heard.  Events count samples of the stream,
in which one stretch follows the other after a pause that nobody spoke; what is shown
counts seconds on the clock since the first of them began, the time between them
included.  A stretch ties the two together.
"""

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from clients.speakers import Names, spoken
from stream.audio import SAMPLE_RATE
from stream.events import (
    Error,
    Final,
    Partial,
    Progress,
    ServerEvent,
    SpeakerNamed,
    Speakers,
    SpeechStarted,
    Started,
)

MAX_SEGMENTS = 2_000
"""The oldest is forgotten: some hours of talk, 1 MB."""
MAX_STRETCHES = 1_000
"""Of one stream.  Events are about the last ones only: a stretch is settled before the
next begins, and who spoke in it is corrected for some minutes."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, on both clocks."""

    start_s: float
    """Seconds since listening first began."""
    end_s: float
    start_at: str
    """The same by the clock on the wall, ISO 8601 with its offset."""
    end_at: str


@dataclass(frozen=True, slots=True)
class Segment:
    """Speech without a pause, or one speaker's part of it, and its text."""

    start_s: float
    """Seconds since listening first began."""
    end_s: float
    start_at: str
    """The same by the clock on the wall, ISO 8601 with its offset."""
    end_at: str
    text: str
    language: str | None
    """Code of what is spoken; None while it is not known."""
    is_final: bool
    """Whether the text will not change."""
    speaker: str | None = None
    """Who says it; None if that is not known."""
    problem: str | None = None
    """Why there is no text; None if nothing went wrong."""


@dataclass(slots=True)
class _Settled:
    """A segment with its final, perhaps in parts of several speakers."""

    number: int | None
    """The server's; None if it is of another stream."""
    parts: list[Segment]


@dataclass(slots=True)
class _Stretch:
    first: int
    """Its first sample in the stream."""
    end: int
    start_s: float


@dataclass(slots=True)
class _Open:
    """A segment without its final."""

    start: int
    end: int
    text: str = ""


class Heard:
    """All that was heard since listening first began.

    One stream of the server's after the other: `begin_stream` where the next begins.

    Args:
        tells_speakers: Whether the server was asked who speaks.
        max_segments: How many are remembered.
    """

    def __init__(
        self, *, tells_speakers: bool = False, max_segments: int = MAX_SEGMENTS
    ) -> None:
        self._tells_speakers = tells_speakers
        self._began: tuple[float, datetime] | None = None
        self._settled: deque[_Settled] = deque(maxlen=max_segments)
        self._untold: set[int] = set()
        """Segments whose speakers are not told yet."""
        self._names = Names()
        self._stretches: deque[_Stretch] = deque(maxlen=MAX_STRETCHES)
        self._open: dict[int, _Open] = {}
        self._sent = 0
        """Samples of this stream, pauses included."""
        self._accepted = 0
        """How many of them the server says that it has."""

    @property
    def began_at(self) -> str | None:
        """When listening first began, by the clock on the wall; None if never."""
        return None if self._began is None else _iso(self._began[1])

    @property
    def is_empty(self) -> bool:
        """Whether this stream has no audio yet."""
        return not self._stretches

    def begin_stream(self) -> None:
        """Note that a new stream begins; what was open in the old one stays so."""
        for settled in self._settled:
            settled.number = None
        for segment in self._unfinished():
            segment = replace(segment, is_final=True, problem="its end was not heard")
            self._settled.append(_Settled(None, [segment]))
        self._open.clear()
        self._untold.clear()
        self._names = Names()
        self._stretches.clear()
        self._sent = self._accepted = 0

    def begin(self, now_s: float, now: datetime) -> None:
        """Note that a stretch begins: on a clock that never jumps, and on the wall."""
        if self._began is None:
            self._began = now_s, now
        self._stretches.append(_Stretch(self._sent, self._sent, self.since_s(now_s)))

    def hear(self, num_samples: int) -> None:
        """Note that so many samples of the stretch were sent."""
        self._sent += num_samples
        self._stretches[-1].end = self._sent

    def pause(self, num_samples: int) -> None:
        """Note that so many samples were sent that nobody spoke."""
        self._sent += num_samples

    @property
    def is_settled(self) -> bool:
        """Whether all stretches are over and all that was said in them has its text.

        The server answers in order: what it says of audio behind a stretch comes
        after the start of the last segment in it.
        """
        if not self._stretches:
            return True
        is_heard = self._accepted > self._stretches[-1].end
        return is_heard and not self._open and not self._untold

    def follow(self, event: ServerEvent) -> bool:
        """Take an event; return whether the transcript has other segments now."""
        match event:
            case Started(resumed=False):  # another server hears the rest again
                self._open.clear()
                self._untold.clear()
                self._accepted = event.accepted
            case Progress(accepted=accepted):
                self._accepted = max(self._accepted, accepted)
            case SpeechStarted(segment=number, start=start):
                self._open[number] = _Open(start, start)
            case Partial(segment=number) if number in self._open:
                segment = self._open[number]
                segment.text, segment.end = event.text, event.end
            case Final():
                return self._finish(event)
            case Error(segment=int(number), task=None | "transcribe"):
                return self._fail(number, event.message)
            case Error(segment=int(number), task="speakers"):
                self._untold.discard(number)
            case Speakers() | SpeakerNamed():
                self._names.follow(event)
                if isinstance(event, Speakers) and event.complete:
                    return self._tell_apart(event)
        return False

    def _finish(self, final: Final) -> bool:
        self._open.pop(final.segment, None)
        if not final.text.strip():
            return False
        span = self.span(final.start, final.end)
        segment = _segment(span, final.text, final.language, is_final=True)
        self._settled.append(_Settled(final.segment, [segment]))
        if self._tells_speakers:
            self._untold.add(final.segment)
        return True

    def _fail(self, number: int, message: str) -> bool:
        failed = self._open.pop(number, None)
        if failed is None:
            return False
        span = self.span(failed.start, max(failed.start + 1, failed.end))
        segment = replace(_segment(span, "", None, is_final=True), problem=message)
        self._settled.append(_Settled(number, [segment]))
        return True

    def _tell_apart(self, event: Speakers) -> bool:
        """Divide a segment among its speakers, for the first time or anew."""
        self._untold.discard(event.segment)
        turns = spoken(event)
        for settled in reversed(self._settled):
            if settled.number == event.segment and turns:
                language = settled.parts[0].language
                settled.parts = [
                    replace(
                        _segment(
                            self.span(turn.start, turn.end),
                            turn.text,
                            language,
                            is_final=True,
                        ),
                        speaker=self._names.label(turn.speaker) or None,
                    )
                    for turn in turns
                ]
                return True
        return False

    def since_s(self, now_s: float) -> float:
        """Return the seconds since listening first began; 0 before that."""
        return 0.0 if self._began is None else max(0.0, now_s - self._began[0])

    def stretch(self) -> Span:
        """Return when the last stretch began, and when it ended, or how far it is."""
        last = self._stretches[-1]
        return self._on_clocks(
            last.start_s, last.start_s + (last.end - last.first) / SAMPLE_RATE
        )

    def reach_s(self, last_s: float) -> float:
        """Return how much of the stream holds the last seconds that were heard.

        That is more than these: the pauses behind and between the stretches count.
        """
        left = round(last_s * SAMPLE_RATE)
        for stretch in reversed(self._stretches):
            length = stretch.end - stretch.first
            if length >= left or stretch is self._stretches[0]:
                start = max(stretch.first, stretch.end - left)
                return (self._sent - start) / SAMPLE_RATE
            left -= length
        return 0.0

    def span(self, start: int, end: int) -> Span:
        """Return when samples of one segment were heard.

        It begins some time before its first sound; where that lies in the pause before
        its stretch, it is as if it began with it.
        """
        stretch = self._stretch_at(end - 1)
        return self._on_clocks(_seconds(start, stretch), _seconds(end, stretch))

    def between(self, start: int, end: int) -> Span:
        """Return when samples were heard that may be of several stretches."""
        first, last = self._stretch_at(start), self._stretch_at(end - 1)
        return self._on_clocks(_seconds(start, first), _seconds(end, last))

    def transcript(
        self, since_s: float = 0.0, until_s: float | None = None
    ) -> list[Segment]:
        """Return what was said in a part of the time; the last may be unfinished."""
        return [
            segment
            for segment in [*self._finished(), *self._unfinished()]
            if (segment.end_s > since_s or segment.start_s >= since_s)
            and (until_s is None or segment.start_s < until_s)
        ]

    def _stretch_at(self, sample: int) -> _Stretch:
        """Return the stretch with a sample, or in whose pause it is."""
        before = [s for s in self._stretches if s.first <= sample]
        return before[-1] if before else self._stretches[0]

    def _finished(self) -> list[Segment]:
        return [segment for settled in self._settled for segment in settled.parts]

    def _unfinished(self) -> list[Segment]:
        return [
            _segment(self.span(s.start, s.end), s.text, None, is_final=False)
            for s in self._open.values()
            if s.text.strip()
        ]

    def _on_clocks(self, start_s: float, end_s: float) -> Span:
        assert self._began is not None, "a time before the beginning"
        first = self._began[1]
        start_s, end_s = round(start_s, 2), round(end_s, 2)
        return Span(
            start_s,
            end_s,
            _iso(first + timedelta(seconds=start_s)),
            _iso(first + timedelta(seconds=end_s)),
        )


def _seconds(position: int, stretch: _Stretch) -> float:
    inner = min(max(position, stretch.first), stretch.end)
    return stretch.start_s + (inner - stretch.first) / SAMPLE_RATE


def _segment(span: Span, text: str, language: str | None, *, is_final: bool) -> Segment:
    return Segment(
        start_s=span.start_s,
        end_s=span.end_s,
        start_at=span.start_at,
        end_at=span.end_at,
        text=text.strip(),
        language=language,
        is_final=is_final,
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
