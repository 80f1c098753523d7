"""A recording through Wyoming's own client, a server's process and the real model."""

import asyncio
import sys

import pytest
import soundfile
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient

from stream.audio import SAMPLE_RATE, to_pcm
from tests.checkout import ROOT
from tests.weights import require_weights

pytestmark = pytest.mark.end_to_end

SPEECH = ROOT / "demo" / "jfk.ogg"
SAID = "what your country can do for you"
DEADLINE_S = 180


async def test_a_recording_is_transcribed_as_home_assistant_sends_it():
    require_weights()
    samples, rate = soundfile.read(SPEECH, dtype="float32")
    assert rate == SAMPLE_RATE
    audio = to_pcm(samples)
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stream", "--port", "0", "--wyoming-port", "0"),
        *("--log-level", "warning", "--captions-only"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            first = (await server.stdout.readline()).decode()
            second = (await server.stdout.readline()).decode()
            assert first.startswith("listening on ws://127.0.0.1:")
            assert second.startswith("listening on tcp://127.0.0.1:")
            events = await heard(second.split()[-1], audio)
    finally:
        server.terminate()
        await server.communicate()
    assert server.returncode == 0
    texts = {event.type: event.data.get("text") for event in events}
    chunks = [e.data["text"] for e in events if e.type == "transcript-chunk"]
    assert SAID in texts["transcript"].lower()
    assert "".join(chunks) == texts["transcript"]
    assert len(chunks) > 1


async def heard(uri, audio):
    """Return what is told of audio."""
    async with AsyncTcpClient.from_uri(uri) as client:
        await client.write_event(Transcribe(language="en").event())
        await client.write_event(AudioStart(SAMPLE_RATE, 2, 1).event())
        for start in range(0, len(audio), 2_048):
            chunk = AudioChunk(SAMPLE_RATE, 2, 1, audio[start : start + 2_048])
            await client.write_event(chunk.event())
        await client.write_event(AudioStop().event())
        events = [await client.read_event()]
        while events[-1].type != "transcript-stop":
            events.append(await client.read_event())
    return events
