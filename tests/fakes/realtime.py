"""Clients of OpenAI's Realtime protocol: its own, and one that sends what it likes."""

import asyncio
import base64
import contextlib
import io
import json

import soundfile
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.client import connect

from stream.audio import SAMPLE_RATE
from tests.checkout import ROOT
from tests.fakes.server import DEADLINE_S

EXAMPLES = json.loads((ROOT / "tests/data/openai_realtime_examples.json").read_text())
SHAPES = {example["type"]: example.keys() for example in EXAMPLES}
OFFICIAL = TypeAdapter(RealtimeServerEvent)
RATE_16K = {"audio": {"input": {"format": {"type": "audio/pcm", "rate": SAMPLE_RATE}}}}
MANUAL = {
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": SAMPLE_RATE},
            "turn_detection": None,
        }
    }
}
COMPLETED = "conversation.item.input_audio_transcription.completed"
DELTA = "conversation.item.input_audio_transcription.delta"


def encoded(pcm):
    return base64.b64encode(pcm).decode()


def written(samples, subtype):
    """Return samples of -1 to 1 as a codec has them, without a header."""
    file = io.BytesIO()
    soundfile.write(file, samples, 8_000, format="RAW", subtype=subtype)
    return file.getvalue()


@contextlib.asynccontextmanager
async def sdk(address, **options):
    """Connect as OpenAI's documentation says: to transcribe, unless options differ."""
    options = options or {"extra_query": {"intent": "transcription"}}
    async with (
        AsyncOpenAI(base_url=f"http://{address}/v1", api_key="any") as client,
        client.realtime.connect(**options) as connection,
        asyncio.timeout(DEADLINE_S),
    ):
        yield connection


async def heard(connection):
    """Return the next event, which is as OpenAI's types and examples have it."""
    data = await connection.recv_bytes()
    shown = json.loads(data)
    if "session" not in shown:  # its rate may be one that OpenAI does not take
        OFFICIAL.validate_json(data)
    if shown["type"] in SHAPES:
        assert shown.keys() == SHAPES[shown["type"]], shown["type"]
    return connection.parse_event(data)


async def until(connection, kind, *, count=1):
    """Return what comes, to the `count`th event of a type."""
    events = []
    while count:
        event = await heard(connection)
        events.append(event)
        count -= event.type == kind
    return events


def kinds_of(events):
    return [event.type.rpartition(".")[2] for event in events]


def dial(server, *, query="?intent=transcription", **options):
    url = f"ws://127.0.0.1:{server.port}/v1/realtime{query}"
    return connect(url, proxy=None, compression=None, max_size=None, **options)


async def receive(socket, kind):
    async with asyncio.timeout(DEADLINE_S):
        while (event := json.loads(await socket.recv()))["type"] != kind:
            pass
    return event
