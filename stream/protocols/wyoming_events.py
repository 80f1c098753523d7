"""What is told and asked over Wyoming, as values: services, formats, transcripts.

Pure: frames and events of our sessions in, the names and fields of what a client is
told out.  It knows no connection.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.api import EngineInfo
from stream.errors import AudioFormatError, ProtocolError, quote
from stream.events import (
    Answer,
    AnswerPartial,
    AnswerStarted,
    Error,
    Final,
    ServerEvent,
    SpeechStarted,
)
from stream.protocols.openai_text import Deltas, whole
from stream.protocols.wyoming_frames import WyomingFrame

NAME = "salmonn-live"
ENCODINGS = {1: "u8", 2: "s16le", 3: "s24le", 4: "s32le"}
"""By the width of a sample in bytes."""

Told = tuple[str, Mapping[str, Any]]
"""The type of an event for the client, and its fields."""
AudioFormat = tuple[int, int, int]
"""Rate, width and channels, as a client says them."""


def services(info: EngineInfo, version: str) -> Told:
    """Return the answer to `describe`: what can be had here."""
    artifact = {
        "attribution": {"name": NAME, "url": ""},
        "installed": True,
        "version": version,
    }
    model = artifact | {
        "name": info.model,
        "description": info.description,
        "languages": list(info.languages),
    }
    hears = artifact | {
        "name": NAME,
        "description": "Speech to text, while it is spoken",
        "models": [model],
        "supports_transcript_streaming": True,
        "requires_external_vad": True,
    }
    answers = artifact | {
        "name": NAME,
        "description": "Answers questions about the sound that was heard last",
        "models": [model],
        "supports_handled_streaming": True,
        "supports_home_control": False,
    }
    none_of_ours = ("tts", "intent", "wake", "mic", "snd")
    return "info", {
        "asr": [hears],
        "handle": [answers] if info.answers_questions else [],
        **{domain: [] for domain in none_of_ours},
    }


def read_text(frame: WyomingFrame, key: str) -> str | None:
    """Return a text of an event, None if it has none.

    Raises:
        ProtocolError: If it is something else.
    """
    value = frame.data.get(key)
    if value is not None and not isinstance(value, str):
        raise ProtocolError(f"{frame.type}: {key} is {quote(value)}; expected a text")
    return value


def read_language(frame: WyomingFrame, info: EngineInfo) -> str | None:
    """Return the language of an event as the engine names it: `en-GB` is `en`.

    Raises:
        ProtocolError: If it is no text.
    """
    named = read_text(frame, "language")
    if not named or named in info.languages:
        return named or None
    return named.replace("_", "-").partition("-")[0].lower()


def read_format(frame: WyomingFrame, known: AudioFormat | None) -> AudioFormat:
    """Return the format of an event's audio.

    Args:
        frame: The event.
        known: The format that goes on, if audio does: the event need not repeat it.

    Raises:
        ProtocolError: If a field is missing or no whole number.
        AudioFormatError: If a sample is of a width that we do not read, or the format
            changes.
    """
    keys = ("rate", "width", "channels")
    if known is not None and not any(key in frame.data for key in keys):
        return known
    for key in keys:
        value = frame.data.get(key)
        if type(value) is not int:
            raise ProtocolError(
                f"{frame.type}: {key} is {quote(value)}; expected a whole number"
            )
    rate, width, channels = (frame.data[key] for key in keys)
    if width not in ENCODINGS:
        raise AudioFormatError(f"width is {quote(width)}; expected 1, 2, 3 or 4 bytes")
    if known not in (None, (rate, width, channels)):
        found = quote((rate, width, channels))
        raise AudioFormatError(
            f"{frame.type}: rate, width and channels are {found}; they were {known}"
        )
    return rate, width, channels


class Transcript:
    """The text of one utterance of a client, which may be several of our segments.

    Its pieces only grow: `transcript-chunk` tells what has become certain.
    """

    def __init__(self) -> None:
        self._deltas = Deltas()
        self._finals: list[Final] = []
        self._open: set[int] = set()
        """Segments without their finals."""
        self._is_begun = False

    @property
    def is_settled(self) -> bool:
        """Whether all that was said until now has its final."""
        return not self._open

    @property
    def text(self) -> str:
        """What was said, as far as it has finals."""
        return whole(self._finals)

    def push(self, event: ServerEvent) -> Iterator[Told]:
        """Take an event of the session; yield what the client is told."""
        match event:
            case SpeechStarted(segment=segment):
                self._open.add(segment)
            case Final(segment=segment):
                self._open.discard(segment)
                self._finals.append(event)
        if added := self._deltas.push(event):
            yield from self._begin()
            yield "transcript-chunk", {"text": added}

    def end(self) -> Iterator[Told]:
        """Yield the whole, and the end."""
        yield from self._begin()
        yield "transcript", {"text": self.text, **self._language()}
        yield "transcript-stop", {}

    def _begin(self) -> Iterator[Told]:
        if not self._is_begun:
            self._is_begun = True
            yield "transcript-start", self._language()

    def _language(self) -> dict[str, str]:
        spoken = [final.language for final in self._finals if final.text]
        return {"language": spoken[0]} if spoken else {}


class Handled:
    """The answer to one question, told while it grows."""

    def __init__(self, question: str) -> None:
        """Begin without an answer.

        Args:
            question: Its id in the session.
        """
        self._question = question
        self._told = 0
        """Characters of the answer."""
        self.is_over = False

    def push(self, event: ServerEvent) -> Iterator[Told]:
        """Take an event of the session; yield what the client is told."""
        match event:
            case AnswerStarted(id=self._question):
                yield "handled-start", {}
            case AnswerPartial(id=self._question, text=text):
                yield from self._grow(text)
            case Answer(id=self._question, text=text):
                self.is_over = True
                yield from self._grow(text)
                yield "handled", {"text": text}
                yield "handled-stop", {}
            case Error(question=self._question) | Error(segment=None, question=None):
                self.is_over = True
                yield "not-handled", {"text": event.message}

    def _grow(self, text: str) -> Iterator[Told]:
        if added := text[self._told :]:
            self._told = len(text)
            yield "handled-chunk", {"text": added}
