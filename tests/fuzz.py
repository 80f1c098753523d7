"""Every parser on inputs that no client would send: a defined error, or it is taken.

    python -m tests.fuzz --inputs 100000          all of them
    python -m tests.fuzz --only form --inputs 500

prints a line a parser: how many inputs, and what became of them.  An error that is none
of ours ends it, with the smallest input that Hypothesis finds; an input that takes
`HANGS_S` ends it with where that is.  `tests.fuzz_inputs` and `tests.fuzz_realtime`
make the inputs: Hypothesis one, and `DAMAGES` are made of it by changing more and more.
The default tests run some hundreds.

    native   messages of the native protocol, and what the session makes of them
    openai   events of OpenAI's Realtime protocol, and what settings they leave
    wyoming  frames of the Wyoming protocol, and what their fields say
    pcm      formats and messages of audio
    file     WAV and other audio files
    form     forms with files
    chat     bodies of chat completions, and the audio in them
    secrets  bodies that ask for a client secret
"""

import argparse
import asyncio
import contextlib
import faulthandler
import json
import logging
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from types import MappingProxyType
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from stream.audio import PcmFormat, PcmReader
from stream.errors import StreamError, UnsupportedRequestError
from stream.events import Ask, Cancel, End, Flush, NameSpeaker, ServerEvent, Start
from stream.messages import decode_client, encode
from stream.protocols import (
    openai_form,
    openai_listening,
    openai_secrets,
    openai_session,
)
from stream.protocols.openai_chat_audio import decode
from stream.protocols.openai_chat_form import read_chat
from stream.protocols.openai_checks import json_object
from stream.protocols.openai_conversation import Conversation
from stream.protocols.openai_form import receive
from stream.protocols.openai_item_form import read_item
from stream.protocols.openai_realtime import parse
from stream.protocols.wyoming_events import (
    ENCODINGS,
    read_format,
    read_language,
    read_text,
)
from stream.protocols.wyoming_frames import FrameReader
from stream.segmenter import SegmenterConfig
from stream.session import Session
from stream.sound_events import Noticed, Sound, Unwatch, Watch
from stream.uploads import Upload
from tests import fuzz_inputs, fuzz_realtime
from tests.fakes.driver import WATCHES, Desk, open_session
from tests.fakes.engine import ScriptedEngine, speak

HANGS_S = 10.0
"""Of a processor's time, so that a machine that does other things, too, is no hang."""
HEARD = speak(1, 0, samples=3_200)
ITEMS = (
    {"id": "b", "content": [{"type": "input_text", "text": "Who?"}]},
    {"id": "c", "role": "assistant", "content": [{"type": "text", "text": "You."}]},
)
"""Of a conversation; they can be asked for."""
MOST_READS = 64
MOST_AUDIO_S = 29.0
MOST_AT_ONCE = 200  # bytes of a form's body
DAMAGES = 24
KEPT = 0.5
"""How often what was changed is changed further; else it begins from the first."""
TAKEN = "taken"


def native(message: Any) -> None:
    """Take a message as the first of a session, or in one that has begun."""
    event = decode_client(_text(message))
    is_first = isinstance(event, Start)
    session = open_session(event if is_first else Start(speakers=4))
    session.push(HEARD)
    match event:
        case Start():
            pass  # it has begun with it
        case Ask():
            session.ask(event)
        case Cancel():
            session.cancel(event)
        case Watch():
            session.watches.add(event)
        case Unwatch():
            session.watches.remove(event.id)
        case NameSpeaker():
            session.name_speaker(event)
        case Flush():
            session.flush()
        case End():
            session.end()
        case _:
            raise AssertionError(f"{event.type} is given to no session")
    if not isinstance(event, End):
        session.push(HEARD)
    _tell(session)


def _tell(session: Session) -> list[ServerEvent]:
    """Let the engine do what a session wants; return what a client is told."""
    Desk(session).run()
    events = session.events()
    for event in events:
        encode(event)
    return events


