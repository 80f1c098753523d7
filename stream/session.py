"""One conversation: audio and questions go in, jobs and events come out.

Sans-I/O: no socket, no clock, no thread, no engine, and no wire protocol.  After
each call, drain `events()` (for the client) and `jobs()` (for the engine).

    start ─▶ push, flush, ask, cancel … ─▶ end ─▶ (finals, answers) ─▶ Ended
                 │                          │
                 └── fail ──────────────────┴──▶ Error

What a segment is asked by itself is told as its finals; a question of the client, or
one that is spoken, has an answer (stream/questions.py).

`accepted` is how far the audio of the client has arrived, in its own samples;
`settled` is how far it is done with: no speech before it is without its final.
A conversation that continues one of another process begins at that one's `settled`.
"""

from dataclasses import replace

from engine.api import EngineInfo
from stream.answers import PendingSegment
from stream.asker import Asker
from stream.audio import SAMPLE_RATE, Frame, PcmFormat, PcmReader
from stream.config import WatchesConfig
from stream.errors import LimitError, ProtocolError, StreamError
from stream.events import (
    PROTOCOL_VERSION,
    Ask,
    Cancel,
    Ended,
    Error,
    Final,
    NameSpeaker,
    Progress,
    ServerEvent,
    SpeechEnded,
    SpeechStarted,
    Start,
    Started,
)
from stream.jobs import (
    Failed,
    Finished,
    HearAudio,
    Heard,
    Job,
    MakeFinal,
    OpenUtterance,
    ReleaseKept,
    Result,
    SegmentJob,
    SpeakerResult,
    TryFinal,
    Weighed,
    WeighingFailed,
)
from stream.questions import CheckPrompt
from stream.segmenter import (
    SegmentAudio,
    SegmentEnded,
    Segmenter,
    SegmenterConfig,
    SegmentEvent,
    SegmentPaused,
    SegmentStarted,
)
from stream.speakers import SpeakerTeller
from stream.vad import VoiceDetector
from stream.watches import Watches
from stream.wishes import TRANSCRIBE, Check, read_wishes


