"""Sounds and watches over OpenAI's Realtime protocol, which has no event for either.

    session.audio.input.salmonn ─▶ what is listened for
    sound, noticed              ─▶ responses beside the conversation, with metadata

Pure.  The field and the metadata are ours (docs/openai.md, docs/adr/0041); what is told
with them has the shape of responses that clients know.
"""

from typing import Any

from engine.api import SoundClass
from stream.audio import SAMPLE_RATE
from stream.errors import StreamError, quote
from stream.protocols.openai_checks import Json, between, boolean, json_object
from stream.protocols.openai_errors import FieldError
from stream.protocols.openai_replies import Response
from stream.questions import CheckPrompt
from stream.sound_events import Noticed, Sound, Watch
from stream.subtitles import bracketed
from stream.watches import MAX_PAUSE_S, check_watch

FIELD = "salmonn"
"""Of `session.audio.input`, and of the metadata."""
WHERE = f"session.audio.input.{FIELD}"
_NUMBERS = {
    "threshold": between(0.0, 1.0),
    "min_s": between(0.0, MAX_PAUSE_S),
    "cooldown_s": between(0.0, MAX_PAUSE_S),
}


def settings(where: str, value: Any) -> Json | None:
    """Return what is kept of the field; None listens for nothing.

    Raises:
        FieldError: If a value is not what it should be.
    """
    if value is None:
        return None
    wanted = json_object(where, value)
    watches = wanted.get("watches")
    watches = [] if watches is None else watches
    if not isinstance(watches, list):
        raise FieldError(f"{where}.watches", f"is {quote(watches)}; expected a list")
    return {
        "sounds": boolean(f"{where}.sounds", wanted.get("sounds", False)),
        "watches": [
            _watch(f"{where}.watches[{i}]", watch) for i, watch in enumerate(watches)
        ],
    }


def sounds_of(session: Json) -> bool:
    """Return whether sounds are told by their names."""
    return bool(_kept(session).get("sounds"))


def watches_of(session: Json) -> tuple[Watch, ...]:
    """Return what is listened for with these settings."""
    return tuple(Watch(**watch) for watch in _kept(session).get("watches", ()))


def heard_with(session: Json) -> Json:
    """Return the settings of the audio that cannot change while it is heard."""
    fixed = {k: v for k, v in session["audio"]["input"].items() if k != FIELD}
    return fixed | {"sounds": sounds_of(session)}


def check_served(
    session: Json, *, sounds: tuple[SoundClass, ...], most: int, check: CheckPrompt
) -> None:
    """Check that what is to be listened for can be.

    Args:
        session: The settings.
        sounds: Those that the model was taught.
        most: Watches of a session.
        check: Refuses prompts that the engine does not answer.

    Raises:
        FieldError: If it cannot.
    """
    if sounds_of(session) and not sounds:
        problem = "cannot be true: the model was taught none by name"
        raise FieldError(f"{WHERE}.sounds", problem)
    watches = watches_of(session)
    if len(watches) > most:
        problem = f"has {len(watches)}; a session may have {most}"
        raise FieldError(f"{WHERE}.watches", problem)
    names = [watch.id for watch in watches]
    for i, watch in enumerate(watches):
        where = f"{WHERE}.watches[{i}]"
        if watch.id in names[:i]:
            raise FieldError(f"{where}.id", f"is {quote(watch.id)} again")
        try:
            check_watch(watch, check)
        except StreamError as exc:
            raise FieldError(where, f"cannot be served: {exc}") from exc


def told(event: Sound | Noticed, *, offset: int) -> list[Json]:
    """Return the response that tells of an event.

    Args:
        event: A sound, or what a watch noticed; its beginning or its end.
        offset: Where the session begins in the client's audio, in samples at 16 kHz.
    """
    if isinstance(event, Sound):
        about = {FIELD: "sound", "label": event.label}
    else:
        about = {FIELD: "watch", "id": event.id}
    response = Response(
        conversation=None,
        metadata=about
        | {
            "state": "over" if event.complete else "begun",
            "score": f"{event.score:.4f}",
            "audio_start_ms": _ms(offset + event.start),
            "audio_end_ms": _ms(offset + event.end),
        },
        max_output_tokens="inf",
    )
    return [
        response.created(),
        *response.begin(None),
        *response.say(bracketed(event.text)),
    ]


def _kept(session: Json) -> Json:
    return session["audio"]["input"].get(FIELD) or {}


def _watch(where: str, value: Any) -> Json:
    wanted = json_object(where, value)
    kept: Json = {}
    for name in ("id", "text"):
        kept[name] = wanted.get(name)
        if not isinstance(kept[name], str):
            raise FieldError(
                f"{where}.{name}", f"is {quote(kept[name])}; expected text"
            )
    for name, check in _NUMBERS.items():
        if wanted.get(name) is not None:
            kept[name] = check(f"{where}.{name}", wanted[name])
    return kept


def _ms(samples: int) -> str:
    return str(samples * 1000 // SAMPLE_RATE)
