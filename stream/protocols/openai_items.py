"""What was heard, as the items of an OpenAI Realtime conversation.

    server's turns   a segment is an item: started, stopped, committed, transcribed
    client's turns   all segments between two commits are one item
    brought          an item that the client creates, with audio of its own

Pure: events of our sessions in, events of OpenAI's protocol out, without their
`event_id`.  It knows no connection and no settings but whose the turns are.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from stream.audio import SAMPLE_RATE
from stream.events import (
    Error,
    Final,
    Partial,
    ServerEvent,
    SpeechEnded,
    SpeechStarted,
)
from stream.protocols.openai_checks import Json
from stream.protocols.openai_errors import BY_CODE, ENGINE, describe
from stream.protocols.openai_text import Deltas, usage, whole
from stream.protocols.openai_turns import Turns

TRANSCRIPTION = "conversation.item.input_audio_transcription"
NAME_BYTES = 12  # of randomness in an item's name


@dataclass(slots=True)
class _Item:
    """A user's turn."""

    id: str
    deltas: Deltas = field(default_factory=Deltas)
    finals: list[Final] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    """Segments of it without their finals."""
    samples: int = 0
    """Of its audio, at 16 kHz; known once it is committed."""
    error: Error | None = None
    is_committed: bool = False
    is_cleared: bool = False
    """Whether the client has thrown it away; nothing more is told of it."""


class Items:
    """The user's items of one session, in the order of their audio."""

    def __init__(
        self, *, manual: bool, transcribed: bool, turns: Turns | None = None
    ) -> None:
        """Begin without items.

        Args:
            manual: Whether the client commits, and no turn is detected.
            transcribed: Whether the client wants to read what was said.
            turns: Of the conversation that they are part of; a new one by default.
        """
        self.manual, self.transcribed = manual, transcribed
        self._of_segment: dict[int, tuple[_Item, int]] = {}
        """The item that a segment belongs to, and where the segment starts."""
        self._gathered: _Item | None = None
        """What the next commit is about."""
        self._brought: _Item | None = None
        """What the client creates, while its audio is heard."""
        self._turns = turns or Turns()

    @property
    def is_speaking(self) -> bool:
        """Whether a turn of the server's, or an item with audio, is not at its end."""
        items = (item for item, _ in self._of_segment.values())
        return self._brought is not None or any(
            not (item.is_committed or item.is_cleared) for item in items
        )

    def push(self, event: ServerEvent, *, offset: int = 0) -> list[Json]:
        """Take an event of the session; return what a client is told.

        Args:
            event: The event.
            offset: Where the session begins in the client's audio, in samples.
        """
        match event:
            case SpeechStarted():
                return list(self._start(event, offset))
            case Partial(segment=segment):
                return self._delta(self._of_segment[segment][0], event)
            case SpeechEnded():
                return list(self._stop(event, offset))
            case Final(segment=segment) | Error(segment=int(segment)):
                item, _ = self._of_segment.pop(segment)
                item.open.discard(segment)
                if isinstance(event, Final):
                    item.finals.append(event)
                else:
                    item.error = item.error or event
                return [*self._delta(item, event), *self._completed(item)]
        return []

    def commit(self, samples: int) -> list[Json]:
        """End the client's turn; all its segments have ended.

        Args:
            samples: Of its audio, at 16 kHz.
        """
        item = self._gathered or _Item(_new_id())
        self._gathered = None
        item.samples = samples
        return [*self._committed(item, is_clients=True), *self._completed(item)]

    def clear(self) -> None:
        """Throw away what was heard and not committed."""
        for item, _ in self._of_segment.values():
            if not item.is_committed:
                item.is_cleared = True
        self._gathered = None

    def bring(self, name: str) -> None:
        """Take all audio from here on as that of an item that the client creates."""
        self._brought = _Item(name)

    def brought(self, samples: int) -> list[Json]:
        """Note that this audio is heard, and its segments have ended.

        Args:
            samples: Of it, at 16 kHz.
        """
        item, self._brought = self._brought, None
        assert item is not None, "nothing was to be brought"
        item.samples, item.is_committed = samples, True
        return self._completed(item)

    def time_out(self, start: int, end: int) -> list[Json]:
        """Make an item of audio in which nobody spoke.

        Args:
            start: Where it begins in the client's audio, in samples at 16 kHz.
            end: Where it ends.
        """
        item = _Item(_new_id(), samples=end - start)
        timed_out = {
            "type": "input_audio_buffer.timeout_triggered",
            "audio_start_ms": _ms(start),
            "audio_end_ms": _ms(end),
            "item_id": item.id,
        }
        committed = self._committed(item, is_clients=True)
        return [timed_out, *committed, *self._completed(item)]

    def _start(self, event: SpeechStarted, offset: int) -> Iterator[Json]:
        item = self._brought or (self._gathered if self.manual else None)
        if item is None:
            item = _Item(_new_id())
        self._of_segment[event.segment] = item, event.start
        item.open.add(event.segment)
        item.deltas.push(event)
        if item is self._brought:
            return
        if self.manual:
            self._gathered = item
            return
        yield {
            "type": "input_audio_buffer.speech_started",
            "audio_start_ms": _ms(offset + event.start),
            "item_id": item.id,
        }

    def _stop(self, event: SpeechEnded, offset: int) -> Iterator[Json]:
        item, start = self._of_segment[event.segment]
        if self.manual or item.is_cleared or item is self._brought:
            return
        item.samples = event.end - start
        yield {
            "type": "input_audio_buffer.speech_stopped",
            "audio_end_ms": _ms(offset + event.end),
            "item_id": item.id,
        }
        yield from self._committed(item, is_clients=False)

    def _committed(self, item: _Item, *, is_clients: bool) -> Iterator[Json]:
        item.is_committed = True
        seconds = item.samples / SAMPLE_RATE if is_clients else None
        previous = self._turns.add_audio(item.id, seconds=seconds)
        yield {"type": "input_audio_buffer.committed", **previous, "item_id": item.id}
        told = {
            "id": item.id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        self._turns.history.note(told)
        for name in ("added", "done"):
            yield {"type": f"conversation.item.{name}", **previous, "item": told}

    def _delta(self, item: _Item, event: ServerEvent) -> list[Json]:
        added = item.deltas.push(event)
        if not added or item.is_cleared or not self.transcribed:
            return []
        return [_about(item, "delta", delta=added)]

    def _completed(self, item: _Item) -> list[Json]:
        """Return what ends an item, once all is known of it."""
        if item.open or not item.is_committed or not self.transcribed:
            return []
        if item.error is not None:
            kind = BY_CODE.get(item.error.code, ENGINE)
            return [_about(item, "failed", error=describe(kind, item.error.message))]
        transcript, cost = whole(item.finals), usage(item.samples)
        self._turns.history.transcribed(item.id, transcript)
        return [_about(item, "completed", transcript=transcript, usage=cost)]


def _about(item: _Item, what: str, **facts: object) -> Json:
    """Return an event about the transcription of an item."""
    known = {"type": f"{TRANSCRIPTION}.{what}", "item_id": item.id, "content_index": 0}
    return known | facts


def _new_id() -> str:
    return f"item_{secrets.token_hex(NAME_BYTES)}"


def _ms(samples: int) -> int:
    return samples * 1000 // SAMPLE_RATE
