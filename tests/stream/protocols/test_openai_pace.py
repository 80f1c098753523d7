"""Audio that comes faster than it is heard, over OpenAI's Realtime protocol."""

import asyncio
import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed

from stream.websocket import READ_AHEAD_BYTES
from tests.fakes.engine import SlowEngine, speak, speak_in_fours
from tests.fakes.realtime import COMPLETED, MANUAL, dial, encoded, receive
from tests.fakes.server import DEADLINE_S, running

WORDS = [*range(20, 60)] * 2
LONG = speak_in_fours(WORDS)
"""30 s of audio."""
COMMIT = json.dumps({"type": "input_audio_buffer.commit"})


def append(pcm):
    return json.dumps({"type": "input_audio_buffer.append", "audio": encoded(pcm)})


async def begin(socket):
    """Let the client say where turns end."""
    session = {"type": "transcription", **MANUAL}
    await socket.send(json.dumps({"type": "session.update", "session": session}))
    await receive(socket, "session.updated")


@pytest.mark.parametrize("spaces", [0, READ_AHEAD_BYTES])
async def test_a_client_that_waits_behind_a_long_event_is_not_dropped(spaces):
    """However much it has sent behind it; what is too much is not read meanwhile."""
    limits = {"max_backlog_s": 3.0, "ping_interval_s": 0.1, "ping_timeout_s": 0.6}
    async with running(engine=SlowEngine(0.03), **limits) as server:
        server.let_audio_wait()
        async with dial(server, ping_interval=None) as socket:
            await begin(socket)
            await socket.send(append(LONG))
            await socket.send(COMMIT + " " * spaces)
            heard = (await receive(socket, COMPLETED))["transcript"]
            assert heard.split() == [str(word) for word in WORDS]
            await socket.send(append(speak(7)))
            await socket.send(COMMIT)
            assert (await receive(socket, COMPLETED))["transcript"] == "7"


async def test_no_more_is_heard_of_a_client_that_goes_behind_a_long_event():
    async with running(max_backlog_s=1.0) as server:
        server.engine.free.clear()
        async with dial(server) as socket:
            await begin(socket)
            await socket.send(append(LONG))
            await socket.send(COMMIT)
            assert await asyncio.to_thread(server.engine.busy.wait, DEADLINE_S)
        assert socket.close_code == 1000  # it was answered at once
        server.engine.free.set()
        await server.until(lambda: not server.hub.num_connections)
        assert not server.hub.streams
    assert server.engine.num_pushes < 10
    assert server.engine.num_open == 0


async def test_an_engine_that_stands_still_ends_a_long_event():
    async with (
        running(max_backlog_s=0.5, ping_timeout_s=0.2) as server,
        dial(server) as socket,
    ):
        await begin(socket)
        server.engine.free.clear()
        await socket.send(append(LONG))
        error = (await receive(socket, "error"))["error"]
        assert error["code"] == "overloaded"
        with contextlib.suppress(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1013
