"""What is kept of a session so that a client that was cut off loses nothing.

`EventLog` is both the outgoing queue of a connection and the memory for the next
one: a writer asks for what comes `after` the last event that it sent.  A reader that
is slow therefore misses partials, of texts and of answers, that newer ones have
replaced, and nothing else.

    earlier: what is for good      recent: all events
    +----------------------------+------------------------------+
    bounded in bytes               bounded in number

A `SessionStore` keeps sessions for some time after their connection has gone: in this
process, and, where processes share a store, what another one needs to go on with them.

No socket and no clock: the time is an argument, in seconds.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from itertools import chain
from typing import Generic, Protocol, TypeVar

from stream.events import (
    Answer,
    AnswerPartial,
    Error,
    Final,
    Partial,
    Progress,
    ServerEvent,
    Speakers,
)
from stream.messages import encode
from stream.saved import SavedSession, is_for_good
from stream.sound_events import Noticed

MOST_EVENTS = 1_024
"""Events, of all kinds; some ten minutes of talk.  When it is full, of the oldest only
what is for good is kept: finals, answers, errors, who spoke and what was noticed."""
MOST_CLIPS = 8
"""Events whose audio is kept, up to some 200 kB each; older ones lose it."""


class ForgottenError(Exception):
    """Raised when events are asked for that the log has no more."""


class EventLog:
    """The events of a session that a client may still need, oldest first."""

    def __init__(self, seq: int, *, max_bytes: int = 0) -> None:
        """Begin after the event `seq`.

        Args:
            seq: The last one that is not in it.
            max_bytes: How much of what is for good is kept behind `MOST_EVENTS`,
                counted as the messages that carry it.  When that is full, the earliest
                is forgotten, and a client that has not seen it cannot resume here: it
                sends its audio again from `settled`, so it still loses nothing.
        """
        self._floor = self._passed = seq
        self._max_bytes, self._num_bytes = max_bytes, 0
        self._earlier: deque[tuple[ServerEvent, int]] = deque()
        """With their sizes."""
        self._events: dict[int, ServerEvent] = {}
        self._latest: dict[Hashable, int] = {}
        self._clips: deque[int] = deque()
        """Those that carry audio."""

    @classmethod
    def of(
        cls, events: Iterable[ServerEvent], *, floor: int, seq: int, max_bytes: int
    ) -> "EventLog":
        """Return the log of a session of another process.

        Args:
            events: What is for good, behind the event `floor`.
            floor: What is up to it is forgotten.
            seq: The last event; of others up to it, nothing is kept.
            max_bytes: As above.
        """
        log = cls(floor, max_bytes=max_bytes)
        for event in events:
            log.append(event)
        log._passed = seq
        return log

    @property
    def floor(self) -> int:
        """The last event before which what is for good is forgotten."""
        return self._floor

    def append(self, event: ServerEvent) -> None:
        """Add an event; forget those that it makes worthless."""
        subject = _subject(event)
        if (replaced := self._latest.pop(subject, None)) is not None:
            self._events.pop(replaced, None)
        if not is_for_good(event) and subject is not None:
            self._latest[subject] = event.seq
        self._events[event.seq] = event
        if isinstance(event, Noticed) and event.audio:
            self._clips.append(event.seq)
            if len(self._clips) > MOST_CLIPS:
                self._silence(self._clips.popleft())
        if len(self._events) > MOST_EVENTS:
            self._age(self._events.pop(next(iter(self._events))))

    def after(self, seq: int) -> list[ServerEvent]:
        """Return what a client has to be sent that has seen the events up to `seq`.

        Raises:
            ForgottenError: If some of it is no more here.
        """
        if seq < self._passed:
            raise ForgottenError
        return self.lasting_after(seq)

    def lasting_after(self, seq: int) -> list[ServerEvent]:
        """Return the same, where a client can do without where old segments began.

        Raises:
            ForgottenError: If some of what is for good is no more here.
        """
        if seq < self._floor:
            raise ForgottenError
        newest: list[ServerEvent] = []
        earlier = (event for event, _ in reversed(self._earlier))
        for event in chain(reversed(self._events.values()), earlier):
            if event.seq <= seq:
                break
            newest.append(event)
        return newest[::-1]

    def _silence(self, seq: int) -> None:
        """Keep an event, if it is still here, without its audio."""
        event = self._events.get(seq)
        if isinstance(event, Noticed):
            self._events[seq] = replace(event, audio="")

    def _age(self, event: ServerEvent) -> None:
        """Keep an event that is not recent any more, if it is for good."""
        if not is_for_good(event):
            self._passed = event.seq
            return
        size = len(encode(event).encode())
        self._earlier.append((event, size))
        self._num_bytes += size
        while self._num_bytes > self._max_bytes:
            earliest, size = self._earlier.popleft()
            self._num_bytes -= size
            self._floor = earliest.seq
            self._passed = max(self._passed, self._floor)


def _subject(event: ServerEvent) -> Hashable:
    """Return what an event is the newest word on; older ones need not be sent."""
    match event:
        case Partial(segment=segment, task=task) | Final(segment=segment, task=task):
            return segment, task
        case Error(segment=int(segment), task=str(task)):
            return segment, task
        case AnswerPartial(id=name) | Answer(id=name) | Error(question=str(name)):
            return Answer, name
        case Speakers(segment=segment):
            return Speakers, segment
        case Progress():
            return Progress
        case _:
            return None


class Keepable(Protocol):
    """What a store has to know of a session."""

    @property
    def name(self) -> str:
        """What a client resumes it by."""

    @property
    def owner(self) -> str:
        """Who may resume it."""


S = TypeVar("S", bound=Keepable)


@dataclass(slots=True)
class _Kept(Generic[S]):
    session: S
    since: float | None = None
    """When its connection went; None while there is one."""


class SessionStore(Protocol[S]):
    """Sessions, with a connection or waiting for one."""

    def __len__(self) -> int: ...

    def add(self, session: S, *, most: int) -> S | None:
        """Keep a session that has a connection; return the one that made room.

        Args:
            session: A new one.
            most: Sessions, with those that wait.  When it is full, the one that has
                waited longest is given up: its client sends its audio again.
        """

    def find(self, name: str, owner: str) -> S | None:
        """Return the session that a client names, if there is one and it is theirs."""

    def named(self, name: str) -> S | None:
        """Return the session of a name, if there is one."""

    def attach(self, session: S) -> None:
        """Note that a session has a connection."""

    def detach(self, session: S, now: float) -> None:
        """Note that the connection of a session, if it is still here, has gone."""

    def remove(self, session: S) -> bool:
        """Forget a session; return whether it was still here."""

    def expire(self, now: float, *, keep_s: float) -> list[S]:
        """Forget the sessions that have waited for so long; return them."""

    def sessions(self) -> list[S]:
        """Return all sessions."""

    def note(self, session: S) -> None:
        """Note that a session stands elsewhere now, for other processes."""

    async def recall(self, name: str, owner: str) -> SavedSession | None:
        """Return the session of a client that another process has, to be had here now.

        Returns:
            None if no other has it, or that cannot be learnt.
        """

    async def open(self) -> None:
        """Prepare for what follows.

        Raises:
            OSError: If what is shared with other processes cannot be reached.
        """

    async def run(self, give_up: Callable[[S], None]) -> None:
        """Share what was noted, until cancelled.

        Args:
            give_up: Takes a session that goes on in another process.
        """

    async def close(self) -> None:
        """Share what is left, as far as that is possible."""


class MemorySessionStore(Generic[S]):
    """Implements `SessionStore` in the memory of this process."""

    def __init__(self) -> None:
        """Begin empty."""
        self._kept: dict[str, _Kept[S]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, session: S, *, most: int) -> S | None:
        """Keep a session that has a connection; return the one that made room."""
        given_up = self._longest_waiting() if len(self._kept) >= most else None
        if given_up is not None:
            self.remove(given_up)
        self._kept[session.name] = _Kept(session)
        return given_up

    def find(self, name: str, owner: str) -> S | None:
        """Return the session that a client names, if there is one and it is theirs."""
        kept = self._kept.get(name)
        return kept.session if kept and kept.session.owner == owner else None

    def named(self, name: str) -> S | None:
        """Return the session of a name, if there is one."""
        kept = self._kept.get(name)
        return kept.session if kept else None

    def attach(self, session: S) -> None:
        """Note that a session has a connection."""
        self._kept[session.name].since = None

    def detach(self, session: S, now: float) -> None:
        """Note that the connection of a session, if it is still here, has gone."""
        kept = self._kept.get(session.name)
        if kept and kept.session is session:
            kept.since = now

    def remove(self, session: S) -> bool:
        """Forget a session; return whether it was still here."""
        if self.named(session.name) is not session:
            return False
        del self._kept[session.name]
        return True

    def expire(self, now: float, *, keep_s: float) -> list[S]:
        """Forget the sessions that have waited for so long; return them."""
        late = [
            kept.session
            for kept in self._kept.values()
            if kept.since is not None and now - kept.since >= keep_s
        ]
        for session in late:
            self.remove(session)
        return late

    def sessions(self) -> list[S]:
        """Return all sessions."""
        return [kept.session for kept in self._kept.values()]

    def note(self, session: S) -> None:
        """Do nothing: nobody else has its sessions, here and below."""

    async def recall(self, name: str, owner: str) -> SavedSession | None:
        """Return None."""
        return None

    async def open(self) -> None:
        """Do nothing."""

    async def run(self, give_up: Callable[[S], None]) -> None:
        """Return."""

    async def close(self) -> None:
        """Do nothing."""

    def _longest_waiting(self) -> S | None:
        waiting = [kept for kept in self._kept.values() if kept.since is not None]
        if not waiting:
            return None
        return min(waiting, key=lambda kept: kept.since or 0.0).session
