"""The Python client: audio and questions in, typed events out.

    async with connect("ws://127.0.0.1:8765") as client:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(speak(client))  # send() ..., then end()
            async for event in client:
                ...

    answer = await client.ask("What was that noise?")
    async for piece in answer:
        ...

Read events while you send, and while you wait for answers: the client holds a bounded
number of each.  What it does, `clients.conversation` knows.
"""

from collections.abc import Mapping, Sequence

from clients.conversation import GIVE_UP_S, MAX_HELD_S, Client
from clients.wire import native_url
from stream.events import Start
from stream.sound_events import Watch


def connect(
    url: str,
    *,
    tasks: Sequence[str] = ("transcribe",),
    language: str | None = None,
    rate: int = 16_000,
    encoding: str = "s16le",
    channels: int = 1,
    partials: bool = True,
    words: bool = False,
    opening_phrase: str | None = None,
    spoken_seconds: float = 10.0,
    speakers: int = 0,
    sounds: bool = False,
    watches: Sequence[Watch] = (),
    voices: Mapping[str, bytes] | None = None,
    token: str | None = None,
    resume: bool = True,
    give_up_s: float = GIVE_UP_S,
    max_held_s: float = MAX_HELD_S,
) -> Client:
    """Return a client, to be entered with `async with`.

    Args:
        url: `ws://HOST:PORT`; without a path, the native protocol's is added.
        tasks: What is asked about each segment, as the server names it.
        language: Code of the spoken language; None lets the model tell.
        rate: Samples a second, of each channel.
        encoding: Of the samples; `stream.audio.ENCODINGS` names them.
        channels: Interleaved; the server mixes them.
        partials: Whether hypotheses that may still change are wanted.
        words: Whether finals say where each word was spoken.
        opening_phrase: Words with which a segment begins that asks a question.
        spoken_seconds: How much audio before it a spoken question is about.
        speakers: The most speakers that are told apart; 0 tells none.
        sounds: Whether sounds that are no speech are told by their names.
        watches: What is listened for from the start; `Client.watch` adds more.
        voices: Of speakers that are known, by their names: 1.6 to 6 s of them alone,
            s16le at 16 kHz (`clients.voices.read_voice`).
        token: Sent as a bearer token, if there is one.
        resume: Whether to go on over a new connection when one is lost.
        give_up_s: For how long a lost connection is tried again.
        max_held_s: How much unsettled audio is kept before `send` waits;
            `UNPACED_HELD_S` for a recording that is sent as fast as it goes.

    Raises:
        ValueError: If the address is none.
        AudioFormatError: If the format is none that a server hears.
    """
    return Client(
        native_url(url),
        Start(
            rate=rate,
            encoding=encoding,
            channels=channels,
            tasks=tuple(tasks),
            language=language,
            partials=partials,
            words=words,
            opening_phrase=opening_phrase,
            spoken_seconds=spoken_seconds,
            speakers=speakers,
            sounds=sounds,
            watches=tuple(watches),
        ),
        voices=voices,
        token=token,
        give_up_s=give_up_s if resume else None,
        max_held_s=max_held_s,
    )
