"""The client against the real server with a scripted engine, over a broken network.

The audio is words that the engine reads: one that is lost or doubled shows.
"""

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.client import connect
from clients.errors import RefusedError, ServerError
from stream.config import AuthConfig
from stream.events import Ended, Final, Partial, Progress, ServerEvent, Started
from tests.clients.cutting_proxy import Cut, CuttingProxy
from tests.fakes.engine import ScriptedEngine, speak
from tests.fakes.server import TALK, running

PIECE_BYTES = 3200  # 0.1 s
TASKS = ("transcribe", "translate:en")
WORDS = (1, 2, 0, 0, 3, 0, 0, 4, 5, 6, 0, 0, 7, 0, 0, 8, 9)
CONVERSATION = speak(*WORDS)
SPOKEN = [str(word) for word in WORDS if word]


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.ERROR)


async def converse(url: str, audio: bytes, **options) -> list[ServerEvent]:
    async with connect(url, **options) as client:

        async def say() -> None:
            for first in range(0, len(audio), PIECE_BYTES):
                await client.send(audio[first : first + PIECE_BYTES])
            await client.end()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(say())
            return [event async for event in client]


def finals(events: list[ServerEvent], task: str = "transcribe") -> list[str]:
    return [e.text for e in events if isinstance(e, Final) and e.task == task]


def url_of(server) -> str:
    return f"ws://127.0.0.1:{server.port}"


async def test_a_whole_conversation():
    async with running() as server:
        events = await converse(url_of(server), TALK)
    assert finals(events) == ["1 2", "3"]
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Ended)
    assert Progress in {type(event) for event in events}


async def test_partials_come_while_a_segment_is_spoken():
    async with running() as server, connect(url_of(server)) as client:
        await client.send(speak(1, 2))
        async for event in client:
            if isinstance(event, Partial):
                break
        assert "1 2".startswith(event.text)


async def test_a_flush_brings_the_final_without_silence():
    async with running() as server, connect(url_of(server)) as client:
        await client.send(speak(1))
        await client.flush()
        async for event in client:
            if isinstance(event, Final):
                break
        assert event.text == "1"


async def test_another_rate_and_two_channels_are_heard():
    async with running() as server:
        events = await converse(url_of(server), TALK + TALK, channels=2)
    assert isinstance(events[-1], Ended)
    assert events[-1].settled == len(TALK) // 2


async def test_a_task_that_is_not_served_is_one_error():
    async with running() as server:
        with pytest.raises(ServerError, match="no task 'sing'; there are transcribe"):
            await converse(url_of(server), b"", tasks=("sing",))


async def test_a_wrong_token_is_refused_and_a_right_one_is_not():
    async with running(auth=AuthConfig(tokens=("right",))) as server:
        with pytest.raises(RefusedError, match="HTTP 401"):
            await converse(url_of(server), TALK, token="wrong")
        assert finals(await converse(url_of(server), TALK, token="right"))


async def test_a_full_server_refuses_and_its_own_reason_is_told():
    async with running(max_sessions=1) as server, connect(url_of(server)):
        with pytest.raises(RefusedError) as caught:
            await converse(url_of(server), TALK)
    assert str(caught.value).endswith(
        "(HTTP 503): all 1 places are taken; try again in 5 s"
    )


async def test_a_server_that_warms_up_says_so_to_who_comes():
    engine = ScriptedEngine()
    engine.free.clear()
    async with running(engine=engine, warm=False) as server:
        with pytest.raises(RefusedError, match="the model is still warming up; try"):
            await converse(url_of(server), TALK)


async def test_a_server_that_stops_hands_its_client_to_the_next():
    async with running() as first, running() as second:
        ports = (first.port, second.port)
        async with CuttingProxy(ports, []) as proxy, connect(proxy.url) as client:
            await client.send(speak(1, 2, 0, 0, 3))
            texts = []
            async for event in client:
                if isinstance(event, Progress) and event.accepted >= 16_000:
                    break
            first.server.stop()
            async for event in client:
                if isinstance(event, Started):
                    break
                if isinstance(event, Final):
                    texts.append(event.text)
            await client.send(speak(4, 0, 0))
            await client.end()
            texts += finals([event async for event in client])
        assert " ".join(texts).split() == ["1", "2", "3", "4"]


@pytest.mark.parametrize("upwards", [True, False], ids=["upwards", "downwards"])
@pytest.mark.parametrize("num_servers", [1, 2], ids=["same server", "another server"])
async def test_a_cut_loses_and_doubles_no_word(upwards, num_servers):
    after_bytes = 100_000 if upwards else 2_000
    await cut_anywhere([Cut(after_bytes, upwards)], num_servers, TASKS)


async def test_finals_that_a_cut_kept_back_come_from_the_next_server():
    # The third connection greets with what is settled, and breaks before the finals.
    breaks = [Cut(1_000, upwards=False), Cut(1, False), Cut(350, False)]
    await cut_anywhere(breaks, 2, TASKS[:1])


def cuts(least_bytes: int) -> st.SearchStrategy[Cut]:
    early = st.integers(least_bytes, 8_000)
    late = st.integers(least_bytes, 200_000)
    return st.builds(Cut, after_bytes=early | late, upwards=st.booleans())


@settings(max_examples=20)
@given(
    # The first handshake must succeed: until then there is no session to lose.
    first=cuts(least_bytes=1_000),
    others=st.lists(cuts(least_bytes=1), max_size=3),
    num_servers=st.integers(1, 2),
    tasks=st.sampled_from([TASKS[:1], TASKS]),
)
def test_no_cuts_at_any_places_lose_or_double_a_word(first, others, num_servers, tasks):
    asyncio.run(cut_anywhere([first, *others], num_servers, tasks))


async def cut_anywhere(
    cuts: list[Cut], num_servers: int, tasks: tuple[str, ...]
) -> None:
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(running()) for _ in range(num_servers)
        ]
        ports = [servers[i % num_servers].port for i in range(len(cuts) + 1)]
        proxy = await stack.enter_async_context(CuttingProxy(ports, cuts))
        events = await converse(proxy.url, CONVERSATION, tasks=tasks)
    for task in tasks:
        assert " ".join(finals(events, task)).split() == SPOKEN
