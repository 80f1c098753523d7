"""What a chat completion asks: a question in words, about audio that comes with it.

    messages ─┬─ system, and the last of the user's ─▶ question
              └─ the last of the user's with audio  ─▶ files, still encoded

A model that was trained on single turns is asked the last one; earlier answers are
taken and not read (docs/adr/0024).  Pure: it decodes no audio and knows no engine.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from stream.errors import quote
from stream.protocols.openai_checks import (
    Json,
    between,
    boolean,
    json_object,
    one_of,
    only_text,
    whole_between,
)
from stream.protocols.openai_errors import FieldError
from stream.questions import MAX_TEMPERATURE, MAX_TEXT, MAX_TOKENS

DEFAULT_TOKENS: Final = 200
MAX_MESSAGES: Final = 256
MAX_STOPS: Final = 4
MAX_STOP: Final = 100  # characters
CONTAINERS: Final = {
    "wav": ("WAV", "WAVEX", "RF64"),
    "mp3": ("MP3", "MPEG"),
    "flac": ("FLAC",),
    "ogg": ("OGG",),
}
"""What a client may call its audio, and what libsndfile calls that."""
TOLD: Final = ("system", "developer")
ROLES: Final = (*TOLD, "user", "assistant")
UNSERVED: Final = {
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "n": (None, 1),
    "logit_bias": (None, {}),
    "functions": (None, []),
    "prediction": (None,),
}
"""What would change an answer, and the values that do not; any other is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPart:
    """A file in a message."""

    where: str
    """Its place in the body, for errors."""
    format: str
    """One of `CONTAINERS`."""
    encoded: str
    """In base64."""

    def decode(self) -> bytes:
        """Return the file.

        Raises:
            FieldError: If it is not base64.
        """
        try:
            return base64.b64decode(self.encoded, validate=True)
        except (binascii.Error, ValueError) as exc:
            raise FieldError(f"{self.where}.data", f"is not base64: {exc}") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatWishes:
    """What is asked, about what, and how the answer is wanted."""

    question: str
    audio: tuple[AudioPart, ...]
    """At least one; they are heard one behind the other."""
    max_tokens: int
    temperature: float
    stop: tuple[str, ...]
    """Where one of these begins, the answer ends."""
    stream: bool
    include_usage: bool
    """Whether a stream ends by telling what it cost."""


def read_chat(body: Json) -> ChatWishes:
    """Return what a body asks for.

    Raises:
        FieldError: If a field is not what it should be, or asks for what is not served.
    """
    for name, harmless in UNSERVED.items():
        if (value := body.get(name)) not in harmless:
            raise FieldError(name, f"is {quote(value)}; this server cannot do that")
    only_text("modalities", body.get("modalities") or ["text"])
    _only_plain_text(body.get("response_format"))
    choice = body.get("tool_choice")
    one_of("none", "auto", None)("tool_choice", choice)
    messages = body.get("messages")
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_MESSAGES:
        problem = f"is {quote(messages)}; expected a list of 1 to {MAX_MESSAGES}"
        raise FieldError("messages", problem)
    question, audio = _asked(messages)
    stream_options = body.get("stream_options") or {}
    options = json_object("stream_options", stream_options)
    return ChatWishes(
        question=question,
        audio=audio,
        max_tokens=_max_tokens(body),
        temperature=between(0.0, MAX_TEMPERATURE)(
            "temperature", _or(body.get("temperature"), 0.0)
        ),
        stop=_stops(body.get("stop")),
        stream=boolean("stream", _or(body.get("stream"), False)),
        include_usage=boolean(
            "stream_options.include_usage", _or(options.get("include_usage"), False)
        ),
    )


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _only_plain_text(value: Any) -> None:
    if value is not None:
        kind = json_object("response_format", value).get("type")
        one_of("text")("response_format.type", kind)


def _max_tokens(body: Json) -> int:
    name = "max_completion_tokens"
    if body.get(name) is None:
        name = "max_tokens"
    wanted = whole_between(1, 1 << 31)(name, _or(body.get(name), DEFAULT_TOKENS))
    return int(min(wanted, MAX_TOKENS))


def _stops(value: Any) -> tuple[str, ...]:
    stops = [] if value is None else [value] if isinstance(value, str) else value
    if (
        not isinstance(stops, list)
        or len(stops) > MAX_STOPS
        or not all(isinstance(one, str) and 0 < len(one) <= MAX_STOP for one in stops)
    ):
        problem = f"is {quote(value)}; expected a text, or a list of {MAX_STOPS} texts"
        raise FieldError("stop", f"{problem}, of 1 to {MAX_STOP} characters")
    return tuple(stops)


def _asked(messages: list[Any]) -> tuple[str, tuple[AudioPart, ...]]:
    """Return the question, and the audio that it is about."""
    told: list[str] = []
    question, audio, last = "", tuple[AudioPart, ...](), ""
    for i, value in enumerate(messages):
        where = f"messages[{i}]"
        message = json_object(where, value)
        last = message.get("role", "")
        one_of(*ROLES)(f"{where}.role", last)
        parts = [*_parts(f"{where}.content", message.get("content"), last)]
        texts = [part for part in parts if isinstance(part, str)]
        files = tuple(part for part in parts if isinstance(part, AudioPart))
        if last in TOLD:
            told += texts
        elif last == "user":
            question, audio = "\n".join(texts), files or audio
    if last != "user":
        problem = f"has the role {quote(last)}; expected the user's at last"
        raise FieldError(f"messages[{len(messages) - 1}]", problem)
    text = "\n".join(part for part in (*told, question) if part.strip())
    if not text:
        raise FieldError("messages", "ask nothing: there is no text at the end")
    if len(text) > MAX_TEXT:
        problem = f"ask in {len(text)} characters; at most {MAX_TEXT} are taken"
        raise FieldError("messages", problem)
    if not audio:
        raise FieldError("messages", "have no input_audio: there is nothing to hear")
    return text, audio


def _parts(where: str, content: Any, role: str) -> Iterator[str | AudioPart]:
    """Yield the texts and the files of a message."""
    if isinstance(content, str) or (content is None and role == "assistant"):
        yield content or ""
        return
    if not isinstance(content, list):
        problem = f"is {quote(content)}; expected a text, or a list of parts"
        raise FieldError(where, problem)
    for i, value in enumerate(content):
        place = f"{where}[{i}]"
        part = json_object(place, value)
        match part.get("type"):
            case "text" if isinstance(text := part.get("text"), str):
                yield text
            case "input_audio" if role == "user":
                yield _audio(f"{place}.input_audio", part.get("input_audio"))
            case kind:
                expected = "text or input_audio" if role == "user" else "text"
                problem = f"is {quote(kind)}; expected {expected}"
                raise FieldError(f"{place}.type", problem)


def _audio(where: str, value: Any) -> AudioPart:
    audio = json_object(where, value)
    kind = one_of(*CONTAINERS)(f"{where}.format", audio.get("format"))
    encoded = audio.get("data")
    if not isinstance(encoded, str):
        raise FieldError(f"{where}.data", f"is {quote(encoded)}; expected base64")
    return AudioPart(where=where, format=kind, encoded=encoded)