def openai(message: Any) -> None:
    """Take an event of the Realtime protocol in a session of each kind."""
    event = parse(_text(message))
    for kind in openai_session.TYPES:
        session = openai_session.new_session(
            kind, model="m", lasts_s=60.0, segmenter=SegmenterConfig()
        )
        if event.get("type") == "session.update":
            with contextlib.suppress(StreamError):
                session = _updated(session, event.get("session"))
        conversation = Conversation(session, ask=_nothing, cancel=_nothing)
        for item in ITEMS:
            conversation.turns.create(read_item(item))
        if event.get("type") == "conversation.item.create":
            given = read_item(event.get("item"))
            conversation.turns.create(given)
            conversation.turns.heard(given.name, len(given.audio) / 48_000)
        told = conversation.take(event)
        json.dumps(told, allow_nan=False)
        conversation.turn_began()
        conversation.turn_ended()


def _updated(settings: dict[str, Any], update: Any) -> dict[str, Any]:
    """Return settings after an update; a session takes what is served."""
    settings = openai_session.updated(settings, update, model="m")
    engine = ScriptedEngine()
    openai_listening.check_served(
        settings,
        sounds=engine.info.sounds,
        most=WATCHES.max_per_session,
        check=engine.check_prompt,
    )
    json.dumps(settings, allow_nan=False)  # as they are answered
    openai_listening.heard_with(settings)
    openai_session.segmenter_of(settings, SegmenterConfig())
    openai_session.is_manual(settings)
    openai_session.is_transcribed(settings)
    start = openai_session.start_of(settings)
    try:
        session = open_session(replace(start, language=None))  # the engine checks that
        session.push(HEARD[: len(HEARD) // 6 * 6])
        session.watches.set(start.watches)
    except StreamError as exc:
        raise AssertionError(f"settings that no session takes: {exc}") from exc
    for event in _tell(session):
        if isinstance(event, Sound | Noticed):
            json.dumps(openai_listening.told(event, offset=0), allow_nan=False)
    return settings


def _text(message: Any) -> str:
    return message if isinstance(message, str) else json.dumps(message)


def wyoming(data: bytes, piece: int) -> None:
    """Read frames that arrive in pieces, and what they say."""
    reader, info, known = FrameReader(1 << 16), ScriptedEngine().info, None
    piece = max(piece, 1)
    for start in range(0, len(data), piece):
        reader.push(data[start : start + piece])
        while (frame := reader.next()) is not None:
            read_text(frame, "text")
            read_language(frame, info)
            if frame.type.startswith("audio-"):
                known = rate, width, channels = read_format(frame, known)
                spoken = PcmFormat(
                    rate=rate, encoding=ENCODINGS[width], channels=channels
                )
                PcmReader(spoken).push(frame.payload)


def _nothing(event: object) -> None:
    """Stand for a session that hears."""


def pcm(fields: dict[str, Any], messages: list[bytes]) -> None:
    """Hear messages in a format."""
    reader = PcmReader(PcmFormat(**fields))
    for message in messages:
        reader.push(message)
    reader.flush()


def file(data: bytes) -> None:
    """Read a file, to its end or for some seconds."""
    upload = Upload(data)
    for _ in range(MOST_READS):
        if not upload.read():
            return


def form(kind: str, body: bytes, piece: int) -> None:
    """Take a request with a form, its body in pieces."""
    asyncio.run(_take_form(kind, body, piece))


async def _take_form(kind: str, body: bytes, piece: int) -> None:
    header = (b"content-type", kind.encode("latin-1", "replace"))
    received, _ = await receive(_request(body, piece, header), 1 << 20)
    openai_form.read_wishes(received, "transcribe")


def secrets(body: Any, piece: int) -> None:
    """Take a request for a client secret, its body in pieces."""
    data = _text(body).encode("utf-8", "surrogatepass")
    segmenter = SegmenterConfig()

    def new(kind: object) -> dict[str, Any]:
        if kind not in openai_session.TYPES:
            raise UnsupportedRequestError("a session of another type")
        return openai_session.new_session(
            str(kind), model="m", lasts_s=60.0, segmenter=segmenter
        )

    wishes = openai_secrets.read_wishes(_request(data, piece), new, "m")
    settings, lasts_s = asyncio.run(wishes)
    least, most = openai_secrets.LASTS_S
    assert least <= lasts_s <= most
    json.dumps(settings, allow_nan=False)  # as it is answered
    openai_session.start_of(settings)


def _request(body: bytes, piece: int, *headers: tuple[bytes, bytes]) -> Request:
    """Return a request whose body comes in pieces."""
    size = piece % MOST_AT_ONCE + 1
    pieces = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
    messages = iter(
        {"type": "http.request", "body": part, "more_body": i + 1 < len(pieces)}
        for i, part in enumerate(pieces)
    )

    async def receiver() -> dict[str, Any]:
        return next(messages)

    return Request({"type": "http", "headers": [*headers]}, receiver)


def chat(body: Any) -> None:
    """Read what a chat completion asks, and hear its audio."""
    wishes = read_chat(json_object("the body", body))
    decode(wishes.audio, MOST_AUDIO_S)


Parser = Callable[..., None]
PARSERS: MappingProxyType[str, tuple[Parser, tuple[Any, ...]]] = MappingProxyType(
    {
        "native": (native, (fuzz_inputs.NATIVE,)),
        "openai": (openai, (fuzz_realtime.OPENAI,)),
        "wyoming": (wyoming, fuzz_inputs.WYOMING),
        "pcm": (pcm, fuzz_inputs.PCM),
        "file": (file, (fuzz_inputs.FILES,)),
        "form": (form, fuzz_inputs.FORMS),
        "chat": (chat, (fuzz_inputs.CHAT,)),
        "secrets": (secrets, fuzz_realtime.SECRETS),
    }
)


def fuzz(parser: Parser, strategies: Sequence[Any], inputs: int) -> Counter[str]:
    """Run a parser on inputs; return how often it ended how.

    Raises:
        Exception: What it raised that is no error of ours, with the input in its notes.
    """
    ends: Counter[str] = Counter()

    @settings(
        max_examples=-(-inputs // (1 + DAMAGES)),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*strategies), st.integers(0, 2**32))
    def run(values: tuple[Any, ...], seed: int) -> None:
        random, changed = Random(seed), values
        for _ in range(1 + DAMAGES):
            ends[_end(parser, changed)] += 1
            start = changed if random.random() < KEPT else values
            changed = fuzz_inputs.damaged(start, random)

    # Where it hangs is written even from inside a library; then the process ends.
    faulthandler.register(signal.SIGVTALRM, file=sys.__stderr__, chain=True)
    try:
        run()
    finally:
        faulthandler.unregister(signal.SIGVTALRM)
    return ends


def _end(parser: Parser, values: tuple[Any, ...]) -> str:
    """Run a parser on an input; return the error of ours that it ends with."""
    signal.setitimer(signal.ITIMER_VIRTUAL, HANGS_S)
    try:
        parser(*values)
    except StreamError as exc:
        return type(exc).__name__
    except Exception as exc:
        exc.add_note(f"the input: {values!r:.2000}")
        raise
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return TAKEN


def main(arguments: Sequence[str] | None = None) -> None:
    """Fuzz; a parser that fails ends it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--inputs", type=int, default=100_000, help="for each parser")
    parser.add_argument("--only", choices=PARSERS, help="one parser instead of all")
    wanted = parser.parse_args(arguments)
    # It says what is wrong with each form; without a handler that goes to the terminal.
    logging.getLogger("python_multipart").addHandler(logging.NullHandler())
    for name in [wanted.only] if wanted.only else PARSERS:
        began = time.monotonic()
        ends = fuzz(*PARSERS[name], wanted.inputs)
        counts = ", ".join(f"{end} {count}" for end, count in ends.most_common())
        took = f"{ends.total()} inputs in {time.monotonic() - began:.0f} s"
        sys.stdout.write(f"{name:8} {took}: {counts}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
