"""Events as JSON lines, for programs.

The fields that every line has are the same for all events, null where an event has
none; they are an interface: add some, rename none.
"""

import json
from typing import Any, TextIO

from clients.client import Arrival
from clients.output import OutputFile
from stream.audio import SAMPLE_RATE
from stream.events import Error, Final, Partial, ServerEvent, SpeechEnded, SpeechStarted

SegmentEvent = SpeechStarted | Partial | SpeechEnded | Final | Error


def seconds(samples: int) -> float:
    """Return a position of an event in seconds, to the millisecond."""
    return round(samples / SAMPLE_RATE, 3)


def record(
    event: ServerEvent, *, file: str | None = None, latency_s: float | None = None
) -> dict[str, Any] | None:
    """Return what a line says of an event; None if it is not about a segment."""
    if not isinstance(event, SegmentEvent) or event.segment is None:
        return None
    start = getattr(event, "start", None)
    end = getattr(event, "end", None)
    fields: dict[str, Any] = {
        "file": file,
        "type": event.type,
        "segment": event.segment,
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
        case Final(words=words) if words:
            fields["words"] = [
                {
                    "text": word.text,
                    "start_s": seconds(word.start),
                    "end_s": seconds(word.end),
                }
                for word in words
            ]
        case Error():
            fields |= {"code": event.code, "message": event.message}
    return fields


def line(fields: dict[str, Any]) -> str:
    """Return a record as a line of JSON."""
    return json.dumps(fields, ensure_ascii=False) + "\n"


class JsonPrinter:
    """Write each event about a segment as it comes."""

    def __init__(self, stream: TextIO | OutputFile, *, file: str | None) -> None:
        """Begin a session.

        Args:
            stream: Where lines go; it stays open.
            file: What the session hears, for the lines.
        """
        self._stream = stream
        self._file = file

    def show(self, arrival: Arrival) -> None:
        """Write an event, if it is about a segment."""
        fields = record(arrival.event, file=self._file, latency_s=arrival.latency_s)
        if fields is not None:
            self._stream.write(line(fields))
            self._stream.flush()

    def close(self) -> None:
        """Do nothing: every line is out."""
