"""Prompts that wait to be asked, and replies that are being generated.

Pure book-keeping, a part of `stream.book`: it knows of segments only their numbers.

    wait ──▶ listen, a piece of its own audio at a time ──▶ generate ──▶ end
      └───── about a segment: nothing to listen to ────────────▲

Only the last two hold memory of the engine, so only `MOST_AT_ONCE` replies are there at
a time.  All that generate do so in one step.  Prompts that wait take turns by session.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.api import Prompt
from stream.jobs import AskPrompt, ReplyKey

MOST_AT_ONCE = 16
"""Replies that listen or generate.  A step costs about one pass over the weights for
any number of them, and each holds keys and values of some hundred positions."""
SHARE = 12
"""The most of them that are standing, and that are not: neither keeps out the other."""

CanAsk = Callable[[str, int], bool]
"""Whether a segment of a session can be asked about now."""


@dataclass(slots=True, eq=False)
class Pending:
    """A prompt that was not asked yet."""

    session: str
    reply: int
    prompt: Prompt
    segment: int | None
    pcm: bytes
    standing: bool
    since: float
    """Seconds; when it was wanted."""
    listened: int = 0
    """Bytes of `pcm` handed out."""
    admitted: bool = False
    """Whether the engine holds memory for it."""

    @property
    def key(self) -> ReplyKey:
        """By what it is known."""
        return self.session, self.reply

    @property
    def is_of_final(self) -> bool:
        """Whether a final is told together with it: nothing is left to be heard."""
        return self.standing and self.segment is not None

    @property
    def has_listened(self) -> bool:
        """Whether all of its own audio, if it has any, was handed out."""
        return self.listened == len(self.pcm)


class ReplyBook:
    """The replies of all sessions, from the wish to the end."""

    def __init__(self) -> None:
        self._of_finals: deque[Pending] = deque()
        """Standing prompts about segments; first come, first asked."""
        self._turns: dict[str, deque[Pending]] = {}
        """All others.  Sessions, and prompts of each, in the order of their turns."""
        self._at_work: dict[ReplyKey, bool] = {}
        """Those that listen or generate; whether each is a standing one."""
        self._generating: dict[ReplyKey, None] = {}
        self._silent: set[ReplyKey] = set()
        """Replies of finals that have no token yet."""

    def add(self, session: str, job: AskPrompt, now: float) -> None:
        """Enter a prompt."""
        pending = Pending(
            session=session,
            reply=job.reply,
            prompt=job.prompt,
            segment=job.segment,
            pcm=job.pcm,
            standing=job.standing,
            since=now,
        )
        if pending.is_of_final:
            self._of_finals.append(pending)
        else:
            self._turns.setdefault(session, deque()).append(pending)

    @property
    def num_waiting(self) -> int:
        """How many prompts hold no memory of the engine yet."""
        return sum(not pending.admitted for pending in self._pending())

    def num_standing(self, session: str) -> int:
        """Return how many standing replies of a session have not ended."""
        waiting = sum(
            pending.standing and pending.session == session and not pending.admitted
            for pending in self._pending()
        )
        at_work = sum(s and key[0] == session for key, s in self._at_work.items())
        return waiting + at_work

    def awaits(self, session: str, segment: int) -> bool:
        """Return whether a prompt about a segment has still to be asked."""
        return any(
            (pending.session, pending.segment) == (session, segment)
            for pending in self._pending()
        )

    def next_of_finals(self, can_ask: CanAsk) -> Pending | None:
        """Return the standing prompt that is next, if one can be asked."""
        due = (p for p in self._of_finals if self._is_due(p, can_ask))
        return next(due, None)

    def next_turn(self, can_ask: CanAsk) -> Pending | None:
        """Return the other prompt whose turn it is, if one can go on."""
        queued = (pending for queue in self._turns.values() for pending in queue)
        return next((p for p in queued if self._is_due(p, can_ask)), None)

    def listen(self, pending: Pending, num_bytes: int) -> bytes:
        """Take the next audio of a prompt that has its own; its next turn is later."""
        self._at_work[pending.key] = pending.standing
        pending.admitted = True
        piece = pending.pcm[pending.listened : pending.listened + num_bytes]
        pending.listened += len(piece)
        self._remove(pending)
        self._turns.setdefault(pending.session, deque()).append(pending)
        return piece

    def ask(self, pending: Pending) -> None:
        """Note that a prompt is asked: from now on its reply is generated."""
        self._at_work[pending.key] = pending.standing
        self._generating[pending.key] = None
        if pending.is_of_final:
            self._silent.add(pending.key)
        self._remove(pending)

    @property
    def has_silent(self) -> bool:
        """Whether the reply of a final waits for its first token."""
        return bool(self._silent)

    def batch(self) -> tuple[ReplyKey, ...]:
        """Return the replies that now go on by a token."""
        self._silent.clear()
        return tuple(self._generating)

    def end(self, key: ReplyKey) -> None:
        """Note that a reply has ended, and holds no memory any more."""
        self._at_work.pop(key, None)
        self._generating.pop(key, None)
        self._silent.discard(key)

    def drop(self, key: ReplyKey) -> bool:
        """Forget a reply; return whether the engine holds memory for it."""
        for pending in [p for p in self._pending() if p.key == key]:
            self._remove(pending)
        is_held = key in self._at_work
        self.end(key)
        return is_held

    def drop_segment(self, session: str, segment: int) -> None:
        """Forget the prompts about a segment that were not asked yet."""
        about = (session, segment)
        for pending in [p for p in self._pending() if (p.session, p.segment) == about]:
            self._remove(pending)

    def cancel(self, session: str) -> list[ReplyKey]:
        """Forget all of a session; return those the engine holds memory for."""
        self._turns.pop(session, None)
        self._of_finals = deque(p for p in self._of_finals if p.session != session)
        held = [key for key in self._at_work if key[0] == session]
        for key in held:
            self.end(key)
        return held

    def _pending(self) -> Iterator[Pending]:
        yield from self._of_finals
        for queue in self._turns.values():
            yield from queue

    def _is_due(self, pending: Pending, can_ask: CanAsk) -> bool:
        if not pending.admitted:
            alike = sum(kind is pending.standing for kind in self._at_work.values())
            if alike >= SHARE or len(self._at_work) >= MOST_AT_ONCE:
                return False
        return pending.segment is None or can_ask(pending.session, pending.segment)

    def _remove(self, pending: Pending) -> None:
        if pending.is_of_final:
            self._of_finals.remove(pending)
            return
        queue = self._turns.pop(pending.session)
        queue.remove(pending)
        if queue:  # its next turn is after those of the other sessions
            self._turns[pending.session] = queue
