"""The input audio buffer of an OpenAI Realtime session: hub's sessions, one by one.

    audio ─▶ hub's session ─▶ its log ─▶ items ─▶ events for the client

A session of the hub begins with the first audio.  Settings that change end it; the
next audio begins another one, whose items follow.  It knows no connection.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from stream.audio import SAMPLE_RATE, PcmFormat
from stream.errors import ProtocolError
from stream.events import (
    Answer,
    Ask,
    Cancel,
    Ended,
    Error,
    ServerEvent,
    SpeechEnded,
    SpeechStarted,
)
from stream.hub import Hub
from stream.live import Stream
from stream.protocols import openai_listening, openai_session
from stream.protocols.openai_checks import Json
from stream.protocols.openai_conversation import Conversation
from stream.protocols.openai_errors import (
    BY_CODE,
    ENGINE,
    FieldError,
    RefusedError,
    describe,
)
from stream.protocols.openai_idle import Idle
from stream.protocols.openai_item_form import Given
from stream.protocols.openai_items import Items
from stream.questions import refusal
from stream.sound_events import Noticed, Sound, Unwatch, Watch

SLICE_S = 1.0  # of audio that is heard in one go
LEAST_COMMIT_MS = 100


class EmptyCommitError(RefusedError):
    """Raised when there is next to nothing to commit."""

    told_as = "input_audio_buffer_commit_empty"

    def __init__(self, found_ms: int) -> None:
        self.found_ms = found_ms

    def __str__(self) -> str:
        return (
            f"the buffer holds {self.found_ms} ms of audio; a commit takes at least "
            f"{LEAST_COMMIT_MS} ms"
        )


@dataclass(slots=True)
class _Hearing:
    """A session of the hub, and how far it was told."""

    stream: Stream
    superseded: asyncio.Event
    items: Items
    format: PcmFormat
    offset: int
    """Where its audio begins in the client's, in samples at 16 kHz."""
    seq: int = 0
    committed: int = 0
    """Where its audio begins that is in no item, in samples at 16 kHz."""
    is_ended: bool = False
    """Whether it takes no more audio."""
    is_over: bool = False
    """Whether it has told all."""
    asked: set[str] = field(default_factory=set)
    """Questions about it that are open."""
    watched: set[str] = field(default_factory=set)
    """Ids of the watches on it."""

    @property
    def received(self) -> int:
        """Its audio, in samples at 16 kHz."""
        return self.stream.session.accepted * SAMPLE_RATE // self.format.rate

    @property
    def uncommitted(self) -> int:
        """Its audio that is in no item, in samples at 16 kHz."""
        return max(0, self.received - self.committed)

    def check_whole(self, where: str, data: bytes) -> None:
        """Raise `FieldError` unless it is whole samples of the format."""
        size = self.format.sample_bytes
        if len(data) % size:
            problem = f"has {len(data)} bytes; expected samples of {size} bytes"
            raise FieldError(where, problem)


