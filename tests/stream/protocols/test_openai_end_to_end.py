"""A recording through OpenAI's own client, a server's process and the real model."""

import asyncio
import base64

import numpy as np
import pytest
import soundfile
import soxr
from openai import AsyncOpenAI

from engine.evaluation.live import running_server
from stream.audio import SAMPLE_RATE, to_pcm
from tests.checkout import ROOT
from tests.fakes.realtime import written
from tests.fakes.server import pieces
from tests.weights import require_weights

pytestmark = pytest.mark.end_to_end

SPEECH = ROOT / "demo" / "jfk.ogg"
SAID = "what your country can do for you"
LAST = "you can do for your country"
DEADLINE_S = 120


def alaw(samples):
    return written(samples, "ALAW")


@pytest.fixture(scope="module")
def base_url():
    require_weights()
    with running_server(flags=["--captions-only"]) as (url, _):
        yield url.replace("ws://", "http://") + "/v1"


async def test_a_file_is_transcribed_with_the_times_of_its_words(base_url):
    async with AsyncOpenAI(base_url=base_url, api_key="any") as client:
        found = await client.audio.transcriptions.create(
            file=SPEECH,
            model="whisper-1",
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
    assert SAID in found.text.lower()
    assert found.language == "en"
    assert found.duration == pytest.approx(11.0, abs=0.1)
    starts = [word.start for word in found.words]
    assert starts == sorted(starts)
    assert len(found.words) == len(found.text.split())


@pytest.mark.parametrize(
    ("wanted", "rate", "encode", "turns"),
    [
        ({"type": "audio/pcm", "rate": 24_000}, 24_000, to_pcm, "server_vad"),
        ({"type": "audio/pcma"}, 8_000, alaw, "semantic_vad"),
    ],
)
async def test_a_recording_is_transcribed_while_it_is_sent(
    base_url, wanted, rate, encode, turns
):
    samples, recorded = soundfile.read(SPEECH, dtype="float32")
    assert recorded == SAMPLE_RATE
    silence = np.zeros(rate, np.float32)
    audio = encode(np.concatenate([soxr.resample(samples, SAMPLE_RATE, rate), silence]))
    heard = {"format": wanted, "turn_detection": {"type": turns}}
    async with (
        asyncio.timeout(DEADLINE_S),
        AsyncOpenAI(base_url=base_url, api_key="any") as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        session = {"type": "transcription", "audio": {"input": heard}}
        await connection.session.update(session=session)
        for piece in pieces(audio, 4_800):
            encoded = base64.b64encode(piece).decode()
            await connection.input_audio_buffer.append(audio=encoded)
        texts, deltas = [], []
        async for event in connection:
            if event.type.endswith("input_audio_transcription.delta"):
                deltas.append(event.delta)
            elif event.type.endswith("input_audio_transcription.completed"):
                texts.append(event.transcript)
                if LAST in event.transcript.lower():
                    break
    assert SAID in " ".join(texts).lower()
    assert "".join(deltas) == "".join(texts)
