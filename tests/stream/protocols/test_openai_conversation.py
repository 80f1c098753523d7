"""Conversations of OpenAI's Realtime protocol, with its own client.

The scripted engine repeats the question and then what it heard.
"""

import json

import pytest

from tests.fakes.conversing import (
    COMMITTED,
    DONE,
    MODEL,
    ask,
    kinds,
    say,
    server_vad,
    session_of,
    settle,
    text_of,
)
from tests.fakes.engine import speak
from tests.fakes.process import serving
from tests.fakes.realtime import RATE_16K, dial, encoded, receive, sdk, until
from tests.fakes.server import running


async def test_the_sdk_holds_a_conversation_with_a_process(tmp_path):
    async with serving(tmp_path) as address, sdk(address, **MODEL) as connection:
        wanted = {"instructions": "Listen:", "output_modalities": ["audio"]}
        settings = await settle(connection, turns=server_vad(), **wanted)
        assert settings.output_modalities == ["text"]
        await connection.input_audio_buffer.append(audio=encoded(speak(1, 2, 0, 0)))
        events = await until(connection, DONE)
        assert [kind for kind in kinds(events) if not kind.endswith("delta")] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "conversation.item.added",
            "response.content_part.added",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "conversation.item.done",
            "response.done",
        ]
        deltas = [e.delta for e in events if e.type == "response.output_text.delta"]
        assert "".join(deltas) == text_of(events) == "Listen: 1 2"
        response = events[-1].response
        assert (response.status, response.usage.output_tokens) == ("completed", 3)
        users = next(e for e in events if e.type == "conversation.item.done").item
        answers = [e for e in events if e.type == "conversation.item.added"][-1]
        assert answers.previous_item_id == users.id


async def test_a_turn_that_the_client_commits_is_answered_when_it_asks():
    async with (
        running() as server,
        sdk(f"127.0.0.1:{server.port}", **MODEL) as connection,
    ):
        await settle(connection)
        await say(connection, 1, 2)
        await connection.response.create(response={"instructions": "Repeat:"})
        events = await until(connection, DONE)
        assert COMMITTED in kinds(events)
        assert text_of(events) == "Repeat: 1 2"
        await connection.conversation.item.create(item=ask("And now?"))
        await connection.response.create()
        assert text_of(await until(connection, DONE)) == "And now? 1 2"
        await connection.response.create()
        assert text_of(await until(connection, DONE)) == "What do you hear? 1 2"


async def test_several_prompts_over_the_same_audio_stand_beside_the_conversation():
    async with (
        running() as server,
        sdk(f"127.0.0.1:{server.port}", **MODEL) as connection,
    ):
        await settle(connection)
        await say(connection, 1, 2)
        item = (await until(connection, COMMITTED))[-1].item_id
        server.engine.free.clear()
        await connection.response.create()
        for text in ("Who?", "Where?"):
            reference = {"type": "item_reference", "id": item}
            await connection.response.create(
                response={
                    "conversation": "none",
                    "metadata": {"topic": text},
                    "input": [ask(text), reference],
                }
            )
        await until(connection, "response.created", count=3)
        server.engine.free.set()
        events = await until(connection, DONE, count=3)
        done = [event.response for event in events if event.type == DONE]
        aside = {r.metadata["topic"]: r for r in done if r.metadata}
        assert aside["Who?"].output[0].content[0].text == "Who? 1 2"
        assert aside["Where?"].output[0].content[0].text == "Where? 1 2"
        assert aside["Who?"].conversation_id is None
        added = [e.item.id for e in events if e.type == "conversation.item.added"]
        assert added == [r.output[0].id for r in done if not r.metadata]