class Session:
    """What was said and what was answered, from `start` to `Ended` or `Error`."""

    def __init__(
        self,
        name: str,
        request: Start,
        *,
        info: EngineInfo,
        check: Check,
        check_prompt: CheckPrompt,
        detector: VoiceDetector,
        segmenter: SegmenterConfig,
        max_s: float,
        max_questions: int,
        watches: WatchesConfig,
    ) -> None:
        """Begin a conversation.

        Args:
            name: What a client resumes it by.
            request: What the client wants.  If it resumes, this conversation begins
                where the client says that the other one was settled.
            info: What the engine can do.
            check: Refuses options that the engine does not serve.
            check_prompt: Refuses prompts that the engine does not answer.
            detector: Tells voiced frames from others; not shared.
            segmenter: Where segments begin and end.
            max_s: The longest stream, in seconds of audio.
            max_questions: Open at once; the next one is refused.
            watches: How it listens for what the client is to be told of.

        Raises:
            AudioFormatError: If the declared format is not one we know.
            ProtocolError: If a field of the request is out of range.
            UnsupportedRequestError: If the version, a task or the language is not
                served.
        """
        self._wishes = read_wishes(request, info, check)
        self._options = self._wishes.options
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
        self.asked = 0
        """How many `ask` have arrived."""
        self._pending: dict[int, PendingSegment] = {}
        self._events: list[ServerEvent] = []
        self._jobs: list[Job] = []
        self._ending = self._flushed = False
        self._last_word: StreamError | None = None
        self.is_over = False
        self._asker = Asker(
            self._wishes,
            info=info,
            check=check_prompt,
            most=max_questions,
            offset=self._offset,
            say=self._say,
            want=self._add,
        )
        self.watches = Watches(
            watches,
            sounds=info.sounds if request.sounds else (),
            check=check_prompt,
            offset=self._offset,
            say=self._say,
            want=self._add,
        )
        self.watches.set(request.watches)
        with_text, most = TRANSCRIBE in self._wishes.tasks, self._wishes.speakers
        self._teller = SpeakerTeller(with_text=with_text, most=most, want=self._add)

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
            tasks=self._wishes.tasks,
            resumed=resumed,
            accepted=self.accepted,
            settled=self.settled,
            asked=self.asked,
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

    def ask(self, ask: Ask, *, refused: StreamError | None = None) -> None:
        """Take a question; if something is wrong with it, that is told in its place.

        Args:
            ask: The question.
            refused: Why it is not answered, whatever it is.
        """
        self.asked += 1
        if not self.is_over:
            if self._ending and refused is None:
                refused = ProtocolError("ask: it came after end")
            self._asker.ask(ask, refused=refused)

    def cancel(self, cancel: Cancel) -> None:
        """Want no more of an answer; if there is no such question, that is told."""
        if not self.is_over:
            self._asker.cancel(cancel)
            self._settle()

    def name_speaker(self, event: NameSpeaker) -> None:
        """Call a speaker by a name from now on.

        Raises:
            ProtocolError: If a field is out of range, or no speakers are told.
        """
        if self.is_over:
            return
        if not self._wishes.speakers:
            raise ProtocolError("name_speaker: start asked for no speakers")
        self._say(*self._teller.name(event))

    def end(self, because: StreamError | None = None) -> None:
        """Hear no more; once all is answered, say `Ended`, or why it was ended."""
        if self._ending:
            return
        self._ending, self._last_word = True, because
        self._hear(self._reader.flush())
        self._follow(self._segmenter.flush())
        self.watches.end()
        self._flushed = True
        self._settle()

    def fail(self, error: StreamError) -> None:
        """End at once with an error; what the engine still answers is not told."""
        if not self.is_over:
            self.is_over, self._last_word = True, error
            self._say(Error(seq=0, code=error.code, message=str(error)))

    def deliver(self, result: Result) -> None:
        """Take what the engine answered about a segment, or to a prompt."""
        if self.is_over:
            return
        match result:
            case Heard(segment=number):
                if segment := self._pending.get(number):
                    self._say(*segment.partials(result))
            case Finished(segment=number):
                if segment := self._pending.get(number):
                    segment.outcome = result
                    self._remember_language(result)
                    self._asker.finish(segment, result)
            case Failed(segment=number):
                if segment := self._pending.get(number):
                    segment.outcome = result
                self._asker.fail_segment(result)
                self._say(*self._teller.fail(result))
            case _ if isinstance(result, SpeakerResult):
                self._say(*self._teller.deliver(result))
            case Weighed() | WeighingFailed():
                self.watches.deliver(result)
            case _:
                self._asker.deliver(result)
        self._settle()

    def events(self) -> list[ServerEvent]:
        """Return what the client is to be told, and forget it."""
        events, self._events = self._events, []
        return events

    def jobs(self) -> list[Job]:
        """Return what the engine is to do, and forget it."""
        jobs, self._jobs = self._jobs, []
        return jobs

    def _remember_language(self, finished: Finished) -> None:
        """Let the next segments begin with the language of one that had words."""
        for hypothesis in finished.hypotheses:
            if hypothesis.text:
                self._options = replace(
                    self._options, likely_language=hypothesis.language
                )

    def _hear(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._asker.hear(frame)
            self.watches.hear(frame)
            voiced = self._detector.is_voiced(frame)
            self._follow(self._segmenter.push(frame, voiced=voiced))

    def _follow(self, events: list[SegmentEvent]) -> None:
        """Turn what the segmenter found into events and jobs."""
        for event in events:
            number = self._segments_before + event.segment
            match event:
                case SegmentStarted(start=start):
                    self._begin(number, start)
                case SegmentAudio(frame=frame):
                    self._want(number, HearAudio(number, frame.pcm))
                case SegmentPaused():
                    self._want(number, TryFinal(number))
                case SegmentEnded(end=end):
                    segment = self._pending[number]
                    segment.end = end = self._offset + end
                    self._say(SpeechEnded(seq=0, segment=number, end=end))
                    self._want(number, MakeFinal(number))
                    self._asker.end_segment(segment)

    def _begin(self, number: int, start: int) -> None:
        wishes, start = self._wishes, self._offset + start
        segment = PendingSegment(number, start, untold=list(wishes.tasks))
        self._pending[number] = segment
        self._asker.begin_segment(segment)
        self._say(SpeechStarted(seq=0, segment=number, start=start))
        if wishes.speakers:
            self._teller.begin(number, start)
        self._jobs.append(
            OpenUtterance(
                number,
                replace(self._options, questions=self._asker.expects(start)),
                wishes.hears_partials,
                wishes.keep,
                wishes.speakers,
            )
        )

    def _want(self, number: int, job: SegmentJob) -> None:
        """Want something of the engine, unless it has failed on this segment."""
        if self._pending[number].outcome is None:
            self._jobs.append(job)

    def _add(self, job: Job) -> None:
        self._jobs.append(job)

    def _settle(self) -> None:
        """Tell the finals that are next in order; move `settled` behind them."""
        blocked: set[str] = set()
        for segment in list(self._pending.values()):
            told = segment.tell(blocked)
            blocked.update(segment.untold)
            before = self._settled
            if segment.is_told:
                del self._pending[segment.number]
                self._move()
            for event in told:
                settled = self._settled if event is told[-1] else before
                if isinstance(event, Final):
                    self._tell_final(replace(event, settled=settled))
                else:
                    self._say(event)
        self._move()
        others = (self._asker, self._teller, self.watches)
        num_open = sum(other.num_open for other in others)
        if not self._flushed or self._pending or num_open or self.is_over:
            return
        self._jobs.append(ReleaseKept())
        if self._last_word:
            self.fail(self._last_word)
            return
        self.is_over = True
        self._say(Ended(seq=0, accepted=self.accepted, settled=self.settled))

    def _tell_final(self, final: Final) -> None:
        """Tell a final; its transcript is shared out among those who speak."""
        wanted = self.request.words
        self._say(final if wanted else replace(final, words=()))
        if final.task == TRANSCRIBE:
            self._say(*self._teller.final(final))

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

    def _say(self, *events: ServerEvent) -> None:
        for event in events:
            self.seq += 1
            self._events.append(replace(event, seq=self.seq))
