"""What the engine still has to do, over all sessions, and what it does next.

Pure book-keeping: no thread, no engine, no clock (its reading is an argument).
A session says what became of its segments (`Job`); the book turns that into
pieces of work for the one engine thread (`Work`), in this order:

    close         a session has gone: free the memory of its utterances
    final         first asked, first served
    early final   in the silence before the end of a segment is certain
    the rest      round robin over sessions, at most `SLICE` of audio a turn; with a
                  partial if the turn takes all the audio there is
    early steps   only when there is nothing else: the first partials of a segment
                  come in shorter steps

Audio of one utterance is joined, so a newer partial replaces an older one.  A
session that lags by more than `SLICE` gets no partials, and its finals wait for its
turn, until it has caught up: so overload is shed, and one client that sends faster
than real time does not go before those that cannot.  Finals are never dropped.

Bounds: un-encoded audio grows with what a session adds, so whoever adds it looks at
`backlog` first and waits (stream/hub.py).  Every utterance begins with audio, and
finals go before audio, so the utterances that wait are bounded by the same figure.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from engine.api import Hypothesis, UtteranceOptions

BLOCK = 5_440
"""Samples; 0.34 s, the finest step in which an engine hears more."""
EARLY_STEP = 3_200
"""Samples; 0.2 s, the step of partials at the start of a segment.  The first words
decide how fast captions feel, and text is stable only once two partials agree on it:
shorter steps bring that agreement sooner.  A partial costs some 70 ms on two cores, so
still shorter steps would leave no time between them."""
EARLY = 19_200
"""Samples; 1.2 s, how long that start is: later, text is there and `BLOCK` will do."""
SLICE = 16_000
"""Samples; the most audio that one turn takes, so that no other waits for long."""
SAMPLE_BYTES = 2


@dataclass(frozen=True, slots=True)
class OpenUtterance:
    """A segment has begun."""

    segment: int
    options: UtteranceOptions
    partials: bool


@dataclass(frozen=True, slots=True)
class HearAudio:
    """A segment goes on: s16le samples at 16 kHz."""

    segment: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class TryFinal:
    """A segment has paused, and may have ended."""

    segment: int


@dataclass(frozen=True, slots=True)
class MakeFinal:
    """A segment has ended."""

    segment: int


Job = OpenUtterance | HearAudio | TryFinal | MakeFinal


class Action(Enum):
    """What follows the audio of a piece of work."""

    HEAR = auto()
    PARTIAL = auto()
    EARLY_FINAL = auto()
    FINAL = auto()
    CLOSE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One call of the engine thread."""

    session: str
    segment: int
    options: UtteranceOptions
    action: Action
    pcm: bytes = b""
    heard: int = 0
    """Samples of the segment, with these."""
    waited_s: float = 0.0
    """How long it could have been done, but was not."""
    shed: bool = False
    """Whether a partial was left out because the session lags."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A partial: what the engine believes after so many samples of a segment."""

    segment: int
    hypotheses: tuple[Hypothesis, ...]
    samples: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The final of a segment, one hypothesis a task."""

    segment: int
    hypotheses: tuple[Hypothesis, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A segment that the engine could not serve; it gets no final."""

    segment: int
    code: str
    message: str


Result = Heard | Finished | Failed


@dataclass(slots=True, eq=False)
class _Utterance:
    """What is to be done for one segment."""

    session: str
    segment: int
    options: UtteranceOptions
    partials: bool
    pcm: bytearray = field(default_factory=bytearray)
    heard: int = 0
    """Samples handed out."""
    paused: bool = False
    ended: bool = False
    opened: bool = False
    """Whether the engine may hold memory for it."""
    ready_since: float | None = None
    """Seconds; when there was something to do and nobody did it yet."""

    @property
    def pending(self) -> int:
        """Samples not handed out."""
        return len(self.pcm) // SAMPLE_BYTES

    def is_ready(self) -> bool:
        """Whether there is anything worth a turn."""
        if self.paused or self.ended or self.pending >= BLOCK:
            return True
        completes_a_block = (self.heard + self.pending) // BLOCK > self.heard // BLOCK
        return self.heard >= EARLY and completes_a_block

    def is_worth_idle_time(self) -> bool:
        """Whether a turn is worth its cost if nobody else wants it."""
        return self.partials and self.heard < EARLY and self.pending >= EARLY_STEP


