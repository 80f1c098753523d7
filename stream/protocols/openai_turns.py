"""The order of an OpenAI Realtime conversation's items, and what is asked next.

    audio, text, answer, text, audio ─▶ the instructions, the texts since the last
                                        response, and the audio that they are about

A question is about the last audio of the user's; if a text came after it, about the
last seconds of all that was heard.  Pure.  A model is asked about audio and keeps no
dialogue: what was answered before is not part of a question.
"""

import secrets
from typing import Any

from stream.errors import quote
from stream.events import Ask
from stream.protocols.openai_checks import Json, json_object, one_of
from stream.protocols.openai_errors import FieldError
from stream.questions import MAX_TEXT
from stream.recent import MAX_SECONDS

NAME_BYTES = 12  # of randomness in an item's name
MAX_NAME = 64  # characters of a client's own
WHAT = "What do you hear?"
"""Asked where neither instructions nor an item say what."""
TEXTS = ("input_text", "output_text", "text")
_role = one_of("user", "system", "assistant")


class Turns:
    """The items of one conversation, as far as the next question needs them."""

    def __init__(self, *, last: str | None = None) -> None:
        """Begin.

        Args:
            last: The item that these follow.
        """
        self.last = last
        """The last item."""
        self._audio: str | None = None
        """The last item of audio."""
        self._seconds: float | None = None
        """Of it, if the client committed it; else it is the last segment."""
        self._is_audio_newest = False
        self._texts: list[str] = []
        """Of the user, since the last response."""

    def add(self, name: str) -> dict[str, str | None]:
        """Add an item; return what tells its place."""
        place = {"previous_item_id": self.last}
        self.last = name
        return place

    def add_audio(
        self, name: str, *, seconds: float | None = None
    ) -> dict[str, str | None]:
        """Add an item of audio; return what tells its place.

        Args:
            name: Of the item.
            seconds: Its length, if the client committed it.
        """
        self._audio, self._seconds, self._is_audio_newest = name, seconds, True
        return self.add(name)

    def create(self, wanted: Any) -> list[Json]:
        """Add an item of the client's; return what is told.

        Raises:
            FieldError: If it is no message of text.
        """
        item = json_object("item", wanted)
        role = _role("item.role", item.get("role", "user"))
        text = _text_of("item", item)
        name = item.get("id") or f"item_{secrets.token_hex(NAME_BYTES)}"
        if not isinstance(name, str) or len(name) > MAX_NAME:
            problem = f"is {quote(name)}; expected a text of {MAX_NAME} characters"
            raise FieldError("item.id", problem)
        if role != "assistant":
            if sum(map(len, self._texts)) + len(text) > MAX_TEXT:
                problem = f"makes more than {MAX_TEXT} characters since the last answer"
                raise FieldError("item.content", problem)
            self._texts.append(text)
            self._is_audio_newest = False
        place = self.add(name)
        told = {
            "id": name,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": role,
            "content": item["content"],
        }
        return [
            {"type": f"conversation.item.{what}", **place, "item": told}
            for what in ("added", "done")
        ]

    def question(
        self, name: str, *, instructions: str, items: Any, max_tokens: int
    ) -> Ask:
        """Return what is asked next, and about what.

        Args:
            name: Of the question.
            instructions: What the model is told first.
            items: A response's own `input`, in place of what the user said; None if
                it has none.
            max_tokens: The longest answer.

        Raises:
            FieldError: If the input is not what it should be.
        """
        texts, about_audio = self._texts, self._is_audio_newest
        if items is not None:
            texts, about_audio = self._input(items)
        text = "\n".join(part for part in (instructions, *texts) if part.strip())
        text = text or WHAT
        if not about_audio:
            return Ask(id=name, text=text, max_tokens=max_tokens)
        if self._seconds is None:
            return Ask(id=name, text=text, about="last_segment", max_tokens=max_tokens)
        seconds = min(self._seconds, float(MAX_SECONDS))
        return Ask(id=name, text=text, seconds=seconds, max_tokens=max_tokens)

    def answered(self) -> None:
        """Forget the texts: a response to them has begun."""
        self._texts = []

    def _input(self, items: Any) -> tuple[list[str], bool]:
        """Return the texts of a response's own input, and whether audio is in it."""
        if not isinstance(items, list):
            problem = f"is {quote(items)}; expected a list"
            raise FieldError("response.input", problem)
        texts, about_audio = list[str](), False
        for i, value in enumerate(items):
            where = f"response.input[{i}]"
            item = json_object(where, value)
            if item.get("type") != "item_reference":
                texts.append(_text_of(where, item))
            elif self._audio is None or item.get("id") != self._audio:
                problem = "is not the last item of audio; others cannot be asked about"
                raise FieldError(where, problem)
            else:
                about_audio = True
        return texts, about_audio


def _text_of(where: str, item: Json) -> str:
    """Return the text of a message.

    Raises:
        FieldError: If it is none, or has something else in it.
    """
    kind, content = item.get("type", "message"), item.get("content")
    if kind != "message":
        raise FieldError(f"{where}.type", f"is {quote(kind)}; expected message")
    if not isinstance(content, list):
        problem = f"is {quote(content)}; expected a list"
        raise FieldError(f"{where}.content", problem)
    texts = []
    for i, value in enumerate(content):
        part = json_object(f"{where}.content[{i}]", value)
        kind, text = part.get("type"), part.get("text")
        if kind not in TEXTS or not isinstance(text, str):
            problem = f"is {quote(kind)}; expected input_text, with a text"
            raise FieldError(f"{where}.content[{i}].type", problem)
        texts.append(text)
    return "\n".join(texts)
