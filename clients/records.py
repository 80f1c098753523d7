"""Events as JSON lines, for programs.

The fields that every line has are the same for all events, null where an event has
none; they are an interface: add some, rename none.
"""

from collections.abc import Sequence
from typing import Any, TextIO

from clients.latency import Arrival
from clients.marks import Mark
from clients.output import OutputFile
from stream.audio import SAMPLE_RATE
from stream.events import (
    Answer,
    AnswerPartial,
    AnswerStarted,
    Error,
    Final,
    Partial,
    ServerEvent,
    SpeakerNamed,
    Speakers,
    SpeakerTurn,
    SpeechEnded,
    SpeechStarted,
    Word,
)
from stream.messages import json_text
from stream.sound_events import Noticed, Sound

SegmentEvent = SpeechStarted | Partial | SpeechEnded | Final
AnswerEvent = AnswerStarted | AnswerPartial | Answer
SpeakerEvent = Speakers | SpeakerNamed
SoundEvent = Sound | Noticed


def seconds(samples: int) -> float:
    """Return a position of an event in seconds, to the millisecond."""
    return round(samples / SAMPLE_RATE, 3)


def record(
    event: ServerEvent, *, file: str | None = None, latency_s: float | None = None
) -> dict[str, Any] | None:
    """Return what a line says of an event; None of one about neither text nor audio."""
    told = SegmentEvent | AnswerEvent | SpeakerEvent | SoundEvent | Error
    if not isinstance(event, told):
        return None
    if isinstance(event, Error) and event.ends_session:
        return None
    start = getattr(event, "start", None)
    end = getattr(event, "end", None)
    fields: dict[str, Any] = {
        "file": file,
        "type": event.type,
        "segment": getattr(event, "segment", None),
        "task": getattr(event, "task", None),
        "text": getattr(event, "text", None),
        "start_s": None if start is None else seconds(start),
        "end_s": None if end is None else seconds(end),
        "latency_s": None if latency_s is None else round(latency_s, 3),
        "language": getattr(event, "language", None) or None,
        "mode": getattr(event, "mode", None),
    }
    match event:
        case Partial():
            fields["stable"] = event.stable
        case Final(words=words, source=source):
            fields["source"] = source
            fields |= {"words": _words(words)} if words else {}
        case Speakers(turns=turns) if turns:
            fields |= {"start_s": seconds(turns[0].start)}
            fields |= {"end_s": seconds(turns[-1].end), "complete": event.complete}
            fields["turns"] = _turns(turns)
        case SpeakerNamed():
            fields |= {"speaker": event.speaker, "name": event.name}
        case Error():
            fields |= {"code": event.code, "message": event.message}
            name = event.watch if event.question is None else event.question
            fields |= {"id": name} if name is not None else {}
        case Sound():
            fields |= {"label": event.label}
            fields |= {"score": event.score, "complete": event.complete}
        case Noticed():
            fields |= {"id": event.id}
            fields |= {"score": event.score, "complete": event.complete}
            fields |= {"audio": event.audio} if event.audio else {}
        case AnswerStarted():
            fields |= {"id": event.id, "question": event.question}
        case AnswerPartial():
            fields["id"] = event.id
        case Answer():
            fields |= {"id": event.id, "finish": event.finish, "source": event.source}
    return fields


def mark_record(mark: Mark, *, file: str | None = None) -> dict[str, Any]:
    """Return what a line says of a mark."""
    return {
        "file": file,
        "type": "mark",
        "segment": None,
        "task": None,
        "text": mark.label,
        "start_s": seconds(mark.at),
        "end_s": seconds(mark.at),
        "latency_s": None,
        "language": None,
        "mode": None,
    }


def _words(words: Sequence[Word]) -> list[dict[str, Any]]:
    return [
        {
            "text": word.text,
            "start_s": seconds(word.start),
            "end_s": seconds(word.end),
        }
        for word in words
    ]


def _turns(turns: Sequence[SpeakerTurn]) -> list[dict[str, Any]]:
    return [
        {
            "speaker": turn.speaker,
            "name": turn.name or None,
            "text": turn.text,
            "start_s": seconds(turn.start),
            "end_s": seconds(turn.end),
        }
        for turn in turns
    ]


def line(fields: dict[str, Any]) -> str:
    """Return a record as a line of JSON."""
    return json_text(fields) + "\n"


class JsonPrinter:
    """Write each event about a segment or a question as it comes."""

    def __init__(self, stream: TextIO | OutputFile, *, file: str | None) -> None:
        """Begin a session.

        Args:
            stream: Where lines go; it stays open.
            file: What the session hears, for the lines.
        """
        self._stream = stream
        self._file = file

    def show(self, arrival: Arrival) -> None:
        """Write an event, if a line can say something of it."""
        fields = record(arrival.event, file=self._file, latency_s=arrival.latency_s)
        if fields is not None:
            self._stream.write(line(fields))
            self._stream.flush()

    def mark(self, mark: Mark) -> None:
        """Write a mark."""
        self._stream.write(line(mark_record(mark, file=self._file)))
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: every line is out."""