class InputAudioBuffer:
    """What a client appends, and what becomes of it."""

    def __init__(
        self, hub: Hub, owner: str, changed: asyncio.Event, session: Json
    ) -> None:
        """Begin empty.

        Args:
            hub: Of the server.
            owner: Who is behind the connection.
            changed: Set when there is something to `drain`.
            session: The settings.
        """
        self._hub, self._owner, self._changed = hub, owner, changed
        self._is_flushing = False
        self._hearings: list[_Hearing] = []
        """The last of them takes audio; those before it owe finals."""
        self._told: list[Json] = []
        self._idle = Idle()
        self.conversation = Conversation(session, ask=self._ask, cancel=self._cancel)
        self.ended_by: Error | None = None
        """What the hub ended a session with, if it did."""

    async def append(
        self, data: bytes, session: Json
    ) -> AsyncIterator[tuple[Stream, bool]]:
        """Hear audio, a slice at a time.

        After each, yield what has heard it, and whether more of it follows.

        Args:
            data: In the format of the settings.
            session: The settings; they hold from the first audio on.

        Raises:
            FieldError: If it is not whole samples.
            StreamError: If no session can be had.
        """
        hearing = self._taking() or self._begin(session)
        hearing.check_whole("audio", data)
        async for heard in self._hear(hearing, data):
            yield heard

    async def create(
        self, given: Given, session: Json
    ) -> AsyncIterator[tuple[Stream, bool]]:
        """Hear an item that the client creates, apart from other audio, as `append`.

        A turn under way ends before it, and is not answered by itself.

        Args:
            given: The item; its audio is in the format of the settings.
            session: The settings.

        Raises:
            FieldError: If it is not whole samples, or `Turns.create` refuses it.
            StreamError: If no session can be had.
        """
        hearing = self._taking() or self._begin(session)
        hearing.check_whole("item.content", given.audio)
        self._flush(hearing)
        turns = self.conversation.turns
        added, done = turns.create(given)
        self._told.append(added)
        hearing.items.bring(given.name)
        before = hearing.received
        async for heard in self._hear(hearing, given.audio):
            yield heard
        self._flush(hearing)
        samples = hearing.received - before
        if hearing.items.manual:
            hearing.committed += samples
        else:
            hearing.committed = hearing.received
        turns.heard(given.name, samples / SAMPLE_RATE)
        self._told += [done, *hearing.items.brought(samples)]

    def commit(self) -> None:
        """End the turn.

        Raises:
            EmptyCommitError: If there is next to nothing in it.
            ForgottenError: As `drain` does.
        """
        self._pull()
        hearing = self._taking()
        if hearing is None:
            raise EmptyCommitError(0)
        is_speaking, samples = hearing.items.is_speaking, hearing.uncommitted
        found_ms = samples * 1000 // SAMPLE_RATE
        if found_ms < LEAST_COMMIT_MS and not is_speaking:
            raise EmptyCommitError(found_ms)
        self._flush(hearing)
        hearing.committed = hearing.received
        if hearing.items.manual or not is_speaking:
            self._told += hearing.items.commit(samples)

    def clear(self) -> None:
        """Throw away what was heard and is in no item.

        Raises:
            ForgottenError: As `drain` does.
        """
        self._pull()
        if hearing := self._taking():
            hearing.items.clear()
            self._flush(hearing)
            hearing.committed = hearing.received
        self._told.append({"type": "input_audio_buffer.cleared"})

    def finish(self) -> None:
        """End what takes audio; the next audio begins with other settings."""
        if hearing := self._taking():
            hearing.is_ended = True
            self._hub.end(hearing.stream)

    def watch(self, watches: Sequence[Watch]) -> None:
        """Listen for these and nothing else; those that stay as they are go on."""
        if hearing := self._taking():
            names = {watch.id for watch in watches}
            for name in hearing.watched - names:
                self._hub.unwatch(hearing.stream, Unwatch(id=name))
            for watch in watches:
                self._hub.watch(hearing.stream, watch)
            hearing.watched = names

    def drain(self) -> list[Json]:
        """Return what is told since the last time.

        Raises:
            ForgottenError: If that is so long ago that some of it is lost.
        """
        self._pull()
        told, self._told = self._told, []
        return told

    def close(self) -> None:
        """Free all; what is not told is lost."""
        for hearing in self._hearings:
            self._free(hearing)
        self._hearings.clear()

    def _taking(self) -> _Hearing | None:
        """Return what takes audio, if anything does."""
        if not self._hearings or self._hearings[-1].is_ended:
            return None
        return self._hearings[-1]

    def _begin(self, session: Json) -> _Hearing:
        start = openai_session.start_of(session)
        base = self._hub.config.segmenter
        segmenter = openai_session.segmenter_of(session, base)
        stream, _ = self._hub.open(start, self._owner, segmenter=segmenter)
        stream.changed = self._changed  # one writer waits for all of them
        last = self._hearings[-1] if self._hearings else None
        hearing = _Hearing(
            stream=stream,
            superseded=self._hub.attach(stream),
            items=Items(
                manual=openai_session.is_manual(session),
                transcribed=openai_session.is_transcribed(session),
                turns=self.conversation.turns,
            ),
            format=PcmFormat(rate=start.rate, encoding=start.encoding),
            offset=last.offset + last.received if last else 0,
            watched={watch.id for watch in start.watches},
        )
        self._hearings.append(hearing)
        return hearing

    async def _hear(
        self, hearing: _Hearing, data: bytes
    ) -> AsyncIterator[tuple[Stream, bool]]:
        size = int(hearing.format.rate * SLICE_S) * hearing.format.sample_bytes
        for start in range(0, len(data), size):
            self._hub.push(hearing.stream, data[start : start + size])
            yield hearing.stream, start + size < len(data)

    def _flush(self, hearing: _Hearing) -> None:
        """End the segment under way; its client says itself when it is answered."""
        self._is_flushing = True
        try:
            self._hub.flush(hearing.stream)
            self._pull()
        finally:
            self._is_flushing = False

    def _pull(self) -> None:
        """Turn what the hub's sessions have told into what a client is told."""
        for hearing in self._hearings:
            for event in hearing.stream.log.after(hearing.seq):
                hearing.seq = event.seq
                if isinstance(event, Error) and event.ends_session:
                    self.ended_by = event
                elif isinstance(event, Ended):
                    hearing.is_over = True
                else:
                    if isinstance(event, SpeechEnded) and not hearing.items.manual:
                        hearing.committed = event.end
                    self._tell(hearing, event)
        self._mind_idle()
        # The last one stays: it knows where the next one's audio begins.
        for hearing in [one for one in self._hearings[:-1] if one.is_over]:
            self._hearings.remove(hearing)
            self._free(hearing)

    def _mind_idle(self) -> None:
        """Let the model speak again if nobody has for long after its answer."""
        hearing = self._taking()
        if hearing is None or hearing.items.manual:
            return
        now, idle_ms = hearing.offset + hearing.received, self.conversation.idle_ms
        start = self._idle.push(
            now,
            answering=self.conversation.is_answering,
            speaking=hearing.items.is_speaking,
            most=None if idle_ms is None else idle_ms * SAMPLE_RATE // 1000,
        )
        if start is not None:
            hearing.committed = hearing.received
            self._told += hearing.items.time_out(start, now)
            self._told += self.conversation.turn_ended()

    def _tell(self, hearing: _Hearing, event: ServerEvent) -> None:
        """Tell of an event; let the conversation follow the server's turns."""
        if isinstance(event, Answer):
            hearing.asked.discard(event.id)
        elif isinstance(event, Error) and event.question is not None:
            hearing.asked.discard(event.question)
        elif isinstance(event, Error) and event.segment is None:
            # Sounds or a watch, not told for now: no event of OpenAI's is about them.
            error = describe(BY_CODE.get(event.code, ENGINE), event.message)
            self._told.append({"type": "error", "error": error | {"event_id": None}})
        elif isinstance(event, Sound | Noticed):
            self._told += openai_listening.told(event, offset=hearing.offset)
        told = hearing.items.push(event, offset=hearing.offset)
        self._told += [*told, *self.conversation.push(event)]
        if told and isinstance(event, SpeechStarted):
            self._told += self.conversation.turn_began()
        elif told and isinstance(event, SpeechEnded) and not self._is_flushing:
            self._told += self.conversation.turn_ended()

    def _ask(self, ask: Ask) -> None:
        """Ask about what is heard; without any of it, say so in the answer's place."""
        if hearing := self._taking():
            hearing.asked.add(ask.id)
            self._hub.ask(hearing.stream, ask)
        else:
            problem = "nothing was heard yet with these settings"
            error = refusal(ask.id, ProtocolError(problem))
            self._told += self.conversation.push(error)

    def _cancel(self, cancel: Cancel) -> None:
        for hearing in self._hearings:
            if cancel.id in hearing.asked:
                hearing.asked.remove(cancel.id)
                self._hub.cancel(hearing.stream, cancel)

    def _free(self, hearing: _Hearing) -> None:
        self._hub.detach(hearing.stream, hearing.superseded)
        self._hub.forget(hearing.stream)