async def test_a_response_is_cancelled_and_only_one_is_active():
    async with (
        running() as server,
        sdk(f"127.0.0.1:{server.port}", **MODEL) as connection,
    ):
        await connection.response.cancel()
        error = (await until(connection, "error"))[-1].error
        assert error.code == "response_cancel_not_active"
        await settle(connection)
        await say(connection, 1, 2)
        await until(connection, COMMITTED)
        server.engine.free.clear()
        await connection.response.create()
        await connection.response.create(event_id="second")
        error = (await until(connection, "error"))[-1].error
        assert error.code == "conversation_already_has_active_response"
        assert error.event_id == "second"
        await connection.response.cancel()
        response = (await until(connection, DONE))[-1].response
        assert response.status == "cancelled"
        assert response.status_details.reason == "client_cancelled"
        server.engine.free.set()
        await connection.response.create()
        assert text_of(await until(connection, DONE)) == "What do you hear? 1 2"
    assert server.engine.num_replies == 0


async def test_who_speaks_again_stops_the_answer_and_gets_another():
    async with (
        running() as server,
        sdk(f"127.0.0.1:{server.port}", **MODEL) as connection,
    ):
        await settle(connection, turns=server_vad())
        server.engine.free.clear()
        await connection.input_audio_buffer.append(audio=encoded(speak(1, 0, 0)))
        first = (await until(connection, "response.created"))[-1].response.id
        await connection.input_audio_buffer.append(audio=encoded(speak(2, 0, 0)))
        events = await until(connection, "response.created")
        done = next(e.response for e in events if e.type == DONE)
        assert (done.id, done.status) == (first, "cancelled")
        assert done.status_details.reason == "turn_detected"
        server.engine.free.set()
        assert text_of(await until(connection, DONE)) == "What do you hear? 2"


async def test_an_answer_that_is_under_way_stops_as_it_stands():
    async with (
        running() as server,
        sdk(f"127.0.0.1:{server.port}", **MODEL) as connection,
    ):
        await settle(connection, turns=server_vad(), instructions="x " * 1500)
        await connection.input_audio_buffer.append(audio=encoded(speak(1, 0, 0)))
        await until(connection, "response.output_text.delta", count=2)
        server.engine.free.clear()
        await connection.input_audio_buffer.append(audio=encoded(speak(2)))
        events = await until(connection, DONE)
        item = events[-1].response.output[0]
        assert item.status == "incomplete"
        assert item.content[0].text.startswith("x x")
        assert "conversation.item.done" in kinds(events)
        server.engine.free.set()


async def test_answers_come_only_when_asked_for_if_the_client_wants_so():
    async with (
        running() as server,
        sdk(f"127.0.0.1:{server.port}", **MODEL) as connection,
    ):
        await settle(connection, turns=server_vad(create_response=False))
        await connection.input_audio_buffer.append(audio=encoded(speak(1, 0, 0)))
        await until(connection, COMMITTED)
        await connection.response.create(response={"max_output_tokens": 2})
        events = await until(connection, DONE)
        assert kinds(events).count("response.created") == 1
        response = events[-1].response
        assert response.status == "incomplete"
        assert response.status_details.reason == "max_output_tokens"
        assert text_of(events) == "What do"


async def test_without_audio_there_is_nothing_to_answer():
    async with (
        running() as server,
        sdk(f"127.0.0.1:{server.port}", **MODEL) as connection,
    ):
        await connection.conversation.item.create(item=ask("Anybody?"))
        await connection.response.create()
        response = (await until(connection, DONE))[-1].response
        assert response.status == "failed"
        error = response.status_details.error
        assert (error.type, error.code) == ("invalid_request_error", "invalid_request")
        assert "nothing was heard" in error.message


async def test_an_engine_that_fails_fails_the_response_and_not_the_session():
    async with (
        running() as server,
        sdk(f"127.0.0.1:{server.port}", **MODEL) as connection,
    ):
        server.engine.refuses = "riddle"
        await settle(connection)
        await say(connection, 1)
        await connection.response.create(response={"instructions": "A riddle"})
        response = (await until(connection, DONE))[-1].response
        assert response.status_details.error.type == "server_error"
        await connection.response.create()
        assert text_of(await until(connection, DONE)) == "What do you hear? 1"


