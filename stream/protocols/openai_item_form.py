"""The item that an OpenAI Realtime client creates: what it says, and how it is shown.

Pure.  Messages have texts, those of the user's audio, too; calls of functions and their
outputs are what clients restore a conversation with, and nothing is asked about them.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from stream.errors import quote
from stream.protocols.openai_checks import (
    Json,
    base64_bytes,
    json_object,
    one_of,
    text_or_none,
)
from stream.protocols.openai_errors import FieldError

NAME_BYTES = 12  # of randomness in an item's name
MAX_NAME = 64  # characters of a client's own
MAX_ITEM = 16_384
"""Characters of an item's JSON, without its audio."""
TEXTS = ("input_text", "output_text", "text")
AUDIO = "input_audio"
CALLS = {
    "function_call": ("name", "arguments"),
    "function_call_output": ("call_id", "output"),
}
"""With the fields that each has to have."""
_role = one_of("user", "system", "assistant")


@dataclass(frozen=True, slots=True)
class Given:
    """An item that a client creates."""

    name: str
    shown: Json
    """The item as it is told."""
    text: str | None = None
    """What the model is asked with it; None, if it is not read."""
    audio: bytes = b""
    """In the format of the settings."""


def read_item(value: Any) -> Given:
    """Return an item.

    Raises:
        FieldError: If it is none that is taken.
    """
    item = json_object("item", value)
    name = item.get("id") or f"item_{secrets.token_hex(NAME_BYTES)}"
    if not isinstance(name, str) or len(name) > MAX_NAME:
        problem = f"is {quote(name)}; expected a text of {MAX_NAME} characters"
        raise FieldError("item.id", problem)
    kind = item.get("type", "message")
    known = {"id": name, "object": "realtime.item", "type": kind, "status": "completed"}
    if isinstance(kind, str) and kind in CALLS:
        given = Given(name, known | _call(item, CALLS[kind]))
    elif kind != "message":
        expected = ", ".join(["message", *CALLS])
        problem = f"is {quote(kind)}; expected one of {expected}"
        raise FieldError("item.type", problem)
    else:
        role = _role("item.role", item.get("role", "user"))
        shown, audio = _content(item.get("content"), hears=role == "user")
        text = None if role == "assistant" else "\n".join(_texts(shown))
        given = Given(name, known | {"role": role, "content": shown}, text, audio)
    if len(json.dumps(given.shown, ensure_ascii=False)) > MAX_ITEM:
        raise FieldError("item", f"has more than {MAX_ITEM} characters")
    return given


def text_of(where: str, item: Json) -> str:
    """Return the text of a message without audio.

    Raises:
        FieldError: If it is none, or has something else in it.
    """
    if (kind := item.get("type", "message")) != "message":
        raise FieldError(f"{where}.type", f"is {quote(kind)}; expected message")
    shown, _ = _content(item.get("content"), where=where, hears=False)
    return "\n".join(_texts(shown))


def _content(
    content: Any, *, where: str = "item", hears: bool
) -> tuple[list[Json], bytes]:
    """Return the parts of a message as they are shown, and its audio."""
    if not isinstance(content, list):
        problem = f"is {quote(content)}; expected a list"
        raise FieldError(f"{where}.content", problem)
    shown, audio = list[Json](), b""
    for i, value in enumerate(content):
        part = json_object(f"{where}.content[{i}]", value)
        kind, text = part.get("type"), part.get("text")
        if hears and kind == AUDIO:
            audio += _audio(f"{where}.content[{i}].audio", part.get("audio"))
            transcript = text_or_none(
                f"{where}.content[{i}].transcript", part.get("transcript")
            )
            shown.append({"type": kind, "transcript": transcript})
        elif isinstance(text, str) and kind in TEXTS:
            shown.append({"type": kind, "text": text})
        else:
            expected = f"input_text{f' or {AUDIO}' * hears}"
            problem = f"is {quote(kind)}; expected {expected}, with a text"
            raise FieldError(f"{where}.content[{i}].type", problem)
    return shown, audio


def _audio(where: str, value: Any) -> bytes:
    if not (audio := base64_bytes(where, value)):
        raise FieldError(where, "is empty")
    return audio


def _texts(shown: list[Json]) -> list[str]:
    return [part["text"] for part in shown if part["type"] != AUDIO]


def _call(item: Json, fields: tuple[str, ...]) -> Json:
    shown = {field: item.get(field) for field in ("call_id", *fields)}
    for field in fields:
        if not isinstance(shown[field], str):
            problem = f"is {quote(shown[field])}; expected a text"
            raise FieldError(f"item.{field}", problem)
    text_or_none("item.call_id", shown["call_id"])
    return shown
