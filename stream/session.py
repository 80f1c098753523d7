"""One conversation: audio goes in, jobs and events come out.

Sans-I/O: no socket, no clock, no thread, no engine, and no wire protocol.  After
each call, drain `events()` (for the client) and `jobs()` (for the engine).

    start ─▶ push, flush … ─▶ end ─▶ (finals) ─▶ Ended
                 │             │
                 └── fail ─────┴──▶ Error

`accepted` is how far the audio of the client has arrived, in its own samples;
`settled` is how far it is done with: no speech before it is without its final.
A conversation that continues one of another process begins at that one's `settled`.
"""

from collections.abc import Callable
from dataclasses import replace

from engine.api import EngineInfo, UtteranceOptions
from engine.errors import EngineError
from stream.answers import PendingSegment
from stream.audio import SAMPLE_RATE, Frame, PcmFormat, PcmReader
from stream.errors import (
    LimitError,
    ProtocolError,
    StreamError,
    UnsupportedRequestError,
)
from stream.events import (
    PROTOCOL_VERSION,
    Ended,
    Error,
    Progress,
    ServerEvent,
    SpeechEnded,
    SpeechStarted,
    Start,
    Started,
)
from stream.jobs import (
    Finished,
    HearAudio,
    Heard,
    Job,
    MakeFinal,
    OpenUtterance,
    Result,
    TryFinal,
)
from stream.segmenter import (
    SegmentAudio,
    SegmentEnded,
    Segmenter,
    SegmenterConfig,
    SegmentEvent,
    SegmentPaused,
    SegmentStarted,
)
from stream.vad import VoiceDetector

Check = Callable[[UtteranceOptions], None]
"""Raises `UnsupportedError` if the engine does not serve the options."""


