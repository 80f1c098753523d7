"""One response of an OpenAI Realtime conversation: what is told of it while it lasts.

    created ─▶ output_item.added, content_part.added ─▶ output_text.delta …
            ─▶ output_text.done, content_part.done, output_item.done ─▶ response.done

Pure.  A response that is not of the conversation (`conversation: "none"`) tells of
no `conversation.item`.
"""

import secrets
from typing import Any

from stream.events import Answer, Error
from stream.protocols.openai_checks import Json
from stream.protocols.openai_errors import BY_CODE, ENGINE

NAME_BYTES = 12  # of randomness in a name
COMPLETED, INCOMPLETE = "completed", "incomplete"


class Response:
    """From its creation to `response.done`."""

    def __init__(
        self,
        *,
        conversation: str | None,
        metadata: Json | None,
        max_output_tokens: int | str,
    ) -> None:
        """Begin.

        Args:
            conversation: The name of the conversation that its item joins, if any.
            metadata: Sent back as it is.
            max_output_tokens: As the client gave it.
        """
        self.id = f"resp_{secrets.token_hex(NAME_BYTES)}"
        self.item_id = f"item_{secrets.token_hex(NAME_BYTES)}"
        self._conversation, self._metadata = conversation, metadata
        self._max_output_tokens = max_output_tokens
        self._place: Json = {}
        self._text = ""
        self._has_item = False

    @property
    def in_conversation(self) -> bool:
        """Whether its item joins the conversation."""
        return self._conversation is not None

    def created(self) -> Json:
        """Return what tells that it has begun."""
        return {"type": "response.created", "response": self._shown("in_progress")}

    def begin(self, place: Json | None) -> list[Json]:
        """Begin its item.

        Args:
            place: The item's place in the conversation; None if it is in none.
        """
        self._has_item, self._place = True, place or {}
        item = self._item("in_progress", [])
        part = {"type": "text", "text": ""}
        return [
            *self._about_item("added", item),
            self._about("content_part.added", part=part),
        ]

    def grow(self, text: str) -> list[Json]:
        """Return what the text so far adds."""
        added = text[len(self._text) :]
        if not added:
            return []
        self._text = text
        return [self._about("output_text.delta", delta=added)]

    def finish(self, answer: Answer) -> list[Json]:
        """End with the answer's whole text."""
        told = self.grow(answer.text)
        if answer.finish == "stop":
            return [*told, *self._end(COMPLETED, None, answer)]
        details: Json = {"type": INCOMPLETE}
        if answer.finish == "length":
            details["reason"] = "max_output_tokens"
        return [*told, *self._end(INCOMPLETE, details, answer)]

    def say(self, text: str) -> list[Json]:
        """End with a text that no model has generated."""
        return [*self.grow(text), *self._end(COMPLETED, None)]

    def cancelled(self, reason: str) -> list[Json]:
        """End with what there is of the text."""
        return self._end("cancelled", {"type": "cancelled", "reason": reason})

    def failed(self, error: Error) -> list[Json]:
        """End with an error in place of the answer, or of its rest."""
        kind = BY_CODE.get(error.code, ENGINE)
        told = {"type": kind.type, "code": kind.code, "message": error.message}
        return self._end("failed", {"type": "failed", "error": told})

    def _end(
        self, status: str, details: Json | None, answer: Answer | None = None
    ) -> list[Json]:
        response = self._shown(status) | {
            "status_details": details,
            "usage": _usage(answer) if answer else None,
        }
        told: list[Json] = []
        if self._has_item:
            item = self._item(
                COMPLETED if status == COMPLETED else INCOMPLETE,
                [{"type": "output_text", "text": self._text}],
            )
            response["output"] = [item]
            told += [
                self._about("output_text.done", text=self._text),
                self._about(
                    "content_part.done", part={"type": "text", "text": self._text}
                ),
                *self._about_item("done", item),
            ]
        return [*told, {"type": "response.done", "response": response}]

    def _about(self, what: str, **facts: Any) -> Json:
        return {
            "type": f"response.{what}",
            "response_id": self.id,
            "item_id": self.item_id,
            "output_index": 0,
            "content_index": 0,
            **facts,
        }

    def _about_item(self, what: str, item: Json) -> list[Json]:
        """Return what tells of the item, to the response and to the conversation."""
        told: list[Json] = [
            {
                "type": f"response.output_item.{what}",
                "response_id": self.id,
                "output_index": 0,
                "item": item,
            }
        ]
        if self.in_conversation:
            about = f"conversation.item.{what}"
            told.append({"type": about, **self._place, "item": item})
        return told

    def _item(self, status: str, content: list[Json]) -> Json:
        return {
            "id": self.item_id,
            "object": "realtime.item",
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        }

    def _shown(self, status: str) -> Json:
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": None,
            "output": [],
            "conversation_id": self._conversation,
            "output_modalities": ["text"],
            "max_output_tokens": self._max_output_tokens,
            "usage": None,
            "metadata": self._metadata,
        }


def _usage(answer: Answer) -> Json:
    """Return what an answer cost; audio and text before it are counted together."""
    return {
        "total_tokens": answer.prompt_tokens + answer.tokens,
        "input_tokens": answer.prompt_tokens,
        "output_tokens": answer.tokens,
        "output_token_details": {"text_tokens": answer.tokens, "audio_tokens": 0},
    }
