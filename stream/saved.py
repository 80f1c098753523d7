"""What another process needs to go on with a session, and how that is written down.

    session, log ─▶ SavedSession ═ texts ═▶ SavedSession ─▶ session, log
      of one process                           of another

The audio is not in it: what is not settled comes again from the client.  No I/O.
Positions are as in `stream.events`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from engine.config import build
from stream.errors import ProtocolError, ShutdownError
from stream.events import (
    Answer,
    Ended,
    Error,
    Final,
    Resume,
    ServerEvent,
    SpeakerNamed,
    Speakers,
    Start,
)
from stream.messages import decode_client, decode_server
from stream.sound_events import Noticed, Sound

GONE = "the server that heard it has gone"
LOST = "the server that was to answer has gone; ask again"
SPEAKERS = "speakers"
"""What an error names where speakers are not told of a segment, or one not known."""


class DamagedError(Exception):
    """Raised when what was kept of a session is not what a server writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StableText:
    """What was told for good of a segment whose final was not told."""

    segment: int
    start: int
    task: str
    text: str
    language: str
    """Code of the language, as far as it was known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """Where a session stands, its texts excepted."""

    seq: int
    """The last event that was told."""
    settled: int
    segment: int
    """The last segment of which all is told."""
    language: str | None = None
    """The language that was heard last."""
    asked: int = 0
    """How many `ask` have arrived."""
    questions: tuple[str, ...] = ()
    """Those without an answer."""
    stable: tuple[StableText, ...] = ()
    """Of the segments that are begun again."""
    speakers: int = 0
    """The highest number that a speaker has."""
    unattributed: tuple[int, ...] = ()
    """Segments up to `segment` whose speakers are not told."""
    is_over: bool = False
    """Whether it has said `ended`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSession:
    """A session without its audio."""

    name: str
    owner: str
    request: Start
    """With which it was begun, its `resume` excepted."""
    state: SessionState
    floor: int
    """Texts up to this event are forgotten."""
    events: tuple[ServerEvent, ...]
    """The texts behind it, up to the state's last event."""

    def met(self, resume: Resume) -> "SavedSession":
        """Return it as its client knows it, who may have seen more than was saved.

        Nobody else has what lies between.  Where a final is among that, the texts are
        not whole any more, and are forgotten: who asks for them is to be told so.
        """
        if resume.seq <= self.state.seq:
            return self
        state = replace(
            self.state,
            seq=resume.seq,
            settled=max(resume.settled, self.state.settled),
            segment=max(resume.segment, self.state.segment),
        )
        if resume.segment <= self.state.segment:
            return replace(self, state=state)
        return replace(self, state=state, floor=resume.seq, events=())

    def resumption(self) -> Start:
        """Return what it is begun again with."""
        resume = Resume(
            session=self.name,
            seq=self.state.seq,
            settled=self.state.settled,
            segment=self.state.segment,
        )
        return replace(self.request, resume=resume)


def is_for_good(event: ServerEvent) -> bool:
    """Return whether an event tells what stays true when the session has gone on."""
    if isinstance(event, Speakers | Noticed | Sound):
        return event.complete
    return isinstance(event, Final | Answer | Error | SpeakerNamed)


def texts(events: Iterable[ServerEvent]) -> list[ServerEvent]:
    """Return what is kept of events: texts that are for good, without audio."""
    return [
        replace(event, audio="") if isinstance(event, Noticed) else event
        for event in events
        if (is_for_good(event) and not _is_farewell(event)) or isinstance(event, Ended)
    ]


def farewells(state: SessionState) -> list[Error]:
    """Return what is told of what the process that had a session can tell no more."""
    questions = [
        Error(seq=0, code=ShutdownError.code, message=LOST, question=name)
        for name in state.questions
    ]
    segments = [
        Error(
            seq=0,
            code=ShutdownError.code,
            message=GONE,
            segment=number,
            task=SPEAKERS,
        )
        for number in state.unattributed
    ]
    return questions + segments


def _is_farewell(event: ServerEvent) -> bool:
    """Return whether an event only says that a server stops."""
    return isinstance(event, Error) and event.ends_session


def encode_state(state: SessionState) -> str:
    """Return the state of a session as JSON, in ASCII as all that is kept."""
    return json.dumps(asdict(state))


def encode_request(request: Start) -> str:
    """Return what a session was begun with, likewise."""
    return encode_event(replace(request, resume=None))


def encode_event(event: Start | ServerEvent) -> str:
    """Return an event, likewise."""
    return json.dumps({"type": event.type, **asdict(event)})


def decode_saved(
    name: str,
    owner: str,
    *,
    request: str,
    state: str,
    floor: str,
    events: Sequence[str],
) -> SavedSession:
    """Return a session that was written down.

    Raises:
        DamagedError: If it is not what a server writes, or one of another version.
    """
    try:
        begun, told = decode_client(request), [*map(decode_server, events)]
        where = build(SessionState, json.loads(state))
        forgotten = int(floor)
    except (ProtocolError, ValueError, AttributeError, RecursionError) as exc:
        raise DamagedError from exc
    seqs = [event.seq for event in told]
    whole = [forgotten, *seqs, where.seq]
    if not isinstance(begun, Start) or whole != sorted(whole):
        raise DamagedError
    return SavedSession(
        name=name,
        owner=owner,
        request=begun,
        state=where,
        floor=forgotten,
        events=tuple(told),
    )
