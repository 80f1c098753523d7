import asyncio
import json
import logging
import random
from http import HTTPStatus
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.client import connect
from clients.conversation import Client
from clients.errors import (
    BrokenServerError,
    DroppedError,
    RefusedError,
    ServerError,
    UnreachableError,
)
from stream.errors import AudioFormatError
from stream.events import Ended, Error, Final, Partial, Progress, ServerEvent, Started
from tests.clients.scripted_server import Drop, ScriptedServer, expected_texts

RATE = 8000
PIECE = 800  # samples
SHUTDOWN = Error(seq=1_000_000, code="shutdown", message="the server stops")


def noise(num_samples: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(2 * num_samples)


def texts(events: list[ServerEvent], task: str = "transcribe") -> list[str]:
    return [e.text for e in events if isinstance(e, Final) and e.task == task]


async def converse(
    client: Client, audio: bytes, *, flushes: tuple[int, ...] = ()
) -> list[ServerEvent]:
    """Send audio with its flushes, end, and return all events."""

    async def speak() -> None:
        for first in range(0, len(audio), 2 * PIECE):
            if first // 2 in flushes:
                await client.flush()
            await client.send(audio[first : first + 2 * PIECE])
        await client.end()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(speak())
        return [event async for event in client]


async def run_session(
    server: ScriptedServer, audio: bytes, **options: object
) -> list[ServerEvent]:
    flushes = options.pop("flushes", ())
    async with connect(server.url, rate=RATE, **options) as client:
        return await converse(client, audio, flushes=flushes)


async def test_a_session_yields_all_events_from_started_to_ended():
    audio = noise(20_000)
    async with ScriptedServer() as server:
        events = await run_session(server, audio)
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Ended)
    assert {type(event) for event in events} >= {Partial, Final, Progress}
    assert texts(events) == expected_texts(audio, rate=RATE)


async def test_start_declares_what_was_asked():
    async with ScriptedServer() as server:
        async with connect(
            server.url,
            tasks=("transcribe", "translate:de"),
            language="fr",
            rate=48_000,
            encoding="s24le",
            channels=2,
            partials=False,
            words=True,
            token="secret",
        ) as client:
            await client.end()
            async for _ in client:
                pass
        start = server.starts[0]
        assert (start.tasks, start.language) == (("transcribe", "translate:de"), "fr")
        assert (start.rate, start.encoding, start.channels) == (48_000, "s24le", 2)
        assert (start.partials, start.words, start.resume) == (False, True, None)
        assert server.headers[0]["Authorization"] == "Bearer secret"
        assert server.paths == ["/v1/stream"]


async def test_a_flush_ends_a_segment_where_it_was_called():
    audio = noise(12_000)
    async with ScriptedServer() as server:
        events = await run_session(server, audio, flushes=(2400, 5600))
    assert texts(events) == expected_texts(audio, rate=RATE, flushes=(2400, 5600))


@pytest.mark.parametrize("forget", [False, True], ids=["known", "forgotten"])
@pytest.mark.parametrize(
    "drop", [{"received": 0}, {"received": 13}, {"sent": 0}, {"sent": 17}], ids=str
)
async def test_a_dropped_connection_loses_and_doubles_no_final(drop, forget):
    audio = noise(26_000)
    async with ScriptedServer([Drop(**drop, forget=forget)]) as server:
        events = await run_session(server, audio)
        assert len(server.starts) == 2
    assert texts(events) == expected_texts(audio, rate=RATE)
    resumed = [event for event in events if isinstance(event, Started)]
    assert [event.resumed for event in resumed] == [False, not forget]


drops = st.builds(
    Drop,
    received=st.none() | st.integers(0, 30),
    sent=st.none() | st.integers(0, 30),
    forget=st.booleans(),
    error=st.sampled_from([None, SHUTDOWN]),
)


