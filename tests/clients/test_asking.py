"""Questions of the client to the real server with a scripted engine behind it."""

import asyncio
import logging
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.client import connect
from clients.errors import DroppedError, QuestionError
from stream.events import Answer, AnswerStarted, Final, Progress
from tests.clients.cutting_proxy import Cut, CuttingProxy
from tests.clients.test_contract import url_of
from tests.fakes.engine import speak
from tests.fakes.server import TALK, running

LONG = " ".join(map(str, range(300)))
WORDS = [str(word) for word in range(20, 32)]


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.ERROR)


async def pieces_of(answer) -> list[str]:
    return [piece async for piece in answer]


async def read(client) -> list:
    return [event async for event in client]


async def test_an_answer_is_read_piece_by_piece_or_whole():
    async with running() as server, connect(url_of(server)) as client:
        async with asyncio.TaskGroup() as tasks:
            events = tasks.create_task(read(client))
            await client.send(TALK)
            first = await client.ask("what is it", seconds=30)
            second = await client.ask(task="describe", about="last_segment")
            assert await pieces_of(first) == ["what", " is", " it", " 1", " 2", " 3"]
            answer = await second.complete()
            await client.end()
        assert (answer.text, second.text) == ("describe 3", "describe 3")
        assert answer.finish == "stop"
        assert {e.id for e in events.result() if isinstance(e, Answer)} == {"1", "2"}


async def test_what_was_asked_is_about_what_was_sent_before():
    async with running() as server, connect(url_of(server)) as client:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read(client))
            answers = []
            for word in (21, 22, 23):
                await client.send(speak(word, samples=8_000))
                answers.append(await client.ask("what", seconds=0.5))
            await client.end()
            texts = [(await answer.complete()).text for answer in answers]
        assert texts == ["what 21", "what 22", "what 23"]


async def test_a_latency_counts_from_the_question():
    async with running() as server, connect(url_of(server)) as client:
        await client.send(TALK)
        await client.ask("what")
        await client.end()
        late = {
            type(a.event): a.latency_s
            async for a in client.arrivals()
            if isinstance(a.event, AnswerStarted | Answer)
        }
        assert 0 <= late[AnswerStarted] <= late[Answer] < 20


async def test_a_cancelled_answer_ends_with_what_was_said():
    async with running() as server, connect(url_of(server)) as client:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(read(client))
            await client.send(TALK)
            answer = await client.ask(LONG, max_tokens=1_000)
            async for _ in answer:
                await answer.cancel()
            complete = await answer.complete()
            await answer.cancel()  # too late, and no harm
            await client.end()
        assert complete.finish == "cancelled"
        assert LONG.startswith(complete.text)
        assert len(complete.text) < len(LONG)


async def test_a_question_that_is_refused_is_an_error_of_it_alone():
    async with running() as server, connect(url_of(server)) as client:
        async with asyncio.TaskGroup() as tasks:
            events = tasks.create_task(read(client))
            early = await client.ask("what")
            with pytest.raises(
                QuestionError, match=r"question 1 \(protocol\): ask: nothing"
            ):
                await early.complete()
            await client.send(TALK)
            unknown = await client.ask(task="sing")
            with pytest.raises(QuestionError, match="no task 'sing'"):
                await pieces_of(unknown)
            await client.end()
        texts = [e.text for e in events.result() if isinstance(e, Final)]
        assert texts == ["1 2", "3"]


async def test_leaving_ends_the_waiting_for_answers():
    async with running() as server:
        async with connect(url_of(server)) as client:
            await client.send(TALK)
            server.engine.free.clear()
            answer = await client.ask("what")
        with pytest.raises(DroppedError, match="the session was left"):
            await answer.complete()
        server.engine.free.set()


async def test_a_spoken_question_comes_as_events():
    async with running() as server:
        async with connect(url_of(server), opening_phrase="7 8") as client:
            await client.send(speak(1, 2, 0, 0, 7, 8, 9, 0, 0))
            await client.end()
            events = [event async for event in client]
        (answer,) = [e for e in events if isinstance(e, Answer)]
        assert (answer.id, answer.text) == ("spoken-2", "9 1 2")


async def ask_through(cuts: list[Cut], num_servers: int) -> tuple[Counter, list]:
    """Ask after each word, over a broken network; return what became of it all."""
    fates: Counter = Counter()
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(running(max_questions=20))
            for _ in range(num_servers)
        ]
        ports = [servers[i % num_servers].port for i in range(len(cuts) + 1)]
        proxy = await stack.enter_async_context(CuttingProxy(ports, cuts))
        client = await stack.enter_async_context(
            connect(proxy.url, tasks=("transcribe", "describe"))
        )

        async def follow(word: str, answer) -> None:
            try:
                complete = await answer.complete()
            except QuestionError as exc:
                fates[exc.code] += 1
            else:
                # A server that is new to it has heard only what it was sent again.
                assert complete.text in (f"what {word}", "what")[:num_servers]
                fates["answered"] += 1

        async with asyncio.TaskGroup() as tasks:
            events = tasks.create_task(read(client))
            for word in WORDS:
                await client.send(speak(int(word), 0, samples=4_800))
                answer = await client.ask("what", seconds=0.6)
                tasks.create_task(follow(word, answer))
            await client.end()
    return fates, events.result()


@pytest.mark.parametrize("upwards", [True, False], ids=["upwards", "downwards"])
async def test_a_cut_loses_no_answer_where_the_server_is_the_same(upwards):
    cut = Cut(60_000 if upwards else 3_000, upwards)
    fates, _ = await ask_through([cut], 1)
    assert fates == {"answered": len(WORDS)}


@pytest.mark.parametrize("upwards", [True, False], ids=["upwards", "downwards"])
async def test_another_server_loses_answers_and_says_so_and_no_words(upwards):
    cut = Cut(60_000 if upwards else 3_000, upwards)
    fates, events = await ask_through([cut], 2)
    assert sum(fates.values()) == len(WORDS)
    for task, before in (("transcribe", ""), ("describe", "describe ")):
        told = [e.text for e in events if isinstance(e, Final) and e.task == task]
        assert told == [f"{before}{word}" for word in WORDS]


def cuts(least_bytes: int) -> st.SearchStrategy[Cut]:
    size = st.integers(least_bytes, 8_000) | st.integers(least_bytes, 150_000)
    return st.builds(Cut, after_bytes=size, upwards=st.booleans())


@settings(max_examples=12, deadline=None)
@given(
    first=cuts(least_bytes=1_000),
    others=st.lists(cuts(least_bytes=1), max_size=3),
    num_servers=st.integers(1, 2),
)
def test_each_question_has_one_fate_wherever_the_network_breaks(
    first, others, num_servers
):
    fates, events = asyncio.run(ask_through([first, *others], num_servers))
    assert sum(fates.values()) == len(WORDS)
    assert set(fates) <= {"answered", "lost", "protocol"}
    assert not [e for e in events if isinstance(e, Progress) and e.settled > e.accepted]
    for task, before in (("transcribe", ""), ("describe", "describe ")):
        told = [e.text for e in events if isinstance(e, Final) and e.task == task]
        assert told == [f"{before}{word}" for word in WORDS]
