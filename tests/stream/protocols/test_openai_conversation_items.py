"""Items of OpenAI's Realtime conversations that clients make, ask for and take away.

With OpenAI's own client; the scripted engine repeats the question and then what it
heard.
"""

import pytest

from tests.fakes.conversing import (
    COMMITTED,
    DONE,
    MODEL,
    ask,
    kinds,
    say,
    server_vad,
    settle,
    text_of,
)
from tests.fakes.engine import speak
from tests.fakes.process import serving
from tests.fakes.realtime import COMPLETED, RATE_16K, encoded, sdk, until
from tests.fakes.server import running

TIMED_OUT = "input_audio_buffer.timeout_triggered"


def of(server):
    return f"127.0.0.1:{server.port}"


def audio(*words):
    return {"type": "input_audio", "audio": encoded(speak(*words))}


def message(*content, **more):
    return {"type": "message", "role": "user", "content": [*content], **more}


async def create(connection, item):
    """Create an item; return it as it is told when it is done."""
    await connection.conversation.item.create(item=item)
    return (await until(connection, "conversation.item.done"))[-1].item


async def test_the_sdk_s_items_are_shown_deleted_and_cut_by_a_process(tmp_path):
    async with serving(tmp_path) as address, sdk(address, **MODEL) as connection:
        await settle(connection)
        await say(connection, 1, 2)
        heard = (await until(connection, "conversation.item.done"))[-1].item
        item = connection.conversation.item
        await item.retrieve(item_id=heard.id)
        assert (await until(connection, "conversation.item.retrieved"))[
            -1
        ].item == heard
        asked = await create(connection, ask("Not this:") | {"id": "mine"})
        assert asked.id == "mine"
        await item.delete(item_id="mine")
        (deleted,) = await until(connection, "conversation.item.deleted")
        assert deleted.item_id == "mine"
        await create(connection, ask("But this:") | {"id": "mine"})
        await connection.response.create()
        events = await until(connection, DONE)
        assert text_of(events) == "But this: 1 2"
        answer = events[-1].response.output[0].id
        await connection.output_audio_buffer.clear()
        await item.truncate(item_id=answer, content_index=0, audio_end_ms=1500)
        (cut,) = await until(connection, "conversation.item.truncated")
        assert (cut.item_id, cut.content_index, cut.audio_end_ms) == (answer, 0, 1500)
        await item.retrieve(item_id=answer)
        (found,) = await until(connection, "conversation.item.retrieved")
        assert [part.text for part in found.item.content] == [""]
        await item.truncate(item_id=heard.id, content_index=0, audio_end_ms=0)
        (error,) = await until(connection, "error")
        assert error.error.message.endswith("only an answer can be truncated")
        await item.delete(item_id="other", event_id="gone")
        (error,) = await until(connection, "error")
        assert (error.error.param, error.error.event_id) == ("item_id", "gone")


async def test_what_was_said_is_retrieved_with_its_transcript():
    async with running() as server, sdk(of(server)) as connection:
        await connection.session.update(session={"type": "transcription", **RATE_16K})
        await connection.input_audio_buffer.append(audio=encoded(speak(1, 2, 0, 0)))
        said = (await until(connection, COMPLETED))[-1]
        await connection.conversation.item.retrieve(item_id=said.item_id)
        (found,) = await until(connection, "conversation.item.retrieved")
        assert found.item.content[0].transcript == said.transcript == "1 2"


async def test_a_turn_that_is_deleted_is_not_what_a_response_is_about():
    async with running() as server, sdk(of(server), **MODEL) as connection:
        await settle(connection)
        await say(connection, 1)
        heard = (await until(connection, COMMITTED))[-1].item_id
        await connection.conversation.item.delete(item_id=heard)
        reference = {"type": "item_reference", "id": heard}
        await connection.response.create(response={"input": [reference]})
        error = (await until(connection, "error"))[-1].error
        assert error.param == "response.input[0]"