class Session:
    """What was said and what was answered, from `start` to `Ended` or `Error`."""

    def __init__(
        self,
        name: str,
        request: Start,
        *,
        info: EngineInfo,
        check: Check,
        detector: VoiceDetector,
        segmenter: SegmenterConfig,
        max_s: float,
    ) -> None:
        """Begin a conversation.

        Args:
            name: What a client resumes it by.
            request: What the client wants.  If it resumes, this conversation begins
                where the client says that the other one was settled.
            info: What the engine can do.
            check: Refuses options that the engine does not serve.
            detector: Tells voiced frames from others; not shared.
            segmenter: Where segments begin and end.
            max_s: The longest stream, in seconds of audio.

        Raises:
            AudioFormatError: If the declared format is not one we know.
            ProtocolError: If a field of the request is out of range.
            UnsupportedRequestError: If the version, a task or the language is not
                served.
        """
        if request.version != PROTOCOL_VERSION:
            raise UnsupportedRequestError(
                f"version is {request.version}; this server speaks {PROTOCOL_VERSION}"
            )
        _check_ranges(request)
        self._options = UtteranceOptions(
            tasks=request.tasks, language=request.language, words=request.words
        )
        try:
            check(self._options)
        except EngineError as exc:
            raise UnsupportedRequestError(str(exc)) from exc
        pcm_format = PcmFormat(
            rate=request.rate, encoding=request.encoding, channels=request.channels
        )
        resume = request.resume
        self._first = resume.settled if resume else 0
        self._offset = self._first * SAMPLE_RATE // request.rate
        self._settled = self._reported = self._first
        self._reader = PcmReader(pcm_format)
        self.name, self.request = name, request
        self._info, self._detector = info, detector
        self._segmenter, self._max_s = Segmenter(segmenter), max_s
        self._segments_before = resume.segment if resume else 0
        self.seq = resume.seq if resume else 0
        self._pending: dict[int, PendingSegment] = {}
        self._events: list[ServerEvent] = []
        self._jobs: list[Job] = []
        self._ending = self._flushed = False
        self._last_word: StreamError | None = None
        self.is_over = False

    @property
    def accepted(self) -> int:
        """Samples of the client that have arrived, counted from its start."""
        return self._first + self._reader.received

    @property
    def settled(self) -> int:
        """The sample of the client before which everything is done with."""
        return self._settled

    def started(self, *, seq: int, resumed: bool) -> Started:
        """Return the greeting of a connection that has seen the events up to `seq`."""
        return Started(
            seq=seq,
            version=PROTOCOL_VERSION,
            session=self.name,
            model=self._info.model,
            tasks=self._options.tasks,
            resumed=resumed,
            accepted=self.accepted,
            settled=self.settled,
        )

    def push(self, data: bytes) -> None:
        """Hear a message of audio; the one that passes the longest stream is the last.

        Raises:
            AudioFormatError: If it is not whole samples of the declared format.
            ProtocolError: If the client has said that no more follows.
        """
        if self._last_word:
            return  # not accepted: the client was told why, or will be after the finals
        if self._ending:
            raise ProtocolError("audio after end")
        self._hear(self._reader.push(data))
        if self._reader.received > self._max_s * self.request.rate:
            self.end(LimitError(f"a session of more than {self._max_s:g} s of audio"))
            return
        self._settle()
        if self.accepted - self._reported >= self.request.rate:
            self._reported = self.accepted
            self._say(Progress(seq=0, accepted=self.accepted, settled=self.settled))

    def flush(self) -> None:
        """End the current segment now."""
        if not self._ending:
            self._follow(self._segmenter.flush())
            self._settle()

    def end(self, because: StreamError | None = None) -> None:
        """Hear no more; once all finals are out, say `Ended`, or why it was ended."""
        if self._ending:
            return
        self._ending, self._last_word = True, because
        self._hear(self._reader.flush())
        self._follow(self._segmenter.flush())
        self._flushed = True
        self._settle()

    def fail(self, error: StreamError) -> None:
        """End at once with an error; what the engine still answers is not told."""
        if not self.is_over:
            self.is_over, self._last_word = True, error
            self._say(Error(seq=0, code=error.code, message=str(error)))

    def deliver(self, result: Result) -> None:
        """Take what the engine answered about a segment."""
        segment = self._pending.get(result.segment)
        if segment is None or self.is_over:
            return
        if isinstance(result, Heard):
            for partial in segment.partials(result):
                self._say(partial)
            return
        segment.outcome = result
        if isinstance(result, Finished):
            self._remember_language(result)
        self._settle()

    def _remember_language(self, finished: Finished) -> None:
        """Let the next segments begin with the language of one that had words."""
        for hypothesis in finished.hypotheses:
            if hypothesis.text:
                self._options = replace(
                    self._options, likely_language=hypothesis.language
                )

    def events(self) -> list[ServerEvent]:
        """Return what the client is to be told, and forget it."""
        events, self._events = self._events, []
        return events

    def jobs(self) -> list[Job]:
        """Return what the engine is to do, and forget it."""
        jobs, self._jobs = self._jobs, []
        return jobs

    def _hear(self, frames: list[Frame]) -> None:
        for frame in frames:
            voiced = self._detector.is_voiced(frame)
            self._follow(self._segmenter.push(frame, voiced=voiced))

    def _follow(self, events: list[SegmentEvent]) -> None:
        """Turn what the segmenter found into events and jobs."""
        for event in events:
            number = self._segments_before + event.segment
            match event:
                case SegmentStarted(start=start):
                    segment = PendingSegment(number, self._offset + start)
                    self._pending[number] = segment
                    self._say(SpeechStarted(seq=0, segment=number, start=segment.start))
                    self._jobs.append(
                        OpenUtterance(number, self._options, self.request.partials)
                    )
                case SegmentAudio(frame=frame):
                    self._ask(number, HearAudio(number, frame.pcm))
                case SegmentPaused():
                    self._ask(number, TryFinal(number))
                case SegmentEnded(end=end):
                    self._pending[number].end = self._offset + end
                    self._say(
                        SpeechEnded(seq=0, segment=number, end=self._offset + end)
                    )
                    self._ask(number, MakeFinal(number))

    def _ask(self, number: int, job: Job) -> None:
        """Ask the engine, unless it has failed on this segment."""
        if self._pending[number].outcome is None:
            self._jobs.append(job)

    def _settle(self) -> None:
        """Tell the finals that are next in order; move `settled` behind them."""
        while self._pending:
            segment = next(iter(self._pending.values()))
            if not segment.is_answered:
                break
            del self._pending[segment.number]
            before = self._settled
            self._move()
            for event in segment.finals(
                self._options.tasks, before=before, after=self._settled
            ):
                self._say(event)
        self._move()
        if self._flushed and not self._pending and not self.is_over:
            if self._last_word:
                self.fail(self._last_word)
                return
            self.is_over = True
            self._say(Ended(seq=0, accepted=self.accepted, settled=self.settled))

    def _move(self) -> None:
        """Bring `settled` up to date; it never goes back."""
        if self._pending:
            position = next(iter(self._pending.values())).start
        elif self._flushed:
            self._settled = self.accepted
            return
        else:
            position = self._offset + self._segmenter.settled_until
        settled = position * self.request.rate // SAMPLE_RATE
        self._settled = max(self._settled, min(settled, self.accepted))

    def _say(self, event: ServerEvent) -> None:
        self.seq += 1
        self._events.append(replace(event, seq=self.seq))


def _check_ranges(request: Start) -> None:
    """Refuse what no server could serve.

    Raises:
        ProtocolError: If a field is out of range.
    """
    if not request.tasks or len(set(request.tasks)) != len(request.tasks):
        raise ProtocolError("start: tasks must name at least one, and none twice")
    if resume := request.resume:
        for name in ("seq", "settled", "segment"):
            if not 0 <= getattr(resume, name) < 2**53:  # exact in any JSON reader
                raise ProtocolError(
                    f"start: resume.{name} is {getattr(resume, name)}; "
                    "it must be 0 to 2**53"
                )
