"""What travels over a Wyoming connection: a line of JSON, perhaps data, perhaps bytes.

    {"type": …, "data": {…}?, "data_length": N?, "payload_length": M?}   and a line feed
    N bytes of JSON, which is merged over `data`
    M bytes as they are

Sans-I/O: bytes go in, frames come out.  It knows lengths and their bounds, not what
the types mean.  The `wyoming` package reads the same, but without bounds, and takes
what is no JSON for the end of the stream.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stream.errors import LimitError, ProtocolError, quote

VERSION: Final = "1.10.2"
"""Of the protocol, as its own package counts."""
MAX_LINE_BYTES: Final = 1 << 16
"""Of the first line, and of the data behind it."""


@dataclass(frozen=True, slots=True)
class WyomingFrame:
    """An event with its fields."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes = b""


class FrameReader:
    """Cuts a stream into frames; holds no more than the one that is incomplete."""

    def __init__(self, max_payload_bytes: int) -> None:
        """Begin with nothing read.

        Args:
            max_payload_bytes: Of one frame.
        """
        self._max_payload_bytes = max_payload_bytes
        self._buffer = bytearray()
        self._head: _Head | None = None

    def push(self, data: bytes) -> None:
        """Take what has arrived; `next` tells what it completes."""
        self._buffer += data

    def next(self) -> WyomingFrame | None:
        """Return the next frame; None if more has to arrive.

        Raises:
            ProtocolError: If it is none; nothing behind it can be read.
            LimitError: If it is larger than it may be; likewise.
        """
        if self._head is None:
            line = self._line()
            if line is None:
                return None
            self._head = _read_head(line, self._max_payload_bytes)
        head = self._head
        if len(self._buffer) < head.data_bytes + head.payload_bytes:
            return None
        self._head = None
        data = dict(head.data)
        if head.data_bytes:
            data |= _json_object("data", self._take(head.data_bytes))
        return WyomingFrame(head.type, data, self._take(head.payload_bytes))

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n", 0, MAX_LINE_BYTES)
        if end >= 0:
            return self._take(end + 1)
        if len(self._buffer) >= MAX_LINE_BYTES:
            raise LimitError(f"a line of {MAX_LINE_BYTES} bytes or more")
        return None

    def _take(self, num_bytes: int) -> bytes:
        taken = bytes(self._buffer[:num_bytes])
        del self._buffer[:num_bytes]
        return taken


def encode(kind: str, data: Mapping[str, Any]) -> bytes:
    """Return the frame that carries an event of ours; none of them has a payload."""
    told = json.dumps(data).encode()
    head = {"type": kind, "version": VERSION, "data_length": len(told)}
    return json.dumps(head).encode() + b"\n" + told


@dataclass(frozen=True, slots=True)
class _Head:
    type: str
    data: dict[str, Any]
    data_bytes: int
    payload_bytes: int


def _read_head(line: bytes, max_payload_bytes: int) -> _Head:
    """Return what the first line of a frame says.

    Raises:
        ProtocolError: If it is none.
        LimitError: If the frame is larger than it may be.
    """
    head = _json_object("a line", line)
    kind = head.get("type")
    if not isinstance(kind, str):
        raise ProtocolError(f"type is {quote(kind)}; expected the name of an event")
    data = head.get("data")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ProtocolError(f"data is {quote(data)}; expected an object")
    return _Head(
        kind,
        data,
        _length(head, "data_length", MAX_LINE_BYTES),
        _length(head, "payload_length", max_payload_bytes),
    )


def _length(head: dict[str, Any], key: str, most: int) -> int:
    length = head.get(key)
    if length is None:
        return 0
    if type(length) is not int or length < 0:
        raise ProtocolError(f"{key} is {quote(length)}; expected a number of bytes")
    if length > most:
        raise LimitError(f"{key} is {quote(length)}; at most {most} are taken")
    return length


def _json_object(what: str, text: bytes) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError(f"{what} is not JSON: {quote(text)}") from exc
    if not isinstance(table, dict):
        raise ProtocolError(f"{what} is {quote(text)}; expected a JSON object")
    return table
