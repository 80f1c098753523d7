"""The tools and the resource, asked by the SDK's own client in this process.

`auto` speaks the protocol of 2026-07-28, `legacy` the one that most hosts speak.
"""

import asyncio
import json

import pytest
from mcp import Client, MCPError
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.types import ResourceUpdatedNotification

from clients.mcp.inputs import FileInput
from clients.mcp.tools import LIVE, StaticToken, make_server
from clients.monitors import Monitor
from tests.clients.mcp.test_ears import AUDIO, Silent, deaf_engine, ears_of, texts
from tests.clients.mcp.test_inputs import write_wav
from tests.fakes.server import DEADLINE_S, running


@pytest.fixture
def source(tmp_path):
    return FileInput(write_wav(tmp_path / "a.wav", AUDIO * 3))


@pytest.fixture(params=["auto", "legacy"])
def mode(request):
    return request.param


async def said(result) -> dict:
    """Return what a tool returned; its text has to say the same."""
    assert not result.is_error, result.content[0].text
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


def words(result: dict) -> list[str]:
    return [segment["text"] for segment in result["segments"]]


async def refusal(client, name: str, **arguments) -> str:
    result = await client.call_tool(name, arguments)
    assert result.is_error
    return result.content[0].text


async def test_the_tools_say_what_they_take(mode, source):
    async with (
        running() as server,
        ears_of(server, source) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert sorted(tools) == [
            "ask",
            "list_devices",
            "listen",
            "transcript",
            "watch",
        ]
        assert tools["watch"].input_schema["required"] == ["text"]
        assert not tools["watch"].annotations.read_only_hint
        seconds = tools["listen"].input_schema["properties"]["seconds"]
        assert (seconds["exclusiveMinimum"], seconds["maximum"]) == (0, 600)
        assert tools["listen"].input_schema["required"] == ["seconds"]
        assert not tools["listen"].annotations.read_only_hint
        assert all(tools[n].annotations.read_only_hint for n in ("ask", "transcript"))
        assert "only while a call of\n`listen`" in client.instructions
        assert "\n  " not in tools["listen"].description


async def test_what_was_said_is_returned_and_remembered(mode, source):
    async with (
        running() as server,
        ears_of(server, source) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        before = await said(await client.call_tool("transcript", {}))
        assert (before["began_at"], words(before)) == (None, [])
        heard = await said(await client.call_tool("listen", {"seconds": 0.7}))
        assert words(heard) == ["1 2", "3"]
        assert heard["end_s"] == pytest.approx(0.7)
        assert heard["listened_to"].endswith("a.wav")
        assert (heard["answer"], heard["refusal"], heard["note"]) == (None,) * 3
        after = await said(await client.call_tool("transcript", {}))
        assert words(after) == ["1 2", "3"]
        assert after["began_at"] == heard["start_at"]
        part = await said(
            await client.call_tool("transcript", {"since": 0.4, "until": 0.6})
        )
        assert words(part) == ["3"]


async def test_a_question_is_answered_with_and_without_listening(mode, source):
    async with (
        running() as server,
        ears_of(server, source) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        told = await refusal(client, "ask", question="what?")
        assert told == (
            "Error executing tool ask: "
            "nothing was heard yet that the question could be about"
        )
        heard = await client.call_tool("listen", {"seconds": 0.4, "question": "who?"})
        assert (await said(heard))["answer"] == "who? 1 2"
        asked = {"question": "what?", "last_seconds": 0.2}
        answer = await said(await client.call_tool("ask", asked))
        assert (answer["answer"], answer["finish"]) == ("what?", "stop")
        assert (answer["start_s"], answer["end_s"]) == (0.2, 0.4)


async def test_a_call_that_waits_for_something_ends_once_it_is_heard(mode, source):
    async with (
        running() as server,
        ears_of(server, source) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        told = await said(
            await client.call_tool("watch", {"text": "word 3", "seconds": 1.9})
        )
        assert told["heard"]
        assert told["score"] > 0.9
        assert words(told)[:2] == ["1 2", "3"]
        assert 0 < told["heard_from_s"] < told["end_s"] < 1.9
        assert told["heard_from_at"] > told["start_at"]
        assert told["note"] is None
        assert ears.listens_to is None


async def test_what_is_not_heard_is_told_when_the_time_is_over(mode, source):
    async with (
        running() as server,
        ears_of(server, source) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        told = await said(
            await client.call_tool("watch", {"text": "word 9", "seconds": 0.7})
        )
        assert (told["heard"], told["score"], told["heard_from_s"]) == (
            False,
            None,
            None,
        )
        assert words(told) == ["1 2", "3"]
        await server.until(lambda: not _watches(server))


def _watches(server):
    """Return what the only session listens for."""
    (stream,) = server.hub.streams
    return stream.session.watches._kept


async def test_what_cannot_be_waited_for_is_refused_and_nothing_is_captured_further():
    device = Silent()
    async with (
        running(engine=deaf_engine()) as server,
        ears_of(server, device) as ears,
        Client(make_server(ears)) as client,
    ):
        told = await refusal(client, "watch", text="a crying baby", seconds=600)
        assert told == (
            "Error executing tool watch: cannot listen for 'a crying baby' "
            "(unsupported): no prompt 'crying baby'; "
            "this model knows none"
        )
        assert not device.is_open
        assert ears.listens_to is None


async def test_a_call_that_waits_and_is_cancelled_listens_no_more(source):
    device = Silent()
    async with (
        running() as server,
        ears_of(server, device) as ears,
        Client(make_server(ears)) as client,
    ):
        asked = {"text": "word 9", "seconds": 600}
        calling = asyncio.create_task(client.call_tool("watch", asked))
        await device.opened.wait()
        await server.until(lambda: server.hub.streams and _watches(server))
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await server.until(lambda: not device.is_open and not _watches(server))


async def test_a_server_without_answers_says_why_and_the_text_is_there(mode, source):
    async with (
        running(engine=deaf_engine()) as server,
        ears_of(server, source) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        heard = await client.call_tool("listen", {"seconds": 0.4, "question": "who?"})
        told = await said(heard)
        assert words(told) == ["1 2"]
        assert told["answer"] is None
        assert told["refusal"] == "no prompt 'who?'; this model knows none"
        assert "no prompt 'what?'" in await refusal(client, "ask", question="what?")


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("listen", {"seconds": 0}, "greater than 0"),
        ("listen", {"seconds": -1}, "greater than 0"),
        ("listen", {"seconds": 601}, "less than or equal to 600"),
        ("listen", {"seconds": "soon"}, "valid number"),
        ("listen", {"seconds": float("nan")}, "seconds"),
        ("listen", {}, "Field required"),
        ("listen", {"seconds": 1, "question": "?" * 4001}, "at most 4000 characters"),
        ("listen", {"seconds": 1, "question": ""}, "at least 1 character"),
        ("listen", {"seconds": 1, "device": "studio"}, "microphone 'studio': there"),
        ("ask", {"question": "?" * 4001}, "at most 4000 characters"),
        ("ask", {"question": "?", "last_seconds": 30}, "less than or equal to 29"),
        ("transcript", {"since": -1}, "greater than or equal to 0"),
        ("watch", {"text": ""}, "at least 1 character"),
        ("watch", {"text": "?" * 161}, "at most 160 characters"),
        ("watch", {"text": "?", "seconds": 601}, "less than or equal to 600"),
    ],
)
async def test_what_is_out_of_range_is_told_and_captures_nothing(
    name, arguments, problem, source
):
    told = []
    async with (
        running() as server,
        ears_of(server, source, told=told) as ears,
        Client(make_server(ears)) as client,
    ):
        assert problem in await refusal(client, name, **arguments)
        assert told == []


async def test_no_server_is_told(mode, source):
    async with running() as server:
        pass
    async with (
        ears_of(server, source) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        told = await refusal(client, "listen", seconds=1)
        assert told.startswith("Error executing tool listen: no server answers at ws")


async def test_the_client_is_told_while_it_listens(mode, source, monkeypatch):
    monkeypatch.setattr("clients.mcp.ears.REPORT_S", 0.1)
    reports = []

    async def keep(progress, total, message) -> None:
        reports.append((progress, total, message))

    async with (
        running() as server,
        ears_of(server, source) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        await client.call_tool("listen", {"seconds": 0.7}, progress_callback=keep)
    heard = [progress for progress, _, _ in reports]
    assert heard == sorted(set(heard))
    assert {total for _, total, _ in reports} == {0.7}
    assert reports[0][2] == "waiting for the server"
    assert {m for _, _, m in reports[1:]} == {f"listening to {source._name}"}
    assert len(reports) > 4


async def test_a_call_that_the_client_gives_up_closes_the_device(mode):
    device = Silent()
    async with (
        running() as server,
        ears_of(server, device) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        calling = asyncio.create_task(client.call_tool("listen", {"seconds": 60}))
        await device.opened.wait()
        told = await refusal(client, "listen", seconds=1)
        assert "listening to Silent already" in told
        transcript = await said(await client.call_tool("transcript", {}))
        assert transcript["listening_to"] == "Silent"
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        await server.until(lambda: not device.is_open)


async def test_devices_are_listed(mode, source):
    async with (
        running() as server,
        ears_of(server, source) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        listed = (await client.call_tool("list_devices")).structured_content
        (device,) = listed["result"]
        assert device == {
            "name": source._name,
            "kind": "microphone",
            "number": 0,
            "is_default": True,
        }
        ears.source = Silent(Monitor("speaker.monitor"))
        listed = (await client.call_tool("list_devices")).structured_content
        assert listed["result"] == [
            {
                "name": "speaker.monitor",
                "kind": "monitor",
                "number": None,
                "is_default": False,
            }
        ]
        ears.source = Silent()
        listed = (await client.call_tool("list_devices")).structured_content
        assert listed == {"result": []}


async def test_the_transcript_is_a_resource(mode, source):
    async with (
        running() as server,
        ears_of(server, source) as ears,
        Client(make_server(ears), mode=mode) as client,
    ):
        (resource,) = (await client.list_resources()).resources
        assert (resource.uri, resource.mime_type) == (LIVE, "text/plain")
        (content,) = (await client.read_resource(LIVE)).contents
        assert content.text == "(not listening)\n"
        heard = await said(await client.call_tool("listen", {"seconds": 0.7}))
        (content,) = (await client.read_resource(LIVE)).contents
        first, second, last = content.text.splitlines()
        assert first == f"[0.0–0.3 s, {heard['start_at']}] 1 2"
        assert second.endswith("] 3")
        assert last == "(not listening)"
        with pytest.raises(MCPError):
            await client.read_resource("transcript://dead")


async def test_who_speaks_stands_before_what_is_said(source):
    async with (
        running() as server,
        ears_of(server, source, speakers=2) as ears,
        Client(make_server(ears)) as client,
    ):
        heard = await said(await client.call_tool("listen", {"seconds": 0.7}))
        assert {s["speaker"] for s in heard["segments"]} == {"speaker 1"}
        (content,) = (await client.read_resource(LIVE)).contents
        assert content.text.splitlines()[1].endswith("] speaker 1: 3")


async def test_its_updates_are_told_to_who_listens_for_them(source):
    async with (
        running() as server,
        ears_of(server, source) as ears,
        Client(make_server(ears)) as client,
    ):
        assert client.server_capabilities.resources.subscribe
        async with client.listen(resource_subscriptions=[LIVE]) as updates:
            listening = asyncio.create_task(
                client.call_tool("listen", {"seconds": 0.7})
            )
            async with asyncio.timeout(DEADLINE_S):
                while texts(ears.heard.transcript()) != ["1 2", "3"]:
                    assert (await anext(updates)).uri == LIVE
            await listening


async def test_its_updates_are_told_to_subscribers_of_the_older_protocol(source):
    updates = []

    async def keep(message) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            updates.append(message.params.uri)

    async with running() as server, ears_of(server, source) as ears:
        mcp = make_server(ears)
        async with Client(mcp, mode="legacy", message_handler=keep) as client:
            assert client.server_capabilities.resources.subscribe
            with pytest.warns(MCPDeprecationWarning):
                await client.subscribe_resource(LIVE)
            await client.call_tool("listen", {"seconds": 0.7})
            assert len(updates) >= 4  # it begins, two segments, it ends
            assert set(updates) == {LIVE}
            with pytest.warns(MCPDeprecationWarning):
                await client.unsubscribe_resource(LIVE)
            updates.clear()
            await client.call_tool("listen", {"seconds": 0.1})
            assert updates == []
            with pytest.warns(MCPDeprecationWarning):
                await client.subscribe_resource(LIVE)
        await ears.on_change()  # the subscriber has left
        assert updates == []


async def test_a_token_is_the_right_one_or_none():
    auth = StaticToken("right", "http://127.0.0.1:1")
    assert (await auth.verify_token("right")).token == "right"
    assert await auth.verify_token("wrong") is None
    assert await auth.verify_token("") is None