@settings(max_examples=40, deadline=None)
@given(
    drops=st.lists(drops, max_size=3),
    num_samples=st.integers(1, 32_000),
    flushes=st.sets(st.integers(1, 40).map(lambda n: PIECE * n), max_size=3),
    tasks=st.sampled_from([("transcribe",), ("transcribe", "translate:en")]),
)
def test_no_drop_at_any_place_loses_or_doubles_a_final(
    drops, num_samples, flushes, tasks
):
    audio = noise(num_samples)
    flushes = tuple(flush for flush in flushes if flush < num_samples)

    async def run() -> list[ServerEvent]:
        async with ScriptedServer(drops) as server:
            return await run_session(server, audio, tasks=tasks, flushes=flushes)

    logging.getLogger("clients.conversation").setLevel(logging.ERROR)
    events = asyncio.run(run())
    for task in tasks:
        expected = expected_texts(audio, rate=RATE, flushes=flushes)
        assert texts(events, task) == expected


async def test_without_resume_a_dropped_connection_is_an_error():
    async with ScriptedServer([Drop(received=1)]) as server:
        with pytest.raises(ExceptionGroup) as info:
            await run_session(server, noise(24_000), resume=False)
    assert {type(exc) for exc in info.value.exceptions} == {DroppedError}


async def test_a_server_that_stays_away_is_given_up():
    server = ScriptedServer([Drop(received=1)])
    async with server:
        url = server.url
        async with connect(url, rate=RATE, give_up_s=0.2) as client:
            await client.send(noise(4000))
            server.close()
            with pytest.raises(DroppedError, match=r"gave up after 0\.2 s"):
                async for _ in client:
                    pass


async def test_a_connection_that_was_silent_for_long_may_be_lost_again(monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: clock.now_s)
    monkeypatch.setattr("clients.conversation.time", clock)
    clock.now_s = 0.0
    async with (
        ScriptedServer() as server,
        connect(server.url, rate=RATE, give_up_s=10.0) as client,
    ):
        events = aiter(client)
        assert isinstance(await anext(events), Started)
        for clock.now_s in (0.0, 1_000.0):
            server.break_off()
            assert isinstance(await anext(events), Started)


async def test_a_server_that_is_full_for_a_moment_is_asked_again():
    audio = noise(12_000)
    statuses = [None, HTTPStatus.SERVICE_UNAVAILABLE]
    async with ScriptedServer([Drop(received=3)], statuses=statuses) as server:
        events = await run_session(server, audio)
        assert len(server.headers) == 3
    assert texts(events) == expected_texts(audio, rate=RATE)


async def test_a_server_that_shuts_down_is_left_for_the_next_one():
    audio = noise(20_000)
    drop = Drop(received=12, forget=True, error=SHUTDOWN)
    async with ScriptedServer([drop]) as server:
        events = await run_session(server, audio)
    assert texts(events) == expected_texts(audio, rate=RATE)


@pytest.mark.parametrize(
    "status",
    [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE],
)
async def test_a_refusal_at_first_is_an_error_at_once(status):
    async with ScriptedServer(status=status) as server:
        with pytest.raises(RefusedError, match=f"HTTP {status.value}"):
            await run_session(server, b"")
        assert len(server.headers) == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"message": "no room"}', "no room"),
        (json.dumps({"message": "x" * 300}), "x" * 200),
        ("<html>Bad gateway</html>", "it is full or not ready"),
        ('{"message": "\\u001b[2J"}', "it is full or not ready"),
        ('["no room"]', "it is full or not ready"),
        ("[" * 100_000, "it is full or not ready"),
        ("", "it is full or not ready"),
    ],
)
async def test_a_refusal_is_told_in_the_servers_words_or_else_in_ours(body, told):
    refused = HTTPStatus.SERVICE_UNAVAILABLE
    async with ScriptedServer(status=refused, body=body) as server:
        with pytest.raises(RefusedError) as caught:
            await run_session(server, b"")
    assert str(caught.value).endswith(f" (HTTP 503): {told}")


async def test_nobody_at_the_address_is_an_error_at_once():
    async with ScriptedServer() as server:
        url = server.url
    with pytest.raises(UnreachableError, match="no server answers"):
        async with connect(url):
            pass


async def test_an_error_without_a_segment_ends_the_session():
    fatal = Error(seq=9, code="unsupported", message="no task 'sing'")
    async with ScriptedServer(greeting=fatal) as server:
        with pytest.raises(ServerError, match=r"\(unsupported\): no task 'sing'"):
            await run_session(server, b"")


