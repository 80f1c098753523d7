"""The settings of an OpenAI Realtime session: told, changed, and what they mean to us.

No I/O.  A session's settings are the JSON object that clients see.  An update is merged
into it key by key; null clears.  Keys that we do not know are left out and refused by
no error: clients are newer than servers, and some take any error for the end.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stream.audio import FRAME_MS, SAMPLE_RATE
from stream.errors import quote
from stream.events import Start
from stream.protocols import openai_listening
from stream.protocols.openai_checks import (
    Check,
    Json,
    between,
    boolean,
    instructions,
    json_object,
    one_of,
    only_text,
    or_none,
    text_or_none,
    texts_or_none,
    tokens_or_inf,
    whole_between,
)
from stream.protocols.openai_errors import FieldError
from stream.segmenter import SegmenterConfig

TYPES = ("transcription", "realtime")
DEFAULT_RATE = 24_000  # Hz; the only one that OpenAI takes
RATES = (8_000, SAMPLE_RATE, DEFAULT_RATE, 44_100, 48_000)
G711 = {"audio/pcmu": "mulaw", "audio/pcma": "alaw"}
G711_RATE = 8_000  # Hz
SILENCE_MS = (FRAME_MS, 10_000)
PADDING_MS = (0, 5_000)
EAGERNESS = ("low", "medium", "high", "auto")
DELAYS = ("minimal", "low", "medium", "high", "xhigh")
TASK = "transcribe"
NAME_BYTES = 12  # of randomness in a session's name


def new_session(
    kind: str, *, model: str, lasts_s: float, segmenter: SegmenterConfig
) -> Json:
    """Return the settings with which a session begins, its name among them.

    Args:
        kind: One of `TYPES`.
        model: What is served.
        lasts_s: The longest session, in seconds.
        segmenter: The server's.
    """
    turns: Json = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": segmenter.pre_roll_ms,
        "silence_duration_ms": segmenter.hangover_ms,
    }
    session: Json = {
        "type": kind,
        "object": f"realtime.{'transcription_' * (kind == TYPES[0])}session",
        **_name(lasts_s),
        "include": None,
    }
    audio: Json = {
        "input": {
            "format": {"type": "audio/pcm", "rate": DEFAULT_RATE},
            "noise_reduction": None,
            "transcription": {"model": model} if kind == TYPES[0] else None,
            "turn_detection": turns,
        }
    }
    if kind == TYPES[0]:
        return session | {"audio": audio}
    turns |= {
        "create_response": True,
        "interrupt_response": True,
        "idle_timeout_ms": None,
    }
    audio["output"] = {
        "format": {"type": "audio/pcm", "rate": DEFAULT_RATE},
        "voice": "none",
        "speed": 1.0,
    }
    return session | {
        "model": model,
        "output_modalities": ["text"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "audio": audio,
    }


def begun_with(settings: Json, *, lasts_s: float) -> Json:
    """Return settings that were made before, as those of another session."""
    return settings | _name(lasts_s)


def _name(lasts_s: float) -> Json:
    return {
        "id": f"sess_{secrets.token_hex(NAME_BYTES)}",
        "expires_at": int(time.time() + lasts_s),
    }


def updated(session: Json, update: Any, *, model: str) -> Json:
    """Return the settings after an update; those that were are left as they are.

    Args:
        session: The settings until now.
        update: What the client sent as `session`.
        model: What is served, whatever the client names.

    Raises:
        FieldError: If a value is not what it should be.
    """
    wanted = json_object("session", update)
    kind = wanted.get("type", session["type"])
    if kind != session["type"]:
        raise FieldError(
            "session.type", f"is {quote(kind)}; this session is {session['type']!r}"
        )
    merged = dict(session)
    for key, value in wanted.items():
        if key in session and key in _CHECKED_KEYS:
            merged[key] = _CHECKED_KEYS[key](f"session.{key}", value)
        elif key in session and key in _KEPT_KEYS:
            merged[key] = value
    if "audio" in wanted:
        merged["audio"] = _audio(session["audio"], wanted["audio"], model)
    return merged


def start_of(session: Json) -> Start:
    """Return how a session of the hub begins with these settings."""
    audio = session["audio"]["input"]
    encoding = G711.get(audio["format"]["type"], "s16le")
    rate = G711_RATE if encoding != "s16le" else audio["format"]["rate"]
    transcription = audio["transcription"] or {}
    return Start(
        rate=rate,
        encoding=encoding,
        tasks=(TASK,),
        language=transcription.get("language"),
        sounds=openai_listening.sounds_of(session),
        watches=openai_listening.watches_of(session),
    )


def is_manual(session: Json) -> bool:
    """Return whether the client says itself where a turn ends."""
    return session["audio"]["input"]["turn_detection"] is None


def is_transcribed(session: Json) -> bool:
    """Return whether the client wants to read what was said."""
    return session["audio"]["input"]["transcription"] is not None


def segmenter_of(session: Json, base: SegmenterConfig) -> SegmenterConfig:
    """Return where segments begin and end with these settings.

    Shorter silence than the server's own takes the shorter pauses with it.
    """
    turns = session["audio"]["input"]["turn_detection"]
    if turns is None or turns["type"] != "server_vad":
        return base
    hangover_ms = _whole_frames(turns["silence_duration_ms"])
    soft_ms = min(base.soft_hangover_ms, hangover_ms)
    tail_ms = min(base.tail_ms, soft_ms)
    longest_ms = base.soft_limit_ms - base.start_window_ms
    return replace(
        base,
        pre_roll_ms=min(_whole_frames(turns["prefix_padding_ms"]), longest_ms),
        hangover_ms=hangover_ms,
        soft_hangover_ms=soft_ms,
        tail_ms=tail_ms,
        search_pause_ms=min(base.search_pause_ms, tail_ms),
    )


def _whole_frames(milliseconds: int) -> int:
    return -(-milliseconds // FRAME_MS) * FRAME_MS


def _audio(audio: Json, update: Any, model: str) -> Json:
    where = "session.audio"
    wanted = json_object(where, update)
    merged = dict(audio)
    if "input" in wanted:
        merged["input"] = _input(audio["input"], wanted["input"], model)
    if "output" in audio and "output" in wanted:
        # No audio is sent; what is asked for is kept, as tools are.
        merged["output"] = audio["output"] | json_object(
            f"{where}.output", wanted["output"]
        )
    return merged


def _input(current: Json, update: Any, model: str) -> Json:
    where = "session.audio.input"
    wanted = json_object(where, update)
    merged = dict(current)
    if "format" in wanted:
        merged["format"] = _format(f"{where}.format", wanted["format"])
    if "noise_reduction" in wanted:
        merged["noise_reduction"] = _noise_reduction(
            f"{where}.noise_reduction", wanted["noise_reduction"]
        )
    if "transcription" in wanted:
        merged["transcription"] = _transcription(
            f"{where}.transcription",
            current["transcription"] or {},
            wanted["transcription"],
            model,
        )
    if openai_listening.FIELD in wanted:
        field = openai_listening.FIELD
        merged[field] = openai_listening.settings(f"{where}.{field}", wanted[field])
    if "turn_detection" in wanted:
        merged["turn_detection"] = _turns(
            f"{where}.turn_detection",
            current["turn_detection"] or {},
            wanted["turn_detection"],
        )
    return merged


def _format(where: str, value: Any) -> Json:
    wanted = json_object(where, value)
    kind = wanted.get("type", "audio/pcm")
    if isinstance(kind, str) and kind in G711:
        return {"type": kind}
    if kind != "audio/pcm":
        raise FieldError(
            f"{where}.type",
            f"is {quote(kind)}; expected audio/pcm, audio/pcmu or audio/pcma",
        )
    rate = wanted.get("rate", DEFAULT_RATE)
    if type(rate) is not int or rate not in RATES:
        expected = ", ".join(map(str, RATES))
        raise FieldError(
            f"{where}.rate", f"is {quote(rate)}; expected one of {expected}"
        )
    return {"type": kind, "rate": rate}


def _noise_reduction(where: str, value: Any) -> Json | None:
    """Return what is kept of it: nothing is filtered here."""
    if value is None:
        return None
    wanted = json_object(where, value)
    check = one_of("near_field", "far_field", None)
    return {"type": check(f"{where}.type", wanted.get("type"))}


def _transcription(where: str, current: Json, value: Any, model: str) -> Json | None:
    if value is None:
        return None
    wanted = json_object(where, value)
    merged = current | {"model": model}
    for key, check in (
        ("language", text_or_none),
        ("prompt", text_or_none),
        ("delay", one_of(*DELAYS, None)),
    ):
        if key in wanted:
            merged[key] = check(f"{where}.{key}", wanted[key])
    return merged


def _turns(where: str, current: Json, value: Any) -> Json | None:
    if value is None:
        return None
    wanted = json_object(where, value)
    kind = wanted.get("type", current.get("type", "server_vad"))
    checks: dict[str, Check] = {
        "create_response": boolean,
        "interrupt_response": boolean,
    }
    if kind == "semantic_vad":
        checks |= {"eagerness": one_of(*EAGERNESS)}
        defaults: Json = {"type": kind, "eagerness": "auto"}
    elif kind == "server_vad":
        checks |= {
            "threshold": between(0.0, 1.0),
            "prefix_padding_ms": whole_between(*PADDING_MS),
            "silence_duration_ms": whole_between(*SILENCE_MS),
            "idle_timeout_ms": or_none(whole_between(FRAME_MS, 1 << 31)),
        }
        defaults = {
            "type": kind,
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
        }
    else:
        raise FieldError(
            f"{where}.type", f"is {quote(kind)}; expected server_vad or semantic_vad"
        )
    kept = {key: current[key] for key in checks if key in current}
    merged = defaults | kept
    for key, check in checks.items():
        if key in wanted:
            merged[key] = check(f"{where}.{key}", wanted[key])
    return merged


_CHECKED_KEYS: Mapping[str, Check] = {
    "include": texts_or_none,
    "instructions": instructions,
    "max_output_tokens": tokens_or_inf,
    "output_modalities": only_text,
}
_KEPT_KEYS = frozenset(
    {
        "prompt",
        "tool_choice",
        "tools",
        "tracing",
        "truncation",
    }
)
"""Taken as they come; whoever uses one checks it."""