@pytest.mark.parametrize("turns", [None, server_vad()], ids=["manual", "server's"])
async def test_an_item_of_audio_is_asked_about_apart_from_what_is_spoken(turns):
    async with running() as server, sdk(of(server), **MODEL) as connection:
        await settle(connection, turns=turns)
        await connection.input_audio_buffer.append(audio=encoded(speak(1)))
        brought = message(
            {"type": "input_text", "text": "What is this?"}, audio(7, 8), id="brought"
        )
        await connection.conversation.item.create(item=brought)
        await connection.response.create()
        events = await until(connection, DONE)
        assert text_of(events) == "What is this? 7 8"
        items = [e.item for e in events if e.type == "conversation.item.done"]
        assert [item.role for item in items].count("user") == 1 + (turns is not None)
        (shown,) = (item for item in items if item.id == "brought")
        assert [part.type for part in shown.content] == ["input_text", "input_audio"]
        assert shown.content[1].audio is None
        spoken = [kind for kind in kinds(events) if kind.endswith("speech_started")]
        assert len(spoken) == (turns is not None)
        assert kinds(events).count("response.created") == 1
        reference = {"type": "item_reference", "id": "brought"}
        about = {"conversation": "none", "input": [ask("And?"), reference]}
        await connection.response.create(response=about)
        assert text_of(await until(connection, DONE)) == "And? 7 8"


async def test_what_was_spoken_before_and_after_an_item_of_audio_is_one_turn():
    async with running() as server, sdk(of(server), **MODEL) as connection:
        settings = {"transcription": {"model": "any"}, "turn_detection": None}
        heard = RATE_16K["audio"]["input"] | settings
        session = {"type": "realtime", "audio": {"input": heard}}
        await connection.session.update(session=session)
        await connection.input_audio_buffer.append(audio=encoded(speak(1)))
        await create(connection, message(audio(7), id="brought"))
        await connection.input_audio_buffer.append(audio=encoded(speak(2)))
        await connection.input_audio_buffer.commit()
        events = await until(connection, COMPLETED, count=2)
        said = {e.item_id: e for e in events if e.type == COMPLETED}
        assert said.pop("brought").transcript == "7"
        (turn,) = said.values()
        assert turn.transcript == "1 2"
        assert turn.usage.seconds == pytest.approx(0.6)


async def test_calls_of_functions_are_kept_and_not_asked():
    async with running() as server, sdk(of(server), **MODEL) as connection:
        await settle(connection)
        call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
        assert (await create(connection, call)).name == "f"
        output = {"type": "function_call_output", "call_id": "c", "output": "42"}
        assert (await create(connection, output)).output == "42"
        await say(connection, 1)
        await connection.response.create()
        assert text_of(await until(connection, DONE)) == "What do you hear? 1"


async def test_an_item_has_a_name_of_its_own():
    async with running() as server, sdk(of(server), **MODEL) as connection:
        await create(connection, ask("Who?") | {"id": "a"})
        await connection.conversation.item.create(item=ask("Where?") | {"id": "a"})
        error = (await until(connection, "error"))[-1].error
        assert error.message.endswith("the name of another item")


async def test_who_is_silent_for_long_after_an_answer_gets_another():
    async with running() as server, sdk(of(server), **MODEL) as connection:
        settings = await settle(connection, turns=server_vad(idle_timeout_ms=600))
        assert settings.audio.input.turn_detection.idle_timeout_ms == 600
        await connection.input_audio_buffer.append(audio=encoded(speak(0, 0, 0, 0)))
        await connection.input_audio_buffer.append(audio=encoded(speak(1, 0)))
        assert text_of(await until(connection, DONE)) == "What do you hear? 1"
        await connection.input_audio_buffer.append(audio=encoded(speak(0)))
        await connection.input_audio_buffer.append(audio=encoded(speak(0, 0)))
        events = await until(connection, DONE)
        assert kinds(events)[:5] == [
            TIMED_OUT,
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
        ]
        assert events[0].audio_end_ms - events[0].audio_start_ms >= 600
        assert {events[0].item_id, events[1].item_id} == {events[2].item.id}
        assert text_of(events) == "What do you hear?"


async def test_silence_may_last_where_no_answer_is_due():
    async with running() as server, sdk(of(server), **MODEL) as connection:
        turns = server_vad(idle_timeout_ms=600, create_response=False)
        await settle(connection, turns=turns)
        await connection.input_audio_buffer.append(audio=encoded(speak(1, 0)))
        await connection.response.create()
        await until(connection, DONE)
        await connection.input_audio_buffer.append(audio=encoded(speak(0, 0, 0, 0)))
        await connection.response.create(event_id="last")
        assert TIMED_OUT not in kinds(await until(connection, DONE))