async def test_an_error_amid_the_audio_is_told_and_not_taken_for_a_lost_connection():
    fatal = Error(seq=9, code="audio_format", message="not a number")
    async with ScriptedServer([Drop(received=5, error=fatal)]) as server:
        with pytest.raises(ExceptionGroup) as info:
            await run_session(server, noise(800_000))
        assert len(server.starts) == 1
    assert {type(exc) for exc in info.value.exceptions} == {ServerError}


@pytest.mark.parametrize(
    ("greeting", "problem"),
    [
        ("hello", "not JSON"),
        (b"\0\0", "a binary message"),
        (Progress(seq=1, accepted=0, settled=0), "`progress` before `started`"),
        (
            Started(
                seq=1,
                version=99,
                session="s",
                model="m",
                tasks=(),
                resumed=False,
                accepted=0,
                settled=0,
            ),
            "version 99",
        ),
    ],
)
async def test_what_is_not_the_protocol_is_an_error(greeting, problem):
    async with ScriptedServer(greeting=greeting) as server:
        with pytest.raises(BrokenServerError, match=problem):
            await run_session(server, b"")


@pytest.mark.parametrize(
    ("fields", "longest_bytes"),
    [
        ({"rate": 16_000}, 3200),
        ({"rate": 192_000, "encoding": "f32le", "channels": 8}, 65_536),
    ],
    ids=["0.1 s", "64 KiB"],
)
async def test_audio_is_cut_into_messages_that_every_server_takes(
    fields, longest_bytes
):
    async with ScriptedServer() as server, connect(server.url, **fields) as client:
        await client.send(bytes(10**6))
        await client.end()
        async for _ in client:
            pass
    assert (len(server.audio), server.longest_bytes) == (10**6, longest_bytes)


async def test_part_of_a_sample_is_refused_before_it_is_sent():
    async with ScriptedServer() as server, connect(server.url, channels=2) as client:
        with pytest.raises(ValueError, match="6 bytes are not whole samples of 4"):
            await client.send(bytes(6))


async def test_a_format_that_no_server_hears_is_refused_before_connecting():
    with pytest.raises(AudioFormatError, match="encoding is 'mp3'"):
        connect("ws://127.0.0.1:1", encoding="mp3")


@pytest.mark.parametrize("url", ["127.0.0.1:8765", "http://a", "ws://"])
async def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match="expected ws://HOST:PORT"):
        connect(url)


async def test_send_waits_until_the_server_settles_more():
    async with (
        ScriptedServer() as server,
        connect(server.url, rate=RATE, max_held_s=1) as client,
    ):
        await client.send(noise(7900))
        waiting = asyncio.create_task(client.send(noise(200)))
        events = client.arrivals()
        while not isinstance((await anext(events)).event, Progress):
            pass
        assert not waiting.done()
        await client.flush()
        await waiting


async def test_leaving_early_leaves_no_task_behind():
    before = asyncio.all_tasks()
    async with ScriptedServer() as server:
        async with connect(server.url, rate=RATE) as client:
            await client.send(noise(40_000))
        async with asyncio.TaskGroup() as tasks:
            cut_short = tasks.create_task(run_session(server, noise(400_000)))
            await server.heard.wait()
            cut_short.cancel()
        assert cut_short.cancelled()
    assert asyncio.all_tasks() == before


async def test_the_latency_of_a_final_counts_from_its_last_sample(monkeypatch):
    now_s = [100.0]
    monkeypatch.setattr("clients.conversation.time.monotonic", lambda: now_s[0])
    async with ScriptedServer() as server, connect(server.url, rate=RATE) as client:
        await client.send(noise(4800))
        now_s[0] = 102.0
        await client.send(noise(4800))
        await client.end()
        now_s[0] = 105.0
        late = [arrival async for arrival in client.arrivals()]
    finals = [a.latency_s for a in late if isinstance(a.event, Final)]
    assert finals == [3.0, 3.0]
    assert all(a.latency_s is None for a in late if isinstance(a.event, Progress))


async def test_an_error_of_the_session_reaches_who_sends():
    async with (
        ScriptedServer([Drop(received=0, error=SHUTDOWN)]) as server,
        connect(server.url, rate=RATE, resume=False) as client,
    ):
        await client.send(noise(100))
        with pytest.raises(ServerError, match="shutdown"):
            async for _ in client:
                pass
        with pytest.raises(ServerError, match="shutdown"):
            await client.send(noise(100))
