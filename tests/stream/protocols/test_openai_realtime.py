"""OpenAI's Realtime protocol with its own client, and with what no client sends."""

import asyncio
import contextlib
import json
from dataclasses import replace

import pytest
from openai import AsyncOpenAI
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stream.audio import SAMPLE_RATE
from stream.config import AuthConfig
from tests.fakes.engine import UNKNOWN, ScriptedEngine, speak
from tests.fakes.process import serving
from tests.fakes.realtime import (
    COMPLETED,
    DELTA,
    MANUAL,
    OFFICIAL,
    RATE_16K,
    dial,
    encoded,
    kinds_of,
    receive,
    sdk,
    until,
)
from tests.fakes.server import TALK, pieces, running


def session_of(fields):
    return {"type": "transcription", **fields}


async def test_the_sdk_hears_what_is_said_while_it_is_said(tmp_path):
    async with serving(tmp_path) as address, sdk(address) as connection:
        created = await connection.recv_bytes()
        OFFICIAL.validate_json(created)
        assert json.loads(created)["session"]["type"] == "transcription"
        await connection.session.update(session=session_of(RATE_16K))
        updated = await connection.recv()
        assert updated.session.audio.input.format.rate == SAMPLE_RATE
        for piece in pieces(TALK, 1_600):
            await connection.input_audio_buffer.append(audio=encoded(piece))
        events = await until(connection, COMPLETED, count=2)
        kinds = kinds_of(events)
        first = [e for e in events if getattr(e, "item_id", None) == events[0].item_id]
        assert kinds_of(e for e in first if e.type != DELTA) == [
            "speech_started",
            "speech_stopped",
            "committed",
            "completed",
        ]
        assert "".join(e.delta for e in first if e.type == DELTA) == "1 2"
        assert first[-1].transcript == "1 2"
        assert (events[0].audio_start_ms, events[-1].transcript) == (0, "3")
        assert kinds.count("added") == kinds.count("done") == 2


async def test_what_a_language_model_transcribes_is_transcribed():
    engine = ScriptedEngine()
    engine.info = replace(engine.info, tasks=(), prompted_tasks=("transcribe",))
    async with (
        running(engine=engine) as server,
        sdk(f"127.0.0.1:{server.port}") as connection,
    ):
        await connection.session.update(session=session_of(RATE_16K))
        for piece in pieces(TALK, 1_600):
            await connection.input_audio_buffer.append(audio=encoded(piece))
        events = await until(connection, COMPLETED)
        assert events[-1].transcript == "transcribe 1 2"


async def test_text_that_is_stable_comes_before_the_turn_ends():
    async with running() as server, sdk(f"127.0.0.1:{server.port}") as connection:
        await connection.session.update(session=session_of(RATE_16K))
        for piece in pieces(speak(1, 2, 3), 1_600):
            await connection.input_audio_buffer.append(audio=encoded(piece))
        events = await until(connection, DELTA)
        assert "input_audio_buffer.committed" not in [e.type for e in events]


async def test_the_sdk_commits_a_turn_itself(tmp_path):
    async with serving(tmp_path) as address, sdk(address) as connection:
        await connection.session.update(session=session_of(MANUAL))
        for turn in (TALK, speak(7)):
            for piece in pieces(turn):
                await connection.input_audio_buffer.append(audio=encoded(piece))
            await connection.input_audio_buffer.commit()
        events = await until(connection, COMPLETED, count=2)
        kinds = {event.type for event in events}
        assert not any("speech" in kind for kind in kinds)
        first, second = (e for e in events if e.type == COMPLETED)
        assert (first.transcript, second.transcript) == ("1 2 3", "7")
        assert first.usage.seconds == pytest.approx(len(TALK) / 2 / SAMPLE_RATE)
        committed = [e for e in events if e.type == "input_audio_buffer.committed"]
        assert [e.item_id for e in committed] == [first.item_id, second.item_id]
        assert [e.previous_item_id for e in committed] == [None, first.item_id]
        for done in (first, second):
            deltas = [
                e.delta for e in events if e.type == DELTA and e.item_id == done.item_id
            ]
            assert "".join(deltas) == done.transcript


async def test_cleared_audio_is_never_told():
    async with running() as server, sdk(f"127.0.0.1:{server.port}") as connection:
        await connection.session.update(session=session_of(MANUAL))
        await connection.input_audio_buffer.append(audio=encoded(speak(1, 2)))
        await connection.input_audio_buffer.clear()
        await connection.input_audio_buffer.append(audio=encoded(speak(3)))
        await connection.input_audio_buffer.commit()
        events = await until(connection, COMPLETED)
        assert "cleared" in kinds_of(events)
        assert events[-1].transcript == "3"
        await connection.input_audio_buffer.commit()
        error = (await until(connection, "error"))[-1]
        assert error.error.code == "input_audio_buffer_commit_empty"


