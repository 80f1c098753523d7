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
    Start,
    Started,
)
from stream.jobs import (
    Failed,
    Finished,
    Heard,
    Job,
    ReleaseKept,
    Result,
    SpeakerResult,
    Weighed,
    WeighingFailed,
)
from stream.pending import PendingSegments
from stream.questions import CheckPrompt
from stream.saved import SessionState, farewells
from stream.segmenter import Segmenter, SegmenterConfig
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
        state: SessionState | None = None,
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
            state: Where it stands, if it was begun by another process; then `request`
                resumes it from there.

        Raises:
            AudioFormatError: If the declared format is not one we know.
            ProtocolError: If a field of the request is out of range.
            UnsupportedRequestError: If the version, a task or the language is not
                served.
        """
        self._wishes = read_wishes(request, info, check)
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
        self.seq = resume.seq if resume else 0
        self.asked = state.asked if state else 0
        """How many `ask` have arrived."""
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
        before = state.speakers if state else 0
        self._teller = SpeakerTeller(
            with_text=with_text, most=most, before=before, want=self._add
        )
        self._segments = PendingSegments(
            self._wishes,
            asker=self._asker,
            teller=self._teller,
            offset=self._offset,
            complete=resume.segment if resume else 0,
            state=state,
            say=self._say,
            want=self._add,
        )
        if state is not None:
            self._go_on(state)

    @property
    def accepted(self) -> int:
        """Samples of the client that have arrived, counted from its start."""
        return self._first + self._reader.received

    @property
    def settled(self) -> int:
        """The sample of the client before which everything is done with."""
        return self._settled

    @property
    def state(self) -> SessionState:
        """Where it stands, for another process."""
        return SessionState(
            seq=self.seq,
            settled=self._settled,
            segment=self._segments.complete,
            language=self._segments.language,
            asked=self.asked,
            questions=self._asker.open_ids,
            stable=self._segments.stable(),
            speakers=self._teller.highest,
            unattributed=self._teller.missing(self._segments.complete),
            is_over=self.is_over and self._last_word is None,
        )

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
            self._segments.follow(self._segmenter.flush())
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
        self._segments.follow(self._segmenter.flush())
        self.watches.end()
        self._flushed = True
        self._settle()

    def fail(self, error: StreamError) -> None:
        """End at once with an error; what the engine still answers is not told."""
        if not self.is_over:
            self.is_over = self._ending = True
            self._last_word = error
            self._say(Error(seq=0, code=error.code, message=str(error)))

    def deliver(self, result: Result) -> None:
        """Take what the engine answered about a segment, or to a prompt."""
        if self.is_over:
            return
        match result:
            case Heard() | Finished() | Failed():
                self._segments.deliver(result)
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

    def _go_on(self, state: SessionState) -> None:
        """Take over from another process; tell what it can tell no more.

        How far it is, is told at once: what the other one said of that may be lost, and
        a client that has nothing more to send would be told of no further second.
        """
        self.is_over = self._ending = self._flushed = state.is_over
        if not self.is_over:
            progress = Progress(seq=0, accepted=self.accepted, settled=self.settled)
            self._say(*farewells(state), progress)

    def _hear(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._asker.hear(frame)
            self.watches.hear(frame)
            voiced = self._detector.is_voiced(frame)
            self._segments.follow(self._segmenter.push(frame, voiced=voiced))

    def _add(self, job: Job) -> None:
        self._jobs.append(job)

    def _settle(self) -> None:
        """Tell the finals that are next in order; move `settled` behind them."""
        for told, is_all in self._segments.tell():
            before = self._settled
            if is_all:
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
        if not self._flushed or self._segments or num_open or self.is_over:
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
        if self._segments.start is not None:
            position = self._segments.start
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