async def test_what_is_spoken_in_a_transcription_is_transcribed_and_not_obeyed():
    async with (
        running() as server,
        dial(server) as socket,
    ):
        await socket.send(json.dumps({"type": "response.create"}))
        error = (await receive(socket, "error"))["error"]
        assert error["param"] == "type"
        settings = {"type": "transcription", **RATE_16K}
        await socket.send(json.dumps({"type": "session.update", "session": settings}))
        audio = encoded(speak(7, 9, 0, 0))
        event = {"type": "input_audio_buffer.append", "audio": audio}
        await socket.send(json.dumps(event))
        kind = "conversation.item.input_audio_transcription.completed"
        assert (await receive(socket, kind))["transcript"] == "7 9"
        assert server.engine.batches == []


ITEM = {"type": "message", "role": "user"}


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"type": "response.create", "response": 1}, "response"),
        (
            {"type": "response.create", "response": {"conversation": "x"}},
            "response.conversation",
        ),
        (
            {"type": "response.create", "response": {"max_output_tokens": 0}},
            "response.max_output_tokens",
        ),
        (
            {"type": "response.create", "response": {"instructions": 1}},
            "response.instructions",
        ),
        (
            {"type": "response.create", "response": {"metadata": {"a": 1}}},
            "response.metadata",
        ),
        (
            {"type": "response.create", "response": {"output_modalities": ["smell"]}},
            "response.output_modalities",
        ),
        ({"type": "response.create", "response": {"input": 1}}, "response.input"),
        (
            {
                "type": "response.create",
                "response": {"input": [{"type": "item_reference", "id": "no"}]},
            },
            "response.input[0]",
        ),
        ({"type": "conversation.item.create"}, "item"),
        (
            {"type": "conversation.item.create", "item": {"type": "function_call"}},
            "item.name",
        ),
        ({"type": "conversation.item.create", "item": ITEM}, "item.content"),
        (
            {
                "type": "conversation.item.create",
                "item": ITEM | {"content": [{"type": "input_audio", "audio": "AAAA"}]},
            },
            "item.content",
        ),
        ({"type": "conversation.item.delete", "item_id": "no"}, "item_id"),
        ({"type": "conversation.item.retrieve"}, "item_id"),
        ({"type": "conversation.item.truncate", "item_id": ["a"]}, "item_id"),
        (
            {
                "type": "conversation.item.create",
                "item": ITEM | {"content": [{"type": "input_audio", "audio": ""}]},
            },
            "item.content[0].audio",
        ),
        (
            {
                "type": "conversation.item.create",
                "item": ask("long " * 1000),
            },
            "item.content",
        ),
        (
            {"type": "conversation.item.create", "item": ask("a") | {"id": 3}},
            "item.id",
        ),
        (
            {"type": "conversation.item.create", "item": ask("a") | {"role": "me"}},
            "item.role",
        ),
        (
            {"type": "session.update", "session": {"instructions": 1}},
            "session.instructions",
        ),
        (
            {"type": "session.update", "session": {"max_output_tokens": "many"}},
            "session.max_output_tokens",
        ),
    ],
)
async def test_a_wrong_event_is_told_and_the_conversation_goes_on(sent, param):
    async with running() as server, dial(server, query="?model=m") as socket:
        await socket.send(json.dumps(sent))
        error = (await receive(socket, "error"))["error"]
        assert (error["type"], error["param"]) == ("invalid_request_error", param)
        await socket.send(json.dumps({"type": "response.create"}))
        await receive(socket, DONE)


async def test_a_client_that_goes_while_it_is_answered_leaves_nothing():
    async with running() as server:
        async with dial(server, query="?model=m") as socket:
            settings = session_of()
            await socket.send(
                json.dumps({"type": "session.update", "session": settings})
            )
            audio = {
                "type": "input_audio_buffer.append",
                "audio": encoded(speak(1, 2)),
            }
            await socket.send(json.dumps(audio))
            server.engine.free.clear()
            await socket.send(json.dumps({"type": "response.create"}))
            await receive(socket, "response.created")
        await server.until(lambda: not server.hub.num_connections)
        server.engine.free.set()
        await server.until(lambda: not server.engine.num_open)
    assert server.engine.num_replies == 0
