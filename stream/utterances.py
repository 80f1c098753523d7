"""The segments that the engine still has to hear, and those it may be asked about.

Pure book-keeping, a part of `stream.book`: it knows the audio that was not handed out,
what ended and what paused, and of prompts nothing.

    open ──▶ hear … ──▶ final ──▶ kept ──▶ close
                          └──────────────────▲    unless it may be asked about
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.api import UtteranceOptions
from stream.jobs import (
    Action,
    HearAudio,
    Hearing,
    MakeFinal,
    OpenUtterance,
    SegmentJob,
    TryFinal,
)

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


@dataclass(slots=True, eq=False)
class Utterance:
    """What is to be done for one segment."""

    session: str
    segment: int
    options: UtteranceOptions
    partials: bool
    keep: bool
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

    def take(self) -> bytes:
        """Hand out its next audio."""
        pcm = bytes(self.pcm[: SLICE * SAMPLE_BYTES])
        del self.pcm[: len(pcm)]
        self.heard += len(pcm) // SAMPLE_BYTES
        self.opened = True
        return pcm

    def closing(self) -> Hearing:
        """Return the piece of work that frees its memory."""
        return Hearing(
            session=self.session,
            segment=self.segment,
            options=self.options,
            action=Action.CLOSE,
        )


class UtteranceBook:
    """The utterances of all sessions."""

    def __init__(self) -> None:
        self._open: dict[str, dict[int, Utterance]] = {}
        self._turns: deque[str] = deque()
        self._finals: deque[Utterance] = deque()
        self._pauses: deque[Utterance] = deque()
        self._kept: dict[str, dict[int, Utterance]] = {}
        """After their finals, oldest first."""

    def add(self, session: str, job: SegmentJob, now: float) -> None:
        """Enter what a session wants of a segment."""
        if session not in self._open:
            self._open[session] = {}
            self._turns.append(session)
        utterances = self._open[session]
        if isinstance(job, OpenUtterance):
            utterances[job.segment] = Utterance(
                session, job.segment, job.options, job.partials, job.keep
            )
            return
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

    def next_final(self) -> Utterance | None:
        """Return the one whose final is next; those of sessions that lag wait."""
        return self._first(self._finals)

    def next_pause(self) -> Utterance | None:
        """Return the one whose early final is next; likewise."""
        return self._first(self._pauses)

    def next_turn(self, is_due: Callable[[Utterance], bool]) -> Utterance | None:
        """Return the utterance whose turn it is; its session is the last one then."""
        for session in self._turns:
            for utterance in self._open[session].values():
                if is_due(utterance):
                    self._turns.remove(session)
                    self._turns.append(session)
                    return utterance
        return None

    def hand_out(self, utterance: Utterance, now: float) -> Hearing:
        """Return its next piece of work."""
        pcm = utterance.take()
        lags = utterance.pending > 0
        if utterance.ended and not lags:
            action = Action.FINAL
            self._finals.remove(utterance)
            del self._open[utterance.session][utterance.segment]
            if utterance.keep:
                kept = self._kept.setdefault(utterance.session, {})
                kept[utterance.segment] = utterance
        elif utterance.paused and not lags:
            action = Action.EARLY_FINAL
            self._resume(utterance)
        elif utterance.partials and not utterance.ended and not lags:
            action = Action.PARTIAL
        else:
            action = Action.HEAR
        since = utterance.ready_since
        utterance.ready_since = now if utterance.is_ready() else None
        return Hearing(
            session=utterance.session,
            segment=utterance.segment,
            options=utterance.options,
            action=action,
            pcm=pcm,
            heard=utterance.heard,
            keep=utterance.keep,
            waited_s=0.0 if since is None else now - since,
            shed=lags and utterance.partials,
        )

    def can_ask(self, session: str, segment: int) -> bool:
        """Return whether all that is known of a segment fits into one turn.

        One that has ended can be asked about once its final was made.
        """
        if segment in self._kept.get(session, {}):
            return True
        utterance = self._open[session][segment]
        return not utterance.ended and utterance.pending <= SLICE

    def take_to_ask(
        self, session: str, segment: int, now: float
    ) -> tuple[Utterance, bytes]:
        """Return an utterance that is asked about, and what it hears before that."""
        utterance = self._kept.get(session, {}).get(segment)
        utterance = utterance or self._open[session][segment]
        pcm = utterance.take()
        utterance.ready_since = now if utterance.is_ready() else None
        return utterance, pcm

    def release(
        self, session: str, is_awaited: Callable[[int], bool]
    ) -> list[Utterance]:
        """Return those of the kept that need be kept no longer, and forget them.

        The newest is kept on, and those of which a segment is awaited.
        """
        kept = self._kept.get(session, {})
        old = [segment for segment in list(kept)[:-1] if not is_awaited(segment)]
        return [kept.pop(segment) for segment in old]

    def release_all(self, session: str) -> list[Utterance]:
        """Return all that are kept of a session, and forget them."""
        return list(self._kept.pop(session, {}).values())

    def drop(self, session: str, segment: int) -> list[Utterance]:
        """Forget a segment; return it if the engine may hold memory for it."""
        found = [
            utterances.pop(segment)
            for utterances in (
                self._open.get(session, {}),
                self._kept.get(session, {}),
            )
            if segment in utterances
        ]
        return [utterance for utterance in found if self._forget(utterance)]

    def cancel(self, session: str) -> list[Utterance]:
        """Forget a session; return what the engine may hold memory for."""
        if session in self._turns:
            self._turns.remove(session)
        utterances = self._open.pop(session, {}).values()
        opened = [utterance for utterance in utterances if self._forget(utterance)]
        return opened + self.release_all(session)

    def backlog(self, session: str) -> int:
        """Return how many samples of a session the engine has not been given."""
        utterances = self._open.get(session, {}).values()
        return sum(utterance.pending for utterance in utterances)

    def longest_wait(self, now: float) -> float:
        """Return for how many seconds the most neglected utterance has been ready.

        A session that sends faster than real time has a long backlog and yet its
        turns, so this measures the load, which a backlog does not.
        """
        return max(
            (
                now - utterance.ready_since
                for utterances in self._open.values()
                for utterance in utterances.values()
                if utterance.ready_since is not None
            ),
            default=0.0,
        )

    def _first(self, queue: deque[Utterance]) -> Utterance | None:
        lagging: set[str] = set()  # one may have hundreds of short segments here
        for utterance in queue:
            if utterance.session in lagging:
                continue
            if self.backlog(utterance.session) <= SLICE:
                return utterance
            lagging.add(utterance.session)
        return None

    def _resume(self, utterance: Utterance) -> None:
        """Forget a pause: it was answered, or speech went on."""
        if utterance.paused:
            utterance.paused = False
            self._pauses.remove(utterance)

    def _forget(self, utterance: Utterance) -> bool:
        self._resume(utterance)
        if utterance in self._finals:
            self._finals.remove(utterance)
        return utterance.opened
