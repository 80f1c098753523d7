"""A recording through OpenAI's own client, a server's process and the real model."""

import asyncio
import base64

import pytest
import soundfile
import soxr
from openai import AsyncOpenAI

from engine.evaluation.live import running_server
from stream.audio import SAMPLE_RATE, to_pcm
from tests.checkout import ROOT
from tests.weights import require_weights

pytestmark = pytest.mark.end_to_end

SPEECH = ROOT / "demo" / "jfk.ogg"
SAID = "what your country can do for you"
RATE = 24_000
DEADLINE_S = 120


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


async def test_a_recording_is_transcribed_while_it_is_sent(base_url):
    samples, rate = soundfile.read(SPEECH, dtype="float32")
    assert rate == SAMPLE_RATE
    audio = to_pcm(soxr.resample(samples, rate, RATE))
    async with (
        asyncio.timeout(DEADLINE_S),
        AsyncOpenAI(base_url=base_url, api_key="any") as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        for start in range(0, len(audio), RATE // 5):  # 100 ms
            piece = base64.b64encode(audio[start : start + RATE // 5]).decode()
            await connection.input_audio_buffer.append(audio=piece)
        silence = base64.b64encode(bytes(RATE * 2)).decode()
        await connection.input_audio_buffer.append(audio=silence)
        texts, deltas = [], []
        async for event in connection:
            if event.type.endswith("input_audio_transcription.delta"):
                deltas.append(event.delta)
            elif event.type.endswith("input_audio_transcription.completed"):
                texts.append(event.transcript)
                if SAID in " ".join(texts).lower() and len(texts) > 2:
                    break
    assert SAID in " ".join(texts).lower()
    assert "".join(deltas) == "".join(texts)