class JobBook:
    """Everything that is to be done, and the choice of what is next."""

    def __init__(self) -> None:
        self._utterances: dict[str, dict[int, _Utterance]] = {}
        self._turns: deque[str] = deque()
        self._finals: deque[_Utterance] = deque()
        self._pauses: deque[_Utterance] = deque()
        self._closing: deque[Work] = deque()

    def add(self, session: str, jobs: Iterable[Job], now: float) -> None:
        """Enter the jobs of a session.

        Args:
            session: Its name.
            jobs: In the order in which the session gave them.
            now: The clock, in seconds.
        """
        if session not in self._utterances:
            self._utterances[session] = {}
            self._turns.append(session)
        utterances = self._utterances[session]
        for job in jobs:
            if isinstance(job, OpenUtterance):
                utterance = _Utterance(session, job.segment, job.options, job.partials)
                utterances[job.segment] = utterance
                continue
            utterance = utterances[job.segment]
            assert not utterance.ended, "a job for a segment that has ended"
            match job:
                case HearAudio(pcm=pcm):
                    utterance.pcm += pcm
                    self._resume(utterance)
                case TryFinal():
                    utterance.paused = True
                    self._pauses.append(utterance)
                case MakeFinal():
                    self._resume(utterance)
                    utterance.ended = True
                    self._finals.append(utterance)
            if utterance.is_ready() and utterance.ready_since is None:
                utterance.ready_since = now

    def take(self, now: float) -> Work | None:
        """Return what the engine does next, or None if there is nothing."""
        if self._closing:
            return self._closing.popleft()
        for queue in (self._finals, self._pauses):
            for utterance in queue:
                if self.backlog(utterance.session) <= SLICE:
                    return self._hand_out(utterance, now)
        turn = self._turn(_Utterance.is_ready) or self._turn(
            _Utterance.is_worth_idle_time
        )
        return None if turn is None else self._hand_out(turn, now)

    def backlog(self, session: str) -> int:
        """Return how many samples of a session the engine has not been given."""
        utterances = self._utterances.get(session, {}).values()
        return sum(utterance.pending for utterance in utterances)

    def longest_wait(self, now: float) -> float:
        """Return for how many seconds the most neglected utterance has been ready.

        A session that sends faster than real time has a long backlog and yet its
        turns, so this measures the load, which a backlog does not.
        """
        return max(
            (
                now - utterance.ready_since
                for utterances in self._utterances.values()
                for utterance in utterances.values()
                if utterance.ready_since is not None
            ),
            default=0.0,
        )

    def drop(self, session: str, segment: int) -> None:
        """Forget a segment that failed; its memory in the engine is freed next."""
        if utterance := self._utterances.get(session, {}).pop(segment, None):
            self._forget(utterance)

    def cancel(self, session: str) -> None:
        """Forget a session; its memory in the engine is freed next."""
        for utterance in self._utterances.pop(session, {}).values():
            self._forget(utterance)
        if session in self._turns:
            self._turns.remove(session)

    def _turn(self, is_due: Callable[[_Utterance], bool]) -> _Utterance | None:
        """Return the utterance whose turn it is; its session is the last one then."""
        for session in self._turns:
            for utterance in self._utterances[session].values():
                if is_due(utterance):
                    self._turns.remove(session)
                    self._turns.append(session)
                    return utterance
        return None

    def _hand_out(self, utterance: _Utterance, now: float) -> Work:
        pcm = bytes(utterance.pcm[: SLICE * SAMPLE_BYTES])
        del utterance.pcm[: len(pcm)]
        utterance.heard += len(pcm) // SAMPLE_BYTES
        utterance.opened = True
        lags = utterance.pending > 0
        if utterance.ended and not lags:
            action = Action.FINAL
            self._finals.remove(utterance)
            del self._utterances[utterance.session][utterance.segment]
        elif utterance.paused and not lags:
            action = Action.EARLY_FINAL
            self._resume(utterance)
        elif utterance.partials and not utterance.ended and not lags:
            action = Action.PARTIAL
        else:
            action = Action.HEAR
        waited_s = 0.0 if utterance.ready_since is None else now - utterance.ready_since
        utterance.ready_since = now if utterance.is_ready() else None
        return Work(
            session=utterance.session,
            segment=utterance.segment,
            options=utterance.options,
            action=action,
            pcm=pcm,
            heard=utterance.heard,
            waited_s=waited_s,
            shed=lags and utterance.partials,
        )

    def _resume(self, utterance: _Utterance) -> None:
        """Forget a pause: it was answered, or speech went on."""
        if utterance.paused:
            utterance.paused = False
            self._pauses.remove(utterance)

    def _forget(self, utterance: _Utterance) -> None:
        self._resume(utterance)
        if utterance in self._finals:
            self._finals.remove(utterance)
        if utterance.opened:
            self._closing.append(
                Work(
                    session=utterance.session,
                    segment=utterance.segment,
                    options=utterance.options,
                    action=Action.CLOSE,
                )
            )
