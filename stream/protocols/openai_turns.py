"""The order of an OpenAI Realtime conversation's items, and what is asked next.

    audio, text, answer, text, audio ─▶ the instructions, the texts since the last
                                        response, and the audio that they are about

A question is about the last audio of the user's; if a text came after it, about the
last seconds of all that was heard.  Pure.  A model is asked about audio and keeps no
dialogue: what was answered before is not part of a question.
"""

from typing import Any

from stream.errors import quote
from stream.events import Ask
from stream.protocols.openai_checks import Json, json_object, whole_between
from stream.protocols.openai_errors import FieldError
from stream.protocols.openai_history import History
from stream.protocols.openai_item_form import Given, text_of
from stream.questions import MAX_TEXT
from stream.recent import MAX_SECONDS

WHAT = "What do you hear?"
"""Asked where neither instructions nor an item say what."""
_whole = whole_between(0, 1 << 31)


class Turns:
    """The items of one conversation, as far as the next question needs them."""

    def __init__(self, *, last: str | None = None) -> None:
        """Begin.

        Args:
            last: The item that these follow.
        """
        self.history = History(last=last)
        """All items."""
        self._audio: str | None = None
        """The last item of audio."""
        self._seconds: float | None = None
        """Of it, if the client says where it ends; else it is the last segment."""
        self._is_audio_newest = False
        self._texts: dict[str, str] = {}
        """Of the user, since the last response, by their items."""

    def add_audio(
        self, name: str, *, seconds: float | None = None
    ) -> dict[str, str | None]:
        """Add an item of audio; return what tells its place.

        Args:
            name: Of the item.
            seconds: Its length, if the client committed it.
        """
        self.heard(name, seconds)
        return self.history.add(name)

    def heard(self, name: str, seconds: float | None) -> None:
        """Note what audio came last; as `add_audio`, for an item that is there."""
        self._audio, self._seconds, self._is_audio_newest = name, seconds, True

    def create(self, given: Given) -> list[Json]:
        """Add an item of the client's; return what tells that it is there, and done.

        Raises:
            FieldError: If there is another one of its name, or too much is asked.
        """
        if given.name in self.history:
            problem = f"is {quote(given.name)}, which is the name of another item"
            raise FieldError("item.id", problem)
        if given.text is not None:
            if sum(map(len, self._texts.values())) + len(given.text) > MAX_TEXT:
                problem = f"makes more than {MAX_TEXT} characters since the last answer"
                raise FieldError("item.content", problem)
            self._texts[given.name] = given.text
            self._is_audio_newest = False
        place = self.history.add(given.name)
        self.history.note(given.shown)
        return [
            {"type": f"conversation.item.{what}", **place, "item": given.shown}
            for what in ("added", "done")
        ]

    def retrieve(self, name: Any) -> list[Json]:
        """Return what tells an item.

        Raises:
            FieldError: If there is no such item.
        """
        item = self.history.find(name)
        return [{"type": "conversation.item.retrieved", "item": item}]

    def delete(self, name: Any) -> list[Json]:
        """Take an item out, so that nothing is asked with it; return what is told.

        Raises:
            FieldError: If there is no such item.
        """
        self.history.delete(name)
        self._texts.pop(name, None)
        if name == self._audio:
            self._audio, self._is_audio_newest = None, False
        return [{"type": "conversation.item.deleted", "item_id": name}]

    def truncate(self, event: Json) -> list[Json]:
        """Take an answer's text away, as if it had not been heard; return what is told.

        Raises:
            FieldError: If there is no such item, or it is no answer.
        """
        item = self.history.find(event.get("item_id"))
        if item.get("role") != "assistant":
            problem = f"is {quote(item['id'])}; only an answer can be truncated"
            raise FieldError("item_id", problem)
        where = {
            name: _whole(name, event.get(name))
            for name in ("content_index", "audio_end_ms")
        }
        text = {"type": "output_text", "text": ""}
        self.history.note(item | {"content": [text]})
        told = {"type": "conversation.item.truncated", "item_id": item["id"]}
        return [told | where]

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
        texts, about_audio = [*self._texts.values()], self._is_audio_newest
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
        self._texts = {}

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
                texts.append(text_of(where, item))
            elif self._audio is None or item.get("id") != self._audio:
                problem = "is not the last item of audio; others cannot be asked about"
                raise FieldError(where, problem)
            else:
                about_audio = True
        return texts, about_audio
