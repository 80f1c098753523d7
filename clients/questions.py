"""The questions of a client: what has to be sent, what is open, what is lost.

And the names that it gives to speakers, voices it knows, and its watches, which go the
same way.

Pure: events in, decisions out.  No socket, no clock.  A question is sent behind the
audio that it was asked after; one that a lost connection swallowed is sent again.
"""

import base64
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from stream.events import (
    Answer,
    Ask,
    Cancel,
    Error,
    NameSpeaker,
    ServerEvent,
    Started,
)
from stream.sound_events import Unwatch, Watch

Sent = Ask | Cancel | NameSpeaker | Watch | Unwatch


@dataclass(slots=True)
class _Open:
    """A question without an answer."""

    ask: Ask
    position: int
    """The sample of the client before which it is not sent."""
    index: int | None = None
    """How many were sent before it to this server; None if it was not sent yet."""
    is_cancelled: bool = False


class QuestionBook:
    """Questions in the order in which they were asked."""

    def __init__(self, voices: Mapping[str, bytes] = MappingProxyType({})) -> None:
        """Begin without questions.

        Args:
            voices: Of speakers that are known, by their names: s16le at 16 kHz.
        """
        self._open: dict[str, _Open] = {}
        self._names: dict[int, NameSpeaker] = {}
        """The last one of each speaker."""
        self._voices: dict[str, NameSpeaker] = {}
        """Of speakers that are known, by their names."""
        self._unsent: deque[tuple[int, Sent]] = deque()
        """Each with the sample of the client before which it is not sent."""
        self._num_sent = 0
        for name, pcm in voices.items():
            self.name(pcm, name)

    @property
    def position(self) -> int | None:
        """The sample before which the next one is not sent; None if there is none."""
        return self._unsent[0][0] if self._unsent else None

    def __contains__(self, name: str) -> bool:
        return name in self._open

    def ask(self, ask: Ask, position: int) -> None:
        """Add a question that is asked after so many samples."""
        assert ask.id not in self._open, "an id that is in use"
        self._open[ask.id] = _Open(ask, position)
        self._unsent.append((position, ask))

    def cancel(self, name: str, position: int) -> None:
        """Want no answer to a question any more; if it has one, this does nothing."""
        if (question := self._open.get(name)) and not question.is_cancelled:
            question.is_cancelled = True
            self._unsent.append((position, Cancel(id=name)))

    def name(self, speaker: int | bytes, name: str) -> None:
        """Have a name sent, before all else; a voice, to each server it is new to."""
        if isinstance(speaker, bytes):
            voice = base64.b64encode(speaker).decode()
            self._voices[name] = event = NameSpeaker(name=name, voice=voice)
        else:
            self._names[speaker] = event = NameSpeaker(speaker=speaker, name=name)
        self._unsent.appendleft((0, event))

    def tell(self, event: Watch | Unwatch, position: int) -> None:
        """Have a watch sent, or its end.

        One that was sent and is lost is no loss: a new connection begins with all.
        """
        self._unsent.append((position, event))

    def take(self, cursor: int) -> Sent | None:
        """Return what is to be sent next, after so many samples; None if nothing is."""
        if not self._unsent or self._unsent[0][0] > cursor:
            return None
        _, event = self._unsent.popleft()
        if isinstance(event, Ask) and (question := self._open.get(event.id)):
            question.index = self._num_sent
            self._num_sent += 1
        return event

    def follow(self, event: ServerEvent) -> None:
        """Take a new event of the server."""
        match event:
            case Answer(id=name) | Error(question=str(name)):
                self._open.pop(name, None)

    def begin(self, started: Started) -> list[str]:
        """Take the first event of another connection of the session.

        Returns:
            The ids of the questions that will have no answer: the server that knew
            them has gone.
        """
        sent = {
            name: question
            for name, question in self._open.items()
            if question.index is not None
        }
        cancels: set[str] = {e.id for _, e in self._unsent if isinstance(e, Cancel)}
        again: list[tuple[int, Ask | Cancel]] = []
        lost = []
        for name, question in sent.items():
            assert question.index is not None
            if not started.resumed:
                lost.append(name)
                continue
            if question.index >= started.asked:
                question.index = None
                again.append((question.position, question.ask))
            if question.is_cancelled and name not in cancels:
                again.append((question.position, Cancel(id=name)))
        for name in lost:
            del self._open[name]
        self._unsent.extendleft(reversed(again))
        # Another server counts speakers anew: the names that were given are of others.
        names = list(self._names.values()) if started.resumed else []
        self._names = {event.speaker: event for event in names}
        self._unsent = deque(
            [(0, event) for event in (*self._voices.values(), *names)]
            + [
                (position, event)
                for position, event in self._unsent
                if isinstance(event, Watch | Unwatch)
                or (isinstance(event, Ask | Cancel) and event.id in self._open)
            ]
        )
        self._num_sent = started.asked
        return lost
