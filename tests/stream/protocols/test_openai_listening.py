"""Sounds and watches over OpenAI's Realtime protocol, with its own client."""

import asyncio
import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import EngineError
from tests.fakes.engine import ScriptedEngine, speak
from tests.fakes.realtime import RATE_16K, dial, encoded, receive, sdk, until
from tests.fakes.server import DEADLINE_S, running

DONE = "response.done"
DOCUMENT = Path("docs/openai.md").read_text("utf-8")
SEVEN = {"id": "w", "text": "word 7"}
RESPONSE = [
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
]


def wanting(kind="transcription", *, turns=False, **listened):
    """Return settings: 16 kHz, and what is listened for."""
    heard = RATE_16K["audio"]["input"] | {"salmonn": listened}
    if turns is None:
        heard |= {"turn_detection": None}
    return {"type": kind, "audio": {"input": heard}}


def of(server):
    return f"127.0.0.1:{server.port}"


async def append(connection, *words):
    await connection.input_audio_buffer.append(audio=encoded(speak(*words)))


def told(events):
    """Return the responses that are done."""
    return [event.response for event in events if event.type == DONE]


async def test_what_a_watch_notices_is_a_response_beside_the_conversation():
    async with running() as server, sdk(of(server)) as connection:
        await connection.session.update(session=wanting(watches=[SEVEN]))
        session = (await until(connection, "session.updated"))[-1].session
        assert session.audio.input.salmonn == {"sounds": False, "watches": [SEVEN]}
        await append(connection, 0, 7)
        events = await until(connection, DONE)
        assert [e.type for e in events if e.type.startswith("response")] == RESPONSE
        (begun,) = told(events)
        assert begun.output[0].content[0].text == "[word 7]"
        assert (begun.conversation_id, begun.status) == (None, "completed")
        start_ms, end_ms = (
            int(begun.metadata[f"audio_{name}_ms"]) for name in ("start", "end")
        )
        assert 0 <= start_ms < end_ms <= 600
        about = {"salmonn": "watch", "id": "w", "state": "begun"}
        assert about.items() <= begun.metadata.items()
        assert float(begun.metadata["score"]) > 0.9
        await append(connection, 0, 0, 0, 0)
        (over,) = told(await until(connection, DONE))
        assert over.metadata["state"] == "over"
        assert over.metadata["audio_start_ms"] == begun.metadata["audio_start_ms"]


async def test_the_document_s_example_prints_what_is_noticed(capsys):
    _, _, rest = DOCUMENT.partition("## Sounds and watches")
    code = rest.split("```python\n")[1].split("```")[0]
    async with running() as server:
        code = code.replace(":8765/", f":{server.port}/")
        names = {}
        exec(code.replace("a crying baby", "word 7"), names)
        listening = asyncio.create_task(names["listen"](encoded(speak(7, 7))))
        shown = ""
        async with asyncio.timeout(DEADLINE_S):
            while not (shown := shown + capsys.readouterr().out):
                assert not listening.done()
                await server.get("/health")
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
    assert shown.startswith("[word 7] {'salmonn': 'watch', 'id': 'baby', ")


async def test_sounds_are_told_by_their_names():
    async with running() as server, sdk(of(server)) as connection:
        await connection.session.update(session=wanting(sounds=True))
        await append(connection, 41)
        (begun,) = told(await until(connection, DONE))
        assert begun.output[0].content[0].text == "[music: forty-one]"
        assert begun.metadata["salmonn"] == "sound"
        assert begun.metadata["label"] == "41"


async def test_times_are_those_of_the_clients_audio_also_after_a_change():
    async with running() as server, sdk(of(server)) as connection:
        await connection.session.update(session=wanting())
        await append(connection, 1)
        await connection.session.update(session=wanting(sounds=True))
        await append(connection, 41)
        (begun,) = told(await until(connection, DONE))
        start_ms, end_ms = (
            int(begun.metadata[f"audio_{name}_ms"]) for name in ("start", "end")
        )
        assert 300 <= start_ms < end_ms <= 600


async def test_in_a_conversation_they_leave_the_conversation_as_it_is():
    async with (
        running() as server,
        sdk(of(server), model="gpt-realtime") as connection,
    ):
        settings = wanting("realtime", turns=None, watches=[SEVEN])
        await connection.session.update(session=settings)
        await append(connection, 7)
        (begun,) = told(await until(connection, DONE))
        assert begun.metadata["id"] == "w"
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        events = await until(connection, DONE)
        while told(events)[-1].metadata is not None:  # what was heard may be over
            events += await until(connection, DONE)
        assert told(events)[-1].output[0].content[0].text == "What do you hear? 7"
        items = [e.item for e in events if e.type == "conversation.item.added"]
        assert [item.role for item in items] == ["user", "assistant"]


