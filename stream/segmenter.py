"""Turn voiced and unvoiced frames into segments of speech.

Pure state machine: no clock, no I/O, no voice detector.  Time is counted in frames.

    SILENCE --min_speech voiced within start_window--> SPEECH   with its pre-roll
    SPEECH ---tail unvoiced--------------------------> PAUSE    told; holds back
      PAUSE --voiced---------------------------------> SPEECH   gives the held out
      PAUSE --hangover unvoiced----------------------> SILENCE  the held: pre-roll
    SPEECH ---max_segment less search----------------> SEARCH   holds back
      SEARCH -voiced after search_pause unvoiced-----> SPEECH   cut in the pause
      SEARCH -max_segment----------------------------> SPEECH   cut where quietest

From soft_limit on, soft_hangover stands for the hangover, in every state.  A segment
is its pre-roll, all frames to its last voiced one, and the tail.  Nothing is given
out twice.  A cut loses nothing: the next segment starts where this one ends.  Where
a segment ends before the hangover is over, one voiced frame starts the next: what
would have belonged to the first is not lost, however short.
"""

from collections import deque
from dataclasses import dataclass, fields
from typing import Final

from stream.audio import FRAME_MS, FRAME_SAMPLES, Frame, power

CUT_FRAMES: Final = 4
"""Frames around a cut whose power says how quiet it is there: 80 ms.

One frame alone may lie between two pulses of a voice.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterConfig:
    """Where segments begin and end (docs/adr/0008).

    Raises:
        ValueError: If a duration is not whole frames of 20 ms, or two of them
            contradict each other.
    """

    pre_roll_ms: int = 300
    """Audio kept from before the first voiced frame."""
    min_speech_ms: int = 120
    """Voiced audio that starts a segment; a click or the onset of a noise is less."""
    start_window_ms: int = 200
    """Within which it must be heard."""
    tail_ms: int = 200
    """Audio kept from after the last voiced frame."""
    hangover_ms: int = 500
    """The pause that ends a segment."""
    soft_limit_ms: int = 20_000
    """Length from which a shorter pause ends a segment."""
    soft_hangover_ms: int = 200
    """That shorter pause."""
    max_segment_ms: int = 28_000
    """The longest segment; the model's positions end at 30 s."""
    search_ms: int = 3_000
    """Before the longest is reached: time to search a place to cut."""
    search_pause_ms: int = 60
    """A pause in which it is cut at once."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0 if field.name == "pre_roll_ms" else FRAME_MS
            if value < least or value % FRAME_MS:
                raise ValueError(
                    f"segmenter.{field.name} is {value}; "
                    f"it must be a multiple of {FRAME_MS}, at least {least}"
                )
        for smaller, larger, margin_ms in (
            ("min_speech_ms", "start_window_ms", 0),
            ("search_pause_ms", "tail_ms", 0),
            ("tail_ms", "soft_hangover_ms", 0),
            ("soft_hangover_ms", "hangover_ms", 0),
            ("search_pause_ms", "search_ms", CUT_FRAMES * FRAME_MS),
            ("search_ms", "soft_limit_ms", 0),
            ("pre_roll_ms", "soft_limit_ms", self.start_window_ms),
            ("soft_limit_ms", "max_segment_ms", self.search_ms),
        ):
            least = getattr(self, smaller) + margin_ms
            if getattr(self, larger) < least:
                reason = f"{smaller} + {margin_ms}" if margin_ms else smaller
                raise ValueError(
                    f"segmenter.{larger} is {getattr(self, larger)}; "
                    f"it must be at least {least} ({reason})"
                )


@dataclass(frozen=True, slots=True)
class SegmentStarted:
    """A segment has begun; `start` is the first sample of its pre-roll."""

    segment: int
    """Counted from 1."""
    start: int


@dataclass(frozen=True, slots=True)
class SegmentAudio:
    """The next frame of a segment.  After `SegmentPaused`: speech has resumed."""

    segment: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class SegmentPaused:
    """A segment is complete, unless speech resumes before the hangover is over."""

    segment: int


@dataclass(frozen=True, slots=True)
class SegmentEnded:
    """A segment is complete; `end` is the sample after its last."""

    segment: int
    end: int


SegmentEvent = SegmentStarted | SegmentAudio | SegmentPaused | SegmentEnded


class Segmenter:
    """Segments of one stream, in order, apart from each other.

    It holds at most `search_ms + hangover_ms` of audio, or the pre-roll and
    `start_window_ms`.
    """

    def __init__(self, config: SegmenterConfig) -> None:
        self._pre_roll = config.pre_roll_ms // FRAME_MS
        self._min_speech = config.min_speech_ms // FRAME_MS
        self._start_window = config.start_window_ms // FRAME_MS
        self._tail = config.tail_ms // FRAME_MS
        self._hangover = config.hangover_ms // FRAME_MS
        self._soft_limit = config.soft_limit_ms // FRAME_MS
        self._soft_hangover = config.soft_hangover_ms // FRAME_MS
        self._max = config.max_segment_ms // FRAME_MS
        self._search = config.search_ms // FRAME_MS
        self._search_pause = config.search_pause_ms // FRAME_MS

        self._recent: deque[tuple[Frame, bool]] = deque(
            maxlen=self._pre_roll + self._start_window
        )
        """In silence: the last frames, and whether each was voiced."""
        self._held: list[Frame] = []
        """In a segment: frames not given out yet."""
        self._segment = 0
        self._in_segment = False
        self._start = 0
        self._given = 0
        """Frames of the segment that were given out."""
        self._since_voiced = self._hangover
        """Frames since the last voiced one of a segment."""
        self._position: int | None = None

    @property
    def settled_until(self) -> int:
        """The sample before which no segment will start, and none goes on."""
        if self._in_segment:
            return self._start
        return self._recent[0][0].start if self._recent else self._position or 0

    def push(self, frame: Frame, *, voiced: bool) -> list[SegmentEvent]:
        """Add one frame; return what it started, continued or ended."""
        assert self._position in (None, frame.start), "frames are not contiguous"
        self._position = frame.end
        self._since_voiced += 1
        if not self._in_segment:
            return self._in_silence(frame, voiced)
        self._held.append(frame)
        if voiced:
            pause, self._since_voiced = self._since_voiced - 1, 0
            return self._on_voiced(pause)
        return self._on_unvoiced()

    def flush(self) -> list[SegmentEvent]:
        """End the current segment now, as its hangover would; more may follow."""
        return self._end() if self._in_segment else []

    def _in_silence(self, frame: Frame, voiced: bool) -> list[SegmentEvent]:
        self._recent.append((frame, voiced))
        recent = list(self._recent)
        window = range(max(0, len(recent) - self._start_window), len(recent))
        heard = [index for index in window if recent[index][1]]
        resumes = self._since_voiced <= self._hangover
        if len(heard) < (1 if resumes else self._min_speech):
            return []
        first = max(0, heard[0] - self._pre_roll)
        self._recent.clear()
        self._since_voiced = 0
        return self._begin([frame for frame, _ in recent[first:]])

    def _on_voiced(self, pause: int) -> list[SegmentEvent]:
        if self._searching:
            if pause >= self._search_pause:
                within = min(pause, len(self._held) - 1)  # the rest was given out
                return self._cut(len(self._held) - 1 - within // 2)
            return self._cut(self._quietest()) if self._full else []
        return self._give(len(self._held))

    def _on_unvoiced(self) -> list[SegmentEvent]:
        pause, length = self._since_voiced, self._length
        is_long = length >= self._soft_limit
        if pause >= (self._soft_hangover if is_long else self._hangover):
            return self._end()
        if self._full:
            in_pause = pause >= self._search_pause
            return self._end() if in_pause else self._cut(self._quietest())
        if self._searching or pause > self._tail:
            return []
        events = self._give(len(self._held))
        if pause == self._tail:
            events.append(SegmentPaused(self._segment))
        return events

    @property
    def _length(self) -> int:
        """Frames of the segment, with those held back."""
        return self._given + len(self._held)

    @property
    def _searching(self) -> bool:
        return self._length > self._max - self._search

    @property
    def _full(self) -> bool:
        return self._length >= self._max

    def _begin(self, frames: list[Frame]) -> list[SegmentEvent]:
        self._in_segment = True
        self._segment += 1
        self._start, self._given, self._held = frames[0].start, 0, frames
        started = SegmentStarted(self._segment, self._start)
        return [started, *self._give(len(frames))]

    def _give(self, count: int) -> list[SegmentEvent]:
        """Give out the first of the held frames."""
        given, self._held = self._held[:count], self._held[count:]
        self._given += count
        return [SegmentAudio(self._segment, frame) for frame in given]

    def _end(self) -> list[SegmentEvent]:
        """End the segment after its tail; what was held beyond becomes pre-roll."""
        spare = max(0, self._since_voiced - self._tail)
        events = self._give(len(self._held) - spare)
        self._recent.extend((frame, False) for frame in self._held)
        self._held = []
        self._in_segment = False
        return [*events, self._ended()]

    def _cut(self, index: int) -> list[SegmentEvent]:
        """End the segment before a held frame, which begins the next."""
        events = [*self._give(index), self._ended()]
        return events + self._begin(self._held)

    def _ended(self) -> SegmentEnded:
        return SegmentEnded(self._segment, self._start + self._given * FRAME_SAMPLES)

    def _quietest(self) -> int:
        """Return the index of the held frame before which a cut harms least.

        It leaves a voiced frame for the next segment.  The later of two equal ones
        is taken: a longer past helps the model more than a longer future.
        """
        powers = [power(frame.pcm) for frame in self._held[-self._search :]]
        half = CUT_FRAMES // 2
        last = len(powers) - max(half, self._since_voiced + 1)
        index = min(
            range(half, last + 1),
            key=lambda index: (sum(powers[index - half : index + half]), -index),
        )
        return len(self._held) - len(powers) + index