async def test_a_commit_ends_a_turn_that_the_server_detects():
    async with running() as server, sdk(f"127.0.0.1:{server.port}") as connection:
        await connection.session.update(session=session_of(RATE_16K))
        await connection.input_audio_buffer.append(audio=encoded(speak(1)))
        await connection.input_audio_buffer.commit()
        events = await until(connection, COMPLETED)
        assert events[-1].transcript == "1"
        await connection.input_audio_buffer.append(audio=encoded(speak(0)))
        await connection.input_audio_buffer.commit()
        assert (await until(connection, COMPLETED))[-1].transcript == ""


async def test_settings_may_change_between_two_turns():
    async with running() as server, sdk(f"127.0.0.1:{server.port}") as connection:
        await connection.session.update(session=session_of(RATE_16K))
        await connection.input_audio_buffer.append(audio=encoded(speak(1, 0)))
        await connection.session.update(session=session_of(MANUAL))
        await connection.input_audio_buffer.append(audio=encoded(speak(2)))
        await connection.input_audio_buffer.commit()
        events = await until(connection, COMPLETED, count=2)
        texts = [e.transcript for e in events if e.type == COMPLETED]
        assert texts == ["1", "2"]
        previous = [e.previous_item_id for e in events if e.type.endswith("committed")]
        assert previous[1] is not None
        await server.until(lambda: len(server.hub.streams) == 1)


async def test_a_segment_that_the_engine_fails_on_is_told_on_its_item():
    async with running() as server, sdk(f"127.0.0.1:{server.port}") as connection:
        await connection.session.update(session=session_of(RATE_16K))
        audio = encoded(speak(UNKNOWN, 0, 2, 0))
        await connection.input_audio_buffer.append(audio=audio)
        events = await until(connection, COMPLETED)
        (failed,) = [e for e in events if e.type.endswith(".failed")]
        assert (failed.error.code, failed.error.message) == (
            "engine_error",
            "an unknown word",
        )
        assert events[-1].transcript == "2"


async def test_the_sdk_is_told_of_a_bad_key_and_comes_in_with_a_good_one(tmp_path):
    settings = '[auth]\ntokens = ["secret"]'
    async with serving(tmp_path, settings) as address:
        with pytest.raises(InvalidStatus) as refused:
            async with sdk(address):
                pass
        assert refused.value.response.status_code == 401
        error = json.loads(refused.value.response.body)["error"]
        assert error["code"] == "invalid_api_key"
        async with (
            AsyncOpenAI(base_url=f"http://{address}/v1", api_key="secret") as client,
            client.realtime.connect(extra_query={"intent": "transcription"}) as good,
        ):
            assert (await good.recv()).type == "session.created"


async def test_a_browser_sends_its_key_as_a_subprotocol_and_never_gets_it_back():
    offered = ["realtime", "openai-insecure-api-key.secret"]
    async with running(auth=AuthConfig(tokens=("secret",))) as server:
        async with dial(server, subprotocols=offered) as socket:
            assert socket.subprotocol == "realtime"
            assert "secret" not in str(socket.response.headers)
            await receive(socket, "session.created")
        with pytest.raises(InvalidStatus):
            async with dial(server, subprotocols=["realtime", "openai-insecure-x.y"]):
                pass


async def test_a_conversation_with_a_model_that_answers_nothing_is_refused_in_words():
    engine = ScriptedEngine()
    engine.info = replace(engine.info, answers_questions=False)
    async with running(engine=engine) as server:
        with pytest.raises(InvalidStatus) as refused:
            async with dial(server, query="?model=gpt-realtime"):
                pass
        assert refused.value.response.status_code == 400
        error = json.loads(refused.value.response.body)["error"]
        assert "scripted answers no questions" in error["message"]


async def test_a_session_of_another_kind_is_refused():
    async with running() as server:
        with pytest.raises(InvalidStatus) as refused:
            async with dial(server, query="?intent=singing"):
                pass
        error = json.loads(refused.value.response.body)["error"]
        assert "expected transcription or realtime" in error["message"]


