"""The segments of a session whose finals have not all been told, in their order.

    segmenter ──▶ follow ──▶ speech_started, speech_ended, jobs for the engine
    engine ─────▶ deliver ─▶ partials          session ─▶ tell ─▶ finals

No I/O and no audio of its own.  Those that another process had begun are begun again
here; what was stable of them there stays.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final as Constant

from engine.api import Hypothesis, Mode
from stream.answers import PendingSegment
from stream.asker import Asker
from stream.events import Error, Final, SpeechEnded, SpeechStarted
from stream.jobs import (
    Failed,
    Finished,
    HearAudio,
    Heard,
    Job,
    MakeFinal,
    OpenUtterance,
    SegmentJob,
    TryFinal,
)
from stream.saved import SessionState, StableText
from stream.segmenter import (
    SegmentAudio,
    SegmentEnded,
    SegmentEvent,
    SegmentPaused,
    SegmentStarted,
)
from stream.speakers import SpeakerTeller
from stream.wishes import Wishes

NEAR: Constant = 3_200
"""Samples; 0.2 s.  Heard again from a pause on, a segment begins where it began, but
for some frames that the voice detector judges otherwise without what was before."""


class PendingSegments:
    """Segments by number, from their start to their last final."""

    def __init__(
        self,
        wishes: Wishes,
        *,
        asker: Asker,
        teller: SpeakerTeller,
        offset: int,
        complete: int,
        state: SessionState | None,
        say: Callable[..., None],
        want: Callable[[Job], None],
    ) -> None:
        """Begin without segments.

        Args:
            wishes: What is asked of each segment.
            asker: Told what begins, ends and fails.
            teller: Likewise.
            offset: Position in the stream of the first frame's first sample.
            complete: The last segment of which all was told before.
            state: Where another process was, if one had begun the session.
            say: Takes events, for the client.
            want: Takes a job, for the engine.
        """
        self._wishes, self._options = wishes, wishes.options
        self._asker, self._teller = asker, teller
        self._offset, self._complete = offset, complete
        self._say, self._want = say, want
        self._open: dict[int, PendingSegment] = {}
        self._last = complete
        """The last one that has begun."""
        self._before: list[StableText] = []
        if state is not None:
            self._before = list(state.stable)
            self._options = replace(self._options, likely_language=state.language)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def start(self) -> int | None:
        """Where the first of them began; None if there is none."""
        return next(iter(self._open.values())).start if self._open else None

    @property
    def complete(self) -> int:
        """The last segment of which, as of all before it, all is told."""
        return next(iter(self._open)) - 1 if self._open else self._last

    @property
    def language(self) -> str | None:
        """The language that was heard last, as far as that is known."""
        return self._options.likely_language

    def follow(self, events: list[SegmentEvent]) -> None:
        """Turn what the segmenter found into events and jobs."""
        for event in events:
            number = self._complete + event.segment
            match event:
                case SegmentStarted(start=start):
                    self._begin(number, self._offset + start)
                case SegmentAudio(frame=frame):
                    self._want_of(number, HearAudio(number, frame.pcm))
                case SegmentPaused():
                    self._want_of(number, TryFinal(number))
                case SegmentEnded(end=end):
                    segment = self._open[number]
                    segment.end = end = self._offset + end
                    self._say(SpeechEnded(seq=0, segment=number, end=end))
                    self._want_of(number, MakeFinal(number))
                    self._asker.end_segment(segment)

    def deliver(self, result: Heard | Finished | Failed) -> None:
        """Take what the engine answered about a segment."""
        segment = self._open.get(result.segment)
        if isinstance(result, Failed):
            if segment:
                segment.outcome = result
            self._asker.fail_segment(result)
            self._say(*self._teller.fail(result))
        elif segment and isinstance(result, Heard):
            self._say(*segment.partials(result))
        elif segment and isinstance(result, Finished):
            segment.outcome = result
            self._remember_language(result)
            self._asker.finish(segment, result)

    def tell(self) -> Iterator[tuple[list[Final | Error], bool]]:
        """Yield what can be told now of each segment, and whether that was all of it.

        One of which all is told is no more among them.
        """
        blocked: set[str] = set()
        for segment in list(self._open.values()):
            told = segment.tell(blocked)
            blocked.update(segment.untold)
            if segment.is_told:
                del self._open[segment.number]
            yield told, segment.is_told

    def stable(self) -> tuple[StableText, ...]:
        """Return what is told for good of segments whose finals are not."""
        shown = [
            StableText(
                segment=segment.number,
                start=segment.start,
                task=task,
                text=text,
                language=segment.heard_language,
            )
            for segment in self._open.values()
            for task, text in segment.stable.items()
            if task in self._options.tasks
        ]
        newer = {(one.segment, one.task) for one in shown}
        older = [
            one
            for one in self._before
            if (one.segment, one.task) not in newer
            and (one.segment in self._open or one.segment > self._last)
        ]
        return (*older, *shown)

    def _begin(self, number: int, start: int) -> None:
        wishes = self._wishes
        segment = PendingSegment(number, start, untold=list(wishes.tasks))
        self._open[number], self._last = segment, number
        self._asker.begin_segment(segment)
        self._say(SpeechStarted(seq=0, segment=number, start=start))
        if wishes.speakers:
            self._teller.begin(number, start)
        self._want(
            OpenUtterance(
                number,
                replace(
                    self._options,
                    questions=self._asker.expects(start),
                    told=self._told_before(number, start),
                ),
                wishes.hears_partials,
                wishes.keep,
                wishes.speakers,
            )
        )

    def _told_before(self, number: int, start: int) -> tuple[Hypothesis, ...]:
        """Return what was told for good of a segment by the process that began it.

        It is not that segment if it begins elsewhere; then nothing holds of it.
        """
        self._before = [
            one
            for one in self._before
            if one.segment > number
            or (one.segment == number and abs(one.start - start) <= NEAR)
        ]
        return tuple(
            Hypothesis(
                task=one.task,
                text=one.text,
                stable=len(one.text),
                is_final=False,
                language=one.language,
                mode=Mode.STREAMING,
            )
            for one in self._before
            if one.segment == number
        )

    def _want_of(self, number: int, job: SegmentJob) -> None:
        """Want something of the engine, unless it has failed on this segment."""
        if self._open[number].outcome is None:
            self._want(job)

    def _remember_language(self, finished: Finished) -> None:
        """Let the next segments begin with the language of one that had words."""
        for hypothesis in finished.hypotheses:
            if hypothesis.text:
                self._options = replace(
                    self._options, likely_language=hypothesis.language
                )
