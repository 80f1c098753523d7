"""Inputs for the fuzzing of parsers: what a client might send, and what none would.

Hypothesis strategies.  Half of what they make is nearly right, since what is wrong from
its first byte on is refused there.  `damaged` makes more of each: to change an input
takes a hundredth of the time that Hypothesis takes to think of one.
"""

import json
import struct
from base64 import b64encode
from dataclasses import MISSING, fields
from io import BytesIO
from random import Random
from typing import Any, get_args, get_type_hints

import numpy as np
import soundfile
from hypothesis import strategies as st

from stream.audio import ENCODINGS
from stream.events import PROTOCOL_VERSION, ClientEvent, Resume
from stream.protocols.openai_form import FORMATS
from stream.questions import ABOUT
from stream.sound_events import Watch

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "auto", "none", "inf", "realtime", "\ud800", 10**400])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
VOICE = b"\1\0" * 25_600  # 1.6 s, the least that is taken
OF_TYPE = {
    str: st.text(max_size=20) | st.sampled_from(["a", "b", "word 1"]),
    int: st.integers(0, 200) | st.integers(-1, 2**54),
    float: st.sampled_from([0.0, 0.5, 10.0]) | st.floats(),
    bool: st.booleans(),
}
NAMED = {
    "version": st.just(PROTOCOL_VERSION),
    "rate": st.sampled_from([8_000, 16_000, 44_100]),
    "encoding": st.sampled_from([*ENCODINGS]),
    "channels": st.sampled_from([1, 2]),
    "tasks": st.lists(
        st.sampled_from(["transcribe", "translate", "describe", "audio_question"])
    ),
    "task": st.sampled_from([None, "describe"]),
    "language": st.sampled_from([None, "en"]),
    "about": st.sampled_from(ABOUT),
    "speaker": st.sampled_from([0, 0, 1, 2]),
    "name": st.sampled_from(["Anna", "Ben", "", "\n"]),
    "voice": st.sampled_from([*[b64encode(VOICE).decode()] * 2, "", "AAAA", "?"]),
    "threshold": st.sampled_from([None, 0.5, 0.0]),
    "min_s": st.sampled_from([None, 0.0, 1.0, -1.0]),
    "cooldown_s": st.sampled_from([None, 0.0, 1.0, 1e9]),
}
"""What is right for a field of the native protocol, where its type says too little."""


def mostly(good, other):
    """Return the one, and now and then the other."""
    return st.integers(0, 7).flatmap(lambda choice: good if choice else other)


def nearly(*needed, **known):
    """Return objects with some of the keys, most with a good value, some with any.

    Args:
        needed: Keys that are there; `damaged` takes them away now and then.
        known: Good values of all keys.
    """
    values = {key: mostly(good, VALUES) for key, good in known.items()}
    there = {key: values.pop(key) for key in needed}
    return st.fixed_dictionaries(there, optional=values)


def _native(cls):
    known = {}
    for name, kind in get_type_hints(cls).items():
        bases = [kind, *get_args(kind)]
        good = next((OF_TYPE[base] for base in bases if base in OF_TYPE), LEAVES)
        known[name] = _native(Resume) if Resume in bases else NAMED.get(name, good)
        if Watch in bases:
            known[name] = st.lists(_native(Watch), max_size=3)
    known.pop("type", None)
    needed = [one.name for one in fields(cls) if one.default is MISSING]
    return nearly(*needed, **known)


def of_type(name, values):
    """Return objects of a type."""
    return values.map(lambda known: known | {"type": name})


def texts(events):
    """Return some events as text, which can be damaged as such."""
    return mostly(mostly(events, VALUES), events.map(json.dumps))


NATIVE = texts(
    st.one_of([of_type(cls.type, _native(cls)) for cls in get_args(ClientEvent)])
)


def _frame(head, data, payload, lengths):
    """Return a frame whose lengths hold, or are what they happen to be."""
    told = json.dumps(data).encode() if data else b""
    true = {"data_length": len(told), "payload_length": len(payload)}
    line = json.dumps(head | (true if lengths is None else lengths))
    return line.encode() + b"\n" + told + payload


