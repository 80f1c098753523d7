"""Questions and their answers, as the responses of an OpenAI Realtime conversation.

    response.create ─▶ Ask ─▶ session ─▶ answer_started, … ─▶ response.output_text.…

Pure: it knows no connection and no hub.  What a response is about, its items say
(openai_turns.py); what is told of it while it lasts, openai_replies.py.
"""

import secrets
from typing import Any, Literal

from stream.events import Answer, AnswerPartial, AnswerStarted, Ask, Error
from stream.protocols.openai_checks import (
    Json,
    instructions,
    json_object,
    one_of,
    only_text,
    tokens_or_inf,
)
from stream.protocols.openai_errors import FieldError, RefusedError
from stream.protocols.openai_replies import Response
from stream.protocols.openai_turns import Turns
from stream.questions import MAX_TOKENS

NAME_BYTES = 12  # of randomness in a conversation's name
MAX_METADATA = 16  # pairs
MAX_KEY, MAX_VALUE = 64, 512  # characters of a pair

Reason = Literal["client_cancelled", "turn_detected"]
_conversation = one_of("auto", "none")


class ActiveError(RefusedError):
    """Raised when the conversation has a response under way already."""

    told_as = "conversation_already_has_active_response"


class NotActiveError(RefusedError):
    """Raised when there is no response that could be cancelled."""

    told_as = "response_cancel_not_active"


class Responses:
    """The responses of one conversation that are not done."""

    def __init__(self, turns: Turns) -> None:
        """Begin without responses.

        Args:
            turns: Of the conversation; shared with what adds other items to it.
        """
        self._turns = turns
        self._conversation = f"conv_{secrets.token_hex(NAME_BYTES)}"
        self._open: dict[str, Response] = {}

    @property
    def active(self) -> str | None:
        """The response of the conversation itself that is under way."""
        return next((r.id for r in self._open.values() if r.in_conversation), None)

    def create(self, wanted: Any, session: Json) -> tuple[Ask, Json]:
        """Begin a response; return the question, and what is told.

        Args:
            wanted: What the client sent as `response`; None where it sent none.
            session: The settings.

        Raises:
            FieldError: If a value is not what it should be.
            ActiveError: If the conversation has one already.
        """
        wanted = {} if wanted is None else json_object("response", wanted)
        conversation = _conversation(
            "response.conversation", wanted.get("conversation", "auto")
        )
        in_conversation = conversation == "auto"
        if in_conversation and self.active is not None:
            raise ActiveError(f"the conversation has an active response, {self.active}")
        only_text("response.output_modalities", wanted.get("output_modalities", []))
        most = tokens_or_inf(
            "response.max_output_tokens",
            wanted.get("max_output_tokens", session["max_output_tokens"]),
        )
        told = instructions(
            "response.instructions",
            wanted.get("instructions", session["instructions"]),
        )
        response = Response(
            conversation=self._conversation if in_conversation else None,
            metadata=_metadata(wanted.get("metadata")),
            max_output_tokens=most,
        )
        ask = self._turns.question(
            response.id,
            instructions=told,
            items=wanted.get("input"),
            max_tokens=MAX_TOKENS if isinstance(most, str) else min(most, MAX_TOKENS),
        )
        if in_conversation:
            self._turns.answered()
        self._open[response.id] = response
        return ask, response.created()

    def cancel(self, name: Any, *, reason: Reason) -> tuple[str, list[Json]]:
        """End a response; return the id of its question, and what is told.

        Args:
            name: Of the response; None cancels that of the conversation itself.
            reason: Why.

        Raises:
            NotActiveError: If there is no such response.
        """
        wanted = self.active if name is None else name
        found = self._open.pop(wanted, None) if isinstance(wanted, str) else None
        if found is None:
            raise NotActiveError("there is no such response to cancel")
        return found.id, self._noted(found.cancelled(reason))

    def push(self, event: object) -> list[Json]:
        """Take an event of the session; return what is told."""
        match event:
            case AnswerStarted(id=name) if response := self._open.get(name):
                place = None
                if response.in_conversation:
                    place = self._turns.history.add(response.item_id)
                return self._noted(response.begin(place))
            case AnswerPartial(id=name, text=text) if response := self._open.get(name):
                return response.grow(text)
            case Answer(id=name) if response := self._open.pop(name, None):
                return self._noted(response.finish(event))
            case Error(question=str(name)) if response := self._open.pop(name, None):
                return self._noted(response.failed(event))
        return []

    def _noted(self, told: list[Json]) -> list[Json]:
        """Return what is told, its item kept in the conversation's history."""
        for event in told:
            if event["type"].startswith("conversation.item."):
                self._turns.history.note(event["item"])
        return told


def _metadata(value: Any) -> Json | None:
    """Return what is sent back with the response.

    Raises:
        FieldError: If it is not a few short pairs of texts.
    """
    if value is None:
        return None
    where = "response.metadata"
    pairs = json_object(where, value)
    if len(pairs) > MAX_METADATA or not all(
        isinstance(text, str) and len(key) <= MAX_KEY and len(text) <= MAX_VALUE
        for key, text in pairs.items()
    ):
        raise FieldError(
            where,
            f"is not at most {MAX_METADATA} texts of {MAX_VALUE} characters, with "
            f"names of {MAX_KEY}",
        )
    return pairs