async def test_watches_change_while_one_speaks_and_no_turn_is_cut():
    async with running() as server, sdk(of(server)) as connection:
        await connection.session.update(session=wanting(watches=[SEVEN]))
        await append(connection, 1)
        await until(connection, "input_audio_buffer.speech_started")
        other = {"id": "e", "text": "word 8", "threshold": 0.6}
        await connection.session.update(session=wanting(watches=[other]))
        await append(connection, 7, 8, 0, 0)
        events = await until(connection, DONE)
        assert told(events)[0].metadata["id"] == "e"
        kind = "conversation.item.input_audio_transcription.completed"
        if not (finals := [e for e in events if e.type == kind]):
            finals = (await until(connection, kind))[-1:]
        assert [final.transcript for final in finals] == ["1 7 8"]


async def test_nothing_is_listened_for_unless_it_is_wanted():
    async with running() as server, sdk(of(server)) as connection:
        await connection.session.update(session=wanting(sounds=True, watches=[SEVEN]))
        off = {"type": "transcription", "audio": {"input": {"salmonn": None}}}
        await connection.session.update(session=off)
        updated = (await until(connection, "session.updated", count=2))[-1]
        assert updated.session.audio.input.salmonn is None
        await append(connection, 7, 41, 0, 0)
        kind = "conversation.item.input_audio_transcription.completed"
        assert not told(await until(connection, kind))
        assert server.engine.weighed == []


@pytest.mark.parametrize(
    ("wanted", "param", "problem"),
    [
        (1, "", "is 1; expected an object"),
        ({"sounds": 1}, ".sounds", "expected true or false"),
        ({"watches": {}}, ".watches", "expected a list"),
        ({"watches": "x"}, ".watches", "expected a list"),
        ({"watches": [1]}, ".watches[0]", "expected an object"),
        ({"watches": [{"id": "w"}]}, ".watches[0].text", "expected text"),
        ({"watches": [{"text": "x"}]}, ".watches[0].id", "expected text"),
        ({"watches": [SEVEN | {"threshold": 2}]}, ".watches[0].threshold", "0 to 1"),
        ({"watches": [SEVEN | {"threshold": 1}]}, ".watches[0]", "between 0 and 1"),
        ({"watches": [SEVEN | {"min_s": 10**400}]}, ".watches[0].min_s", "0 to 3600"),
        ({"watches": [SEVEN | {"text": " "}]}, ".watches[0]", "text is empty"),
        ({"watches": [SEVEN, SEVEN]}, ".watches[1].id", "is 'w' again"),
        (
            {"watches": [{"id": str(i), "text": "x"} for i in range(17)]},
            ".watches",
            "a session may have 16",
        ),
    ],
)
async def test_what_is_wrong_is_told_and_the_settings_stay(wanted, param, problem):
    update = {"audio": {"input": {"salmonn": wanted}}}
    async with running() as server, dial(server) as socket:
        before = (await receive(socket, "session.created"))["session"]
        await socket.send(json.dumps({"type": "session.update", "session": update}))
        error = (await receive(socket, "error"))["error"]
        assert error["param"] == f"session.audio.input.salmonn{param}"
        assert problem in error["message"]
        await socket.send(json.dumps({"type": "session.update", "session": {}}))
        assert (await receive(socket, "session.updated"))["session"] == before


async def test_a_model_that_was_taught_none_says_so():
    engine = ScriptedEngine()
    engine.info = replace(engine.info, sounds=())
    engine.check_prompt = _refuse
    async with running(engine=engine) as server, sdk(of(server)) as connection:
        await connection.session.update(session=wanting(sounds=True))
        error = (await until(connection, "error"))[-1].error
        assert error.message.endswith("the model was taught none by name")
        await connection.session.update(session=wanting(watches=[SEVEN]))
        error = (await until(connection, "error"))[-1].error
        assert error.message.endswith("cannot be served: mini was not taught it")


def _refuse(prompt):
    raise EngineError("mini was not taught it")


async def test_a_model_that_fails_is_told_and_the_words_go_on():
    engine = ScriptedEngine()
    engine.refuses = "word 7"
    async with running(engine=engine) as server, sdk(of(server)) as connection:
        await connection.session.update(session=wanting(watches=[SEVEN]))
        await append(connection, 7, 0, 0)
        kinds = ("error", "conversation.item.input_audio_transcription.completed")
        events = await until(connection, kinds[0])
        assert "cannot weigh" in events[-1].error.message
        if kinds[1] not in [event.type for event in events]:
            await until(connection, kinds[1])
