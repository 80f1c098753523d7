"""What the engine still has to do, over all sessions, and what it does next.

Pure book-keeping: no thread, no engine, no clock (its reading is an argument).
A session says what it wants (`Job`); the book turns that into pieces of work for the
one engine thread (`Work`), in this order:

    drop            what is not wanted any more: free its memory
    final           first asked, first served
    of finals       prompts that belong to a final, and the first token of each reply
    early final     in the silence before the end of a segment is certain
    by turns        whichever was served longest ago of
      questions       one is asked, or listens to some audio of its own
      replies         all go on by a token, in one step
      hearing         round robin over sessions, at most `SLICE` of audio a turn; with
                      a partial if the turn takes all the audio there is
    early steps     only when there is nothing else: the first partials of a segment
                    come in shorter steps
    voices, watches only when there is not even that, by turns: who speaks, a piece of a
                    segment; the last seconds of a session are weighed

Audio of one utterance is joined, so a newer partial replaces an older one.  A
session that lags by more than `SLICE` gets no partials, and its finals and its
questions about that segment wait for its turn, until it has caught up: so overload is
shed, and one client that sends faster than real time does not go before those that
cannot.  Finals are never dropped, and neither are the replies that belong to them.

Bounds: un-encoded audio grows with what a session adds, so whoever adds it looks at
`backlog` and `num_standing` first and waits; whoever lets a question in looks at
`num_waiting` (stream/hub.py).  Every utterance begins with audio, and finals go before
audio, so the utterances that wait are bounded by the same figure.  Audio whose voices
wait is bounded by `voice_backlog` in the same way: it is never dropped.  One utterance
a session is kept after its final, to be asked about, until the final of the next.
Of what is to be weighed only the newest of each session waits (stream/passages.py).
"""

from collections import deque
from collections.abc import Callable, Iterable

from engine.api import UtteranceOptions
from stream.jobs import (
    Answered,
    Asking,
    AskPrompt,
    CancelReply,
    Dropping,
    EnrolVoice,
    Failed,
    Forgetting,
    Generating,
    Job,
    RecognisingFailed,
    ReleaseKept,
    ReplyFailed,
    Result,
    WeighingFailed,
    WeighPassage,
    Work,
)
from stream.passages import PassageBook
from stream.replies import Pending, ReplyBook
from stream.utterances import SAMPLE_BYTES, SLICE, Utterance, UtteranceBook
from stream.voices import VoiceBook

Kind = Callable[[float], Work | None]
"""Takes the time; returns the next piece of work of its kind."""
NOTHING_TOLD = UtteranceOptions(tasks=())
"""Of audio that is only to be asked about."""