FRAME = st.builds(
    _frame,
    of_type("audio-chunk", nearly(data=st.dictionaries(st.text(max_size=8), VALUES)))
    | nearly(
        type=st.sampled_from(["describe", "audio-start", "audio-stop", "transcribe"])
    ),
    nearly(
        rate=st.sampled_from([8_000, 16_000]) | st.integers(),
        width=st.integers(0, 5),
        channels=st.integers(0, 9),
        language=st.sampled_from(["en", "en-GB", "-", ""]),
        text=st.text(),
    ),
    st.binary(max_size=240),
    st.none() | nearly(data_length=st.integers(), payload_length=st.integers(-1, 9)),
)
WYOMING = (
    st.lists(FRAME | FRAME | st.binary(max_size=80), max_size=4).map(b"".join),
    st.integers(1, 400),
)

WHOLE = st.integers(0, 20).flatmap(
    lambda n: st.binary(min_size=24 * n, max_size=24 * n)
)
"""Whole samples of one or two channels, in any encoding."""
PCM = (
    st.fixed_dictionaries(
        {
            "rate": mostly(NAMED["rate"], st.integers()),
            "encoding": mostly(NAMED["encoding"], st.text(max_size=8)),
            "channels": mostly(NAMED["channels"], st.integers(-1, 40)),
        }
    ),
    st.lists(mostly(WHOLE, st.binary(max_size=500)), max_size=4),
)


ODD = (
    *(0, 1, -1, 255, 2**31, 2**63, -(2**63), 10**400, 4_000 * 10**9),
    *(0.0, -0.5, 1e-320, 1e308, float("inf"), float("nan")),
    *("", "\ud800", "\0", "\x1b[2J", "9" * 5_000, "[" * 100_000, "é" * 600, "NaN"),
    *(b"", b"\0", b"\xff" * 8, b"\r\n\r\n", b"--b", b"--b--", b"RIFF", b"data"),
)
"""What stands for a value of its type in damaged inputs, or is put into it."""
LOST = 0.1
"""Of all damages, those in which a whole value is lost."""


def damaged(value: Any, random: Random) -> Any:
    """Return a copy of a value in which something is changed; its type stays.

    A piece is lost or comes twice, or something odd is in its place.
    """
    match value:
        case dict() if value:
            key = random.choice([*value])
            if random.random() < LOST:
                return {other: value[other] for other in value if other != key}
            return value | {key: damaged(value[key], random)}
        case list() | tuple() if value:
            at = random.randrange(len(value))
            if isinstance(value, list) and random.random() < LOST:
                return value[:at] + value[at + 1 :]
            changed = damaged(value[at], random)
            return type(value)((*value[:at], changed, *value[at + 1 :]))
    kinds = (float, int) if isinstance(value, float) else (type(value),)
    odd = random.choice([odd for odd in ODD if type(odd) in kinds] or [value])
    if isinstance(value, str | bytes) and value and random.random() > LOST:
        first, end = sorted(random.choices(range(len(value) + 1), k=2))
        between = random.choice([value[:0], odd, value[first:end] * 2])
        return value[:first] + between + value[end:]
    return odd


def _file(kind, subtype):
    target = BytesIO()
    samples = np.linspace(-0.5, 0.5, 400)
    soundfile.write(target, samples, 16_000, format=kind, subtype=subtype)
    return target.getvalue()


def _damaged(data):
    """Return files with some of their bytes changed, and the end cut off."""
    edit = st.tuples(st.integers(0, min(len(data), 200) - 1), st.integers(0, 255))

    def apply(edits, kept):
        changed = bytearray(data)
        for position, value in edits:
            changed[position] = value
        return bytes(changed[:kept])

    return st.builds(
        apply,
        st.lists(edit, max_size=6),
        st.just(len(data)) | st.integers(0, len(data)),
    )


