"""Audio of all formats of OpenAI's Realtime protocol, with its own client."""

import numpy as np
import pytest
import soxr

from stream.audio import SAMPLE_RATE, to_float, to_pcm
from tests.fakes.engine import AnySound, speak
from tests.fakes.realtime import COMPLETED, encoded, sdk, until, written
from tests.fakes.server import running


class LoudSound(AnySound):
    """Calls a frame voiced if it is loud: A-law has no code for silence itself."""

    def is_voiced(self, frame):
        return np.frombuffer(frame.pcm, "<i2").max() > 1_000


def mulaw(samples):
    return written(samples, "ULAW")


def alaw(samples):
    return written(samples, "ALAW")


@pytest.mark.parametrize(
    ("wanted", "rate", "encode"),
    [
        ({"type": "audio/pcm"}, 24_000, to_pcm),
        ({"type": "audio/pcm", "rate": 8_000}, 8_000, to_pcm),
        ({"type": "audio/pcm", "rate": 44_100}, 44_100, to_pcm),
        ({"type": "audio/pcm", "rate": 48_000}, 48_000, to_pcm),
        ({"type": "audio/pcmu"}, 8_000, mulaw),
        ({"type": "audio/pcma"}, 8_000, alaw),
    ],
)
async def test_audio_of_every_format_is_heard_at_its_time(wanted, rate, encode):
    loud = to_float(speak(0, 9_000, 9_000, 0, 0))
    samples = soxr.resample(loud, SAMPLE_RATE, rate).astype(np.float32)
    async with (
        running(detector=LoudSound) as server,
        sdk(f"127.0.0.1:{server.port}") as connection,
    ):
        await connection.session.update(
            session={"type": "transcription", "audio": {"input": {"format": wanted}}}
        )
        await connection.input_audio_buffer.append(audio=encoded(encode(samples)))
        events = await until(connection, COMPLETED)
        times = [
            getattr(e, "audio_start_ms", getattr(e, "audio_end_ms", None))
            for e in events
        ]
        start, end = (time for time in times if time is not None)
        # From 100 ms of pre-roll before 300 ms on, to 60 ms behind 900 ms.
        assert start == pytest.approx(200, abs=60)
        assert end == pytest.approx(960, abs=60)
