"""A conversation of OpenAI's Realtime protocol: who speaks, and who is answered when.

    client's events ─▶ items, responses ─▶ questions ─▶ the session that is heard
    its answers     ─▶ responses        ─▶ what the client is told

A turn of the user's that the server detects is answered by itself, and stops an answer
under way, unless the settings say otherwise.  It knows no connection and no hub.
"""

from collections.abc import Callable
from typing import Any

from stream.events import Ask, Cancel, ServerEvent
from stream.protocols.openai_checks import Json
from stream.protocols.openai_responses import Reason, Responses
from stream.protocols.openai_turns import Turns


class Conversation:
    """The user's and the model's turns of one connection."""

    def __init__(
        self,
        session: Json,
        *,
        ask: Callable[[Ask], None],
        cancel: Callable[[Cancel], None],
    ) -> None:
        """Begin without turns.

        Args:
            session: The settings.
            ask: Asks a question about what is heard.
            cancel: Wants no more of its answer.
        """
        self.session = session
        """The settings that hold now."""
        self.turns = Turns()
        self._responses = Responses(self.turns)
        self._ask, self._cancel = ask, cancel

    @property
    def is_held(self) -> bool:
        """Whether it is a conversation, and not a transcription."""
        return bool(self.session["type"] == "realtime")

    @property
    def is_answering(self) -> bool:
        """Whether an answer is under way that is part of it."""
        return self._responses.active is not None

    @property
    def idle_ms(self) -> int | None:
        """How long nobody may speak after an answer, if that has an end."""
        if not self._wants("create_response"):
            return None
        turns: Json = self.session["audio"]["input"]["turn_detection"]
        return turns.get("idle_timeout_ms")

    def take(self, event: Json) -> list[Json] | None:
        """Take an event of the client's, but for items; return what it is told.

        Returns:
            None if it is no event about items, or one of a conversation, and this is
            none.

        Raises:
            FieldError: If a value is not what it should be.
            RefusedError: If it comes at the wrong time.
        """
        match event.get("type"):
            case "conversation.item.retrieve":
                return self.turns.retrieve(event.get("item_id"))
            case "conversation.item.delete":
                return self.turns.delete(event.get("item_id"))
            case "conversation.item.truncate":
                return self.turns.truncate(event)
            case "output_audio_buffer.clear":
                return []  # nothing was spoken, and what clears names who spoke it
            case _ if not self.is_held:
                return None
            case "response.create":
                return self._create(event.get("response"))
            case "response.cancel":
                return self._stop(event.get("response_id"), "client_cancelled")
        return None

    def push(self, event: ServerEvent) -> list[Json]:
        """Take an event of what is heard; return what is told of responses."""
        return self._responses.push(event)

    def turn_began(self) -> list[Json]:
        """Note that the user speaks; return what is told of an answer it stops."""
        if not self._wants("interrupt_response") or not self.is_answering:
            return []
        return self._stop(None, "turn_detected")

    def turn_ended(self) -> list[Json]:
        """Note that the user has spoken; return what is told of the answer."""
        if not self._wants("create_response") or self.is_answering:
            return []
        return self._create(None)

    def _wants(self, what: str) -> bool:
        if not self.is_held:
            return False
        turns = self.session["audio"]["input"]["turn_detection"]
        return turns is not None and bool(turns.get(what, True))

    def _create(self, wanted: Any) -> list[Json]:
        ask, told = self._responses.create(wanted, self.session)
        self._ask(ask)
        return [told]

    def _stop(self, name: Any, reason: Reason) -> list[Json]:
        question, told = self._responses.cancel(name, reason=reason)
        self._cancel(Cancel(id=question))
        return told
