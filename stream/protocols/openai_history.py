"""The items of an OpenAI Realtime conversation, as its client may ask for them again.

Pure.  The newest are kept, without their audio, which is kept nowhere.
"""

import json
from typing import Any

from stream.errors import quote
from stream.protocols.openai_checks import Json
from stream.protocols.openai_errors import FieldError

MOST_ITEMS = 1024
"""Of one conversation; the oldest go first.  Whoever asks for one of them is told that
there is no such item."""
MOST_SIZE = 1 << 20
"""Characters of their JSON, all together; likewise."""


class History:
    """The items of one conversation, in their order."""

    def __init__(self, *, last: str | None = None) -> None:
        """Begin.

        Args:
            last: The item that these follow.
        """
        self.last = last
        """The last item."""
        self._items: dict[str, Json] = {}
        self._size = 0

    def __contains__(self, name: str) -> bool:
        return name in self._items

    def add(self, name: str) -> dict[str, str | None]:
        """Add an item to the end; return what tells its place."""
        place = {"previous_item_id": self.last}
        self.last = name
        self._put(name, {})
        return place

    def note(self, item: Json) -> None:
        """Keep what an item is now, unless it is gone."""
        if (name := item["id"]) in self._items:
            self._size -= _size_of(self._items[name])
            self._put(name, item)

    def transcribed(self, name: str, transcript: str) -> None:
        """Note what was said in an item of audio, unless its client has said it."""
        item = self._items.get(name, {})
        parts = list(item.get("content", ()))
        for i, part in enumerate(parts):
            if part["type"] == "input_audio" and part["transcript"] is None:
                parts[i] = part | {"transcript": transcript}
                self.note(item | {"content": parts})
                return

    def find(self, name: Any) -> Json:
        """Return an item.

        Raises:
            FieldError: If there is no such item.
        """
        if not isinstance(name, str) or name not in self._items:
            raise FieldError("item_id", f"is {quote(name)}; there is no such item")
        return self._items[name]

    def delete(self, name: Any) -> None:
        """Take an item out.

        Raises:
            FieldError: If there is no such item.
        """
        self._size -= _size_of(self.find(name))
        del self._items[name]
        if self.last == name:
            self.last = next(reversed(self._items), None)

    def _put(self, name: str, item: Json) -> None:
        self._items[name] = item
        self._size += _size_of(item)
        self._forget()

    def _forget(self) -> None:
        while len(self._items) > MOST_ITEMS or self._size > MOST_SIZE:
            self._size -= _size_of(self._items.pop(next(iter(self._items))))


def _size_of(item: Json) -> int:
    return len(json.dumps(item, ensure_ascii=False))
