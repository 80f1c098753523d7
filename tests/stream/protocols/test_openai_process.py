"""What goes wrong between OpenAI's own client and a server's process."""

import pytest
from websockets.exceptions import ConnectionClosedError

from tests.fakes.engine import speak
from tests.fakes.process import serving
from tests.fakes.realtime import COMPLETED, RATE_16K, encoded, sdk, until


async def test_a_wrong_event_of_the_sdk_s_is_told_and_the_session_goes_on(tmp_path):
    async with serving(tmp_path) as address, sdk(address) as connection:
        await connection.session.update(session={"type": "transcription", **RATE_16K})
        await connection.send_raw('{"type": "input_audio_buffer.append"')
        error = (await until(connection, "error"))[-1].error
        assert (error.type, error.param) == ("invalid_request_error", "event")
        assert "is not JSON" in error.message
        await connection.input_audio_buffer.append(audio="?", event_id="mine")
        error = (await until(connection, "error"))[-1].error
        assert (error.param, error.event_id) == ("audio", "mine")
        settings = {
            "type": "transcription",
            "audio": {"input": {"format": {"rate": 1}}},
        }
        await connection.session.update(session=settings)
        error = (await until(connection, "error"))[-1].error
        assert error.param == "session.audio.input.format.rate"
        await connection.input_audio_buffer.append(audio=encoded(speak(1, 0, 0)))
        assert (await until(connection, COMPLETED))[-1].transcript == "1"


async def test_an_append_of_the_sdk_s_that_is_too_large_ends_its_session(tmp_path):
    async with serving(tmp_path) as address, sdk(address) as connection:
        await connection.input_audio_buffer.append(audio="A" * (17 << 20))
        error = (await until(connection, "error"))[-1].error
        assert (error.type, error.code) == ("invalid_request_error", "too_large")
        with pytest.raises(ConnectionClosedError) as closed:
            await connection.recv()
        assert closed.value.rcvd.code == 1009
