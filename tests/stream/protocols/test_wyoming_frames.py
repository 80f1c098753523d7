"""Wyoming's frames: cut anywhere, bounded, and read alike by the package."""

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wyoming.event import Event, async_read_event, async_write_event

from stream.errors import LimitError, ProtocolError
from stream.protocols.wyoming_frames import (
    MAX_LINE_BYTES,
    FrameReader,
    WyomingFrame,
    encode,
)

MOST = 1_000


def read_all(*pieces):
    reader, frames = FrameReader(MOST), []
    for piece in pieces:
        reader.push(piece)
        while (frame := reader.next()) is not None:
            frames.append(frame)
    return frames


class Written:
    """Stands for a stream that the package writes to."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += data

    def writelines(self, parts):
        self.data += b"".join(parts)

    async def drain(self):
        """All is written at once."""


def as_the_package_writes(*events):
    written = Written()
    for event in events:
        asyncio.run(async_write_event(event, written))
    return written.data


EVENTS = [
    Event("describe"),
    Event("transcribe", {"language": "de", "name": "ä\n"}),
    Event("audio-chunk", {"rate": 16_000, "width": 2, "channels": 1}, b"\n{}\0" * 9),
    Event("audio-stop", {"timestamp": None}),
]
SENT = as_the_package_writes(*EVENTS)


@given(st.lists(st.integers(0, len(SENT)), max_size=12))
def test_what_the_package_writes_is_read_however_it_is_cut(cuts):
    marks = [0, *sorted(cuts), len(SENT)]
    frames = read_all(*(SENT[a:b] for a, b in pairwise(marks)))
    assert frames == [
        WyomingFrame(event.type, event.data, event.payload or b"") for event in EVENTS
    ]


def test_data_behind_the_line_goes_over_data_in_it():
    told = b'{"b": 2}'
    line = {"type": "x", "data": {"a": 1, "b": 1}, "data_length": len(told)}
    assert read_all(json.dumps(line).encode() + b"\n" + told) == [
        WyomingFrame("x", {"a": 1, "b": 2})
    ]


def test_the_package_reads_what_is_encoded():
    async def read():
        reader = asyncio.StreamReader()
        reader.feed_data(encode("transcript", {"text": "ä\nb"}) + encode("pong", {}))
        return await async_read_event(reader), await async_read_event(reader)

    first, second = asyncio.run(read())
    assert (first.type, first.data) == ("transcript", {"text": "ä\nb"})
    assert (second.type, second.data) == ("pong", {})


@pytest.mark.parametrize(
    ("sent", "error", "message"),
    [
        (b"GET / HTTP/1.1\r\n", ProtocolError, "a line is not JSON: b'GET / HTTP"),
        (b"\xff\xfe\n", ProtocolError, "not JSON"),
        (b"[" * 60_000 + b"\n", ProtocolError, "not JSON"),
        (b"[]\n", ProtocolError, "expected a JSON object"),
        (b"{}\n", ProtocolError, "type is None; expected the name of an event"),
        (b'{"type": "x", "data": 3}\n', ProtocolError, "data is 3; expected an object"),
        (b'{"type": "x", "data_length": 2}\n[]', ProtocolError, "data is b'[]'"),
        (b'{"type": "x", "data_length": -1}\n', ProtocolError, "data_length is -1"),
        (b'{"type": "x", "data_length": true}\n', ProtocolError, "data_length is True"),
        (b'{"type": "x", "payload_length": "9"}\n', ProtocolError, "is '9'"),
        (b'{"type": "x", "payload_length": 1001}\n', LimitError, "at most 1000"),
        (b'{"type": "x", "data_length": 70000}\n', LimitError, "at most 65536"),
        (b" " * MAX_LINE_BYTES, LimitError, "a line of 65536 bytes"),
    ],
)
def test_what_is_no_frame_is_told_and_what_came_before_it_is_read(sent, error, message):
    reader = FrameReader(MOST)
    reader.push(encode("ping", {}) + sent)
    assert reader.next() == WyomingFrame("ping", {})
    with pytest.raises(error, match=r".") as raised:
        reader.next()
    assert message in str(raised.value)
    assert len(str(raised.value)) < 200


def test_a_frame_that_is_cut_off_is_waited_for():
    assert read_all(SENT[:-1])[-1].type == "audio-chunk"