class JobBook:
    """Everything that is to be done, and the choice of what is next."""

    def __init__(self) -> None:
        self._utterances = UtteranceBook()
        self._replies = ReplyBook()
        self._voices, self._passages = VoiceBook(), PassageBook()
        self._unwanted: deque[Work] = deque()
        self._kinds: deque[Kind] = deque((self._question, self._step, self._hearing))
        """By turns; the one served longest ago comes first."""
        self._idle: deque[Callable[[], Work | None]] = deque(
            (self._passages.next_turn, self._voices.next_turn)
        )
        """Likewise, when nothing else is left to do."""

    def add(self, session: str, jobs: Iterable[Job], now: float) -> None:
        """Enter the jobs of a session.

        Args:
            session: Its name.
            jobs: In the order in which the session gave them.
            now: The clock, in seconds.
        """
        for job in jobs:
            match job:
                case AskPrompt():
                    self._replies.add(session, job, now)
                case CancelReply(reply=reply):
                    if self._replies.drop((session, reply)):
                        self._unwanted.append(Dropping(session, reply))
                    self._release(session)
                case EnrolVoice():
                    self._voices.enrol(session, job)
                case ReleaseKept():
                    self._close(self._utterances.release_all(session))
                    self._forget_voices(session)
                case WeighPassage():
                    self._passages.add(session, job)
                case _:
                    self._utterances.add(session, job, now)
                    self._voices.add(session, job)

    def take(self, now: float) -> Work | None:
        """Return what the engine does next, or None if there is nothing."""
        if self._unwanted:
            return self._unwanted.popleft()
        if final := self._utterances.next_final():
            work = self._utterances.hand_out(final, now)
            self._release(final.session)
            return work
        if pending := self._replies.next_of_finals(self._utterances.can_ask):
            return self._ask(pending, now)
        if self._replies.has_silent:
            self._serve(self._step)
            return self._step(now)
        if pause := self._utterances.next_pause():
            return self._utterances.hand_out(pause, now)
        for kind in self._kinds:
            if (turn := kind(now)) is not None:
                self._serve(kind)
                return turn
        if idle := self._utterances.next_turn(Utterance.is_worth_idle_time):
            return self._utterances.hand_out(idle, now)
        for spare in self._idle:
            if (turn := spare()) is not None:
                self._idle.remove(spare)
                self._idle.append(spare)
                return turn
        return None

    def note(self, session: str, result: Result | None) -> None:
        """Take what became of a piece of work."""
        match result:
            case Failed(segment=segment):
                self._replies.drop_segment(session, segment)
                self._close(self._utterances.drop(session, segment))
                self._voices.drop(session, segment)
            case RecognisingFailed(segment=segment):
                self._voices.drop(session, segment)
            case WeighingFailed():
                self._passages.end(session)
            case Answered(reply=reply) | ReplyFailed(reply=reply):
                self._replies.end((session, reply))

    def cancel(self, session: str) -> None:
        """Forget a session; its memory in the engine is freed next."""
        self._close(self._utterances.cancel(session))
        for key in self._replies.cancel(session):
            self._unwanted.append(Dropping(*key))
        self._forget_voices(session, is_held=self._passages.cancel(session))

    def backlog(self, session: str) -> int:
        """Return how many samples of a session the engine has not been given."""
        return self._utterances.backlog(session)

    def voice_backlog(self, session: str) -> int:
        """Return how many samples of a session wait to have their speakers told."""
        return self._voices.backlog(session)

    def longest_wait(self, now: float) -> float:
        """Return for how many seconds the most neglected utterance has been ready."""
        return self._utterances.longest_wait(now)

    def num_standing(self, session: str) -> int:
        """Return how many replies that belong to finals a session waits for."""
        return self._replies.num_standing(session)

    @property
    def num_left_out(self) -> int:
        """How many passages, of all sessions, nobody had time to weigh."""
        return self._passages.num_left_out

    @property
    def num_waiting(self) -> int:
        """How many prompts, of all sessions, the engine has not begun with."""
        return self._replies.num_waiting

    def _serve(self, kind: Kind) -> None:
        """Note that a kind of work had its turn."""
        self._kinds.remove(kind)
        self._kinds.append(kind)

    def _question(self, now: float) -> Work | None:
        pending = self._replies.next_turn(self._utterances.can_ask)
        return None if pending is None else self._ask(pending, now)

    def _step(self, now: float) -> Work | None:
        batch = self._replies.batch()
        return Generating(batch) if batch else None

    def _hearing(self, now: float) -> Work | None:
        turn = self._utterances.next_turn(Utterance.is_ready)
        return None if turn is None else self._utterances.hand_out(turn, now)

    def _ask(self, pending: Pending, now: float) -> Asking:
        """Return the next piece of a prompt's way to its reply."""
        session, segment = pending.session, pending.segment
        if segment is None:
            pcm = self._replies.listen(pending, SLICE * SAMPLE_BYTES)
            options, heard = NOTHING_TOLD, pending.listened // SAMPLE_BYTES
        else:
            utterance, pcm = self._utterances.take_to_ask(session, segment, now)
            options, heard = utterance.options, utterance.heard
        if is_last := pending.has_listened:
            self._replies.ask(pending)
            self._release(session)
        return Asking(
            session=session,
            reply=pending.reply,
            prompt=pending.prompt,
            segment=segment,
            options=options,
            pcm=pcm,
            heard=heard,
            is_last=is_last,
            waited_s=now - pending.since,
        )

    def _release(self, session: str) -> None:
        """Close what is kept of a session and will not be asked about any more."""

        def is_awaited(segment: int) -> bool:
            return self._replies.awaits(session, segment)

        self._close(self._utterances.release(session, is_awaited))

    def _forget_voices(self, session: str, *, is_held: bool = False) -> None:
        if self._voices.cancel(session) or is_held:
            self._unwanted.append(Forgetting(session))

    def _close(self, utterances: Iterable[Utterance]) -> None:
        self._unwanted.extend(utterance.closing() for utterance in utterances)