def _wav(tag, channels, rate, bits, riff, claimed, data):
    head = struct.pack(
        "<4sI4s4sIHHIIHH",
        *(b"RIFF", riff, b"WAVE", b"fmt ", 16, tag, channels, rate),
        *(rate, channels, bits),
    )
    return head + struct.pack("<4sI", b"data", claimed) + data


U16, U32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
FILES = st.one_of(
    st.binary(max_size=300),
    st.builds(
        _wav,
        st.sampled_from([1, 3, 6, 7, 0xFFFE]) | U16,
        st.integers(0, 4) | U16,
        st.sampled_from([8_000, 16_000, 48_000]) | U32,
        st.sampled_from([8, 16, 24, 32]) | U16,
        U32,
        st.integers(0, 600) | U32,
        st.binary(max_size=300),
    ),
    *(
        _damaged(_file(kind, subtype))
        for kind, subtype in [
            ("WAV", "PCM_16"),
            ("FLAC", "PCM_16"),
            ("OGG", "VORBIS"),
            ("AIFF", "PCM_16"),
        ]
    ),
)

BASE64 = st.sampled_from(["", "AAAA", "AAAAAA==", "AA=", "?", "é"]) | st.text()
SOUND = st.just(b64encode(_file("WAV", "PCM_16")).decode())
ENCODED = FILES.map(lambda data: b64encode(data).decode())
TEXT_PART = st.fixed_dictionaries(
    {"type": st.just("text"), "text": st.text(max_size=20)}
)
AUDIO_PART = st.fixed_dictionaries(
    {
        "type": st.just("input_audio"),
        "input_audio": st.fixed_dictionaries(
            {
                "data": mostly(SOUND | ENCODED, BASE64),
                "format": mostly(
                    st.just("wav"), st.sampled_from(["flac", "ogg", "mp3"])
                ),
            }
        ),
    }
)
HEARD = st.fixed_dictionaries(
    {
        "role": st.just("user"),
        "content": st.tuples(TEXT_PART, AUDIO_PART).map(list)
        | st.lists(mostly(AUDIO_PART, VALUES), max_size=2),
    }
)
SAID = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "system", "assistant"]),
        "content": st.text(max_size=20),
    }
)
CHAT = st.fixed_dictionaries(
    {
        "messages": st.tuples(st.lists(SAID, max_size=2), HEARD).map(
            lambda parts: [*parts[0], parts[1]]
        )
    },
    optional={
        "tools": VALUES,
        "max_tokens": mostly(st.integers(1, 5_000), VALUES),
        "temperature": mostly(st.sampled_from([0.0, 1.0, 2]), st.floats()),
        "stop": mostly(st.text(min_size=1, max_size=4), st.lists(st.text())),
        "stream": mostly(st.booleans(), VALUES),
        "stream_options": nearly(include_usage=st.booleans()),
        "n": mostly(st.just(1), VALUES),
        "logprobs": mostly(st.just(False), VALUES),
        "response_format": mostly(st.just({"type": "text"}), VALUES),
    },
)
"""A body of a chat completion with a question and a file, or nearly."""

NAMES = st.sampled_from(
    (
        *("file", "model", "language", "response_format", "stream", "prompt"),
        "timestamp_granularities[]",
    )
)


def _part(name, value, filename):
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode("utf-8", "replace") + value + b"\r\n"


PART = st.builds(
    _part,
    mostly(NAMES, st.text(max_size=8)),
    st.sampled_from([*FORMATS, "true", "word"]).map(str.encode) | st.binary(),
    st.none() | st.just("a.wav") | st.text(max_size=8),
)
FILE_PART = st.just(_part("file", b"RIFF", "a.wav"))
FORM_BODY = st.tuples(mostly(FILE_PART, PART), st.lists(PART, max_size=4)).map(
    lambda parts: b"".join([parts[0], *parts[1], b"--b--\r\n"])
)
FORMS = (
    mostly(st.just("multipart/form-data; boundary=b"), st.text(max_size=40)),
    mostly(FORM_BODY, st.binary(max_size=300)),
    st.integers(1, 200),
)