@pytest.mark.parametrize(
    ("sent", "param", "message"),
    [
        ("hello", "event", "is not JSON: 'hello'"),
        ("[1]", "event", "expected an object"),
        ("[" * 100_000, "event", "is not JSON"),
        (b"\0\0", "event", "a binary message; expected JSON text"),
        ("{}", "type", "is None; it is not served here"),
        ('{"type": ["x"]}', "type", "is ['x']; it is not served here"),
        ('{"type": "response.create"}', "type", "it is not served here"),
        ('{"type": "session.update"}', "session", "is None; expected an object"),
        ('{"type": "input_audio_buffer.append"}', "audio", "expected a text of base64"),
        (
            '{"type": "input_audio_buffer.append", "audio": "?"}',
            *("audio", "is not base64"),
        ),
        (
            '{"type": "input_audio_buffer.append", "audio": "é"}',
            *("audio", "is not base64"),
        ),
        (
            '{"type": "input_audio_buffer.append", "audio": "AAAA"}',
            *("audio", "has 3 bytes; expected samples of 2 bytes"),
        ),
        (
            json.dumps(
                {
                    "type": "session.update",
                    "session": {
                        "audio": {"input": {"transcription": {"language": "\ud800"}}}
                    },
                }
            ),
            "session.audio.input.transcription.language",
            "cannot be served: no language",
        ),
    ],
)
async def test_a_wrong_event_is_told_and_the_session_goes_on(sent, param, message):
    async with running() as server, dial(server) as socket:
        await socket.send(sent)
        error = (await receive(socket, "error"))["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", param)
        assert message in error["message"]
        await socket.send(
            json.dumps({"type": "session.update", "session": session_of(RATE_16K)})
        )
        audio = encoded(speak(1, 0, 0))
        event = {"type": "input_audio_buffer.append", "audio": audio}
        await socket.send(json.dumps(event))
        assert (await receive(socket, COMPLETED))["transcript"] == "1"


async def test_an_error_names_the_event_that_it_is_about():
    async with running() as server, dial(server) as socket:
        await socket.send('{"type": "nothing", "event_id": "mine"}')
        event = await receive(socket, "error")
        assert event["error"]["event_id"] == "mine"
        assert event["event_id"] != "mine"


async def test_a_whole_minute_may_come_in_one_event_and_one_that_is_too_large_not():
    async with running() as server, dial(server) as socket:
        await socket.send(
            json.dumps({"type": "session.update", "session": session_of(RATE_16K)})
        )
        minute = speak(*([5] + [0] * 19) * 10)
        audio = encoded(minute)
        event = {"type": "input_audio_buffer.append", "audio": audio}
        await socket.send(json.dumps(event))
        for _ in range(10):
            assert (await receive(socket, COMPLETED))["transcript"] == "5"
        with contextlib.suppress(ConnectionClosed):
            await socket.send("x" * (17 << 20))
        error = (await receive(socket, "error"))["error"]
        assert (error["code"], error["type"]) == ("too_large", "invalid_request_error")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1009


async def test_text_that_is_not_unicode_is_told_as_openai_tells_errors():
    async with running() as server, dial(server) as socket:
        with contextlib.suppress(ConnectionClosed):
            await socket.send(b"\xff\xfe", text=True)
        error = (await receive(socket, "error"))["error"]
        assert "not UTF-8" in error["message"]


async def test_a_session_that_grows_too_long_is_told_and_closed():
    async with running(max_session_s=1.0) as server, dial(server) as socket:
        audio = encoded(bytes(2 * 24_000 * 2))
        event = {"type": "input_audio_buffer.append", "audio": audio}
        await socket.send(json.dumps(event))
        error = (await receive(socket, "error"))["error"]
        assert "more than 1 s" in error["message"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1009


async def test_a_server_that_stops_sends_what_was_said_and_then_closes():
    async with running() as server, dial(server) as socket:
        await socket.send(
            json.dumps({"type": "session.update", "session": session_of(RATE_16K)})
        )
        audio = encoded(speak(1, 2))
        event = {"type": "input_audio_buffer.append", "audio": audio}
        await socket.send(json.dumps(event))
        await receive(socket, "input_audio_buffer.speech_started")
        server.server.stop()
        assert (await receive(socket, COMPLETED))["transcript"] == "1 2"
        error = (await receive(socket, "error"))["error"]
        assert (error["type"], error["code"]) == ("server_error", "shutting_down")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1001


async def test_a_client_that_goes_leaves_nothing():
    async with running() as server:
        async with dial(server) as socket:
            audio = encoded(speak(1, 2, samples=7_200))
            event = {"type": "input_audio_buffer.append", "audio": audio}
            await socket.send(json.dumps(event))
            await receive(socket, "input_audio_buffer.speech_started")
        await server.until(lambda: not server.hub.num_connections)
        assert not server.hub.streams
    assert server.engine.num_open == 0


async def test_a_client_that_sends_much_and_reads_nothing_is_cut_off():
    async with running(send_timeout_s=0.2) as server, dial(server) as socket:
        socket.transport.pause_reading()
        flood = asyncio.create_task(_flood(socket))
        # Some megabytes of small answers have to fill what lies between first.
        await server.until(lambda: not server.hub.num_connections, limit_s=60)
        flood.cancel()
        socket.transport.abort()


async def _flood(socket):
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket.send('{"type": "nothing"}')


async def test_an_unforeseen_error_is_internal_and_tells_nothing_more(monkeypatch):
    async with running() as server, dial(server) as socket:

        def fail(*arguments, **options):
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(server.hub, "open", fail)
        event = {"type": "input_audio_buffer.append", "audio": encoded(speak(1))}
        await socket.send(json.dumps(event))
        error = (await receive(socket, "error"))["error"]
        assert error["code"] == "internal_error"
        assert "secret" not in error["message"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1011
