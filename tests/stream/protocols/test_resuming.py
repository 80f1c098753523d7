"""Clients that were cut off, over loopback: nothing is lost, nothing comes twice."""

import pytest

from clients.client import connect
from clients.conversation import UNPACED_HELD_S
from clients.paced import unpaced
from stream.config import AuthConfig
from stream.events import Final, Partial, Resume
from tests.fakes.engine import speak
from tests.fakes.server import TALK, client_of, finals, pieces, running
from tests.trust_setup import say

TASKS = ("transcribe", "translate:en")


async def test_a_client_that_vanishes_mid_word_finds_its_session_again():
    async with running() as server:
        async with client_of(server) as client:
            started = await client.start()
            await client.socket.send(TALK + speak(4))
            final = await client.until(Final)
            client.socket.transport.abort()
        resume = Resume(
            session=started.session, seq=final.seq, settled=final.settled, segment=1
        )
        async with client_of(server) as client:
            again = await client.start(resume=resume)
            assert (again.resumed, again.seq) == (True, final.seq)
            assert again.session == started.session
            assert again.accepted == len(TALK + speak(4)) // 2
            events, code = await client.finish(speak(5))
            assert finals(events) == ["3", "4 5"]
            assert all(event.seq > final.seq for event in events)
            assert code == 1000


async def test_a_session_of_another_process_is_heard_again_from_where_it_was_settled():
    async with running() as first, running() as second:
        async with client_of(first) as client:
            started = await client.start()
            await client.socket.send(TALK + speak(4))
            final = await client.until(Final)
        resume = Resume(
            session=started.session, seq=final.seq, settled=final.settled, segment=1
        )
        async with client_of(second) as client:
            again = await client.start(resume=resume)
            assert again.resumed is False
            assert again.session != started.session
            assert again.accepted == again.settled == final.settled
            audio = (TALK + speak(4, 0))[2 * final.settled :]
            events, _ = await client.finish(audio)
            assert finals(events) == ["3", "4"]
            numbers = [e.segment for e in events if isinstance(e, Final)]
            assert numbers == [2, 3]
            assert events[0].seq == final.seq + 1


async def test_a_client_that_lost_the_end_gets_it_again():
    async with running() as server:
        async with client_of(server) as client:
            started = await client.start()
            events, _ = await client.finish(TALK)
        async with client_of(server) as client:
            await client.start(
                resume=Resume(session=started.session, seq=0, settled=0, segment=0)
            )
            replayed, code = await client.rest()
            assert finals(replayed) == finals(events)
            assert (replayed[-1], code) == (events[-1], 1000)


FEW_EVENTS = 100
MANY = [*range(20, 20 + 2 * FEW_EVENTS)]
"""Words, each of which is a segment.  Their finals alone are more than a log of
`FEW_EVENTS` holds, whatever the order in which they and other events come."""


@pytest.fixture
def few_events(monkeypatch):
    """Let a log hold few events of all kinds."""
    monkeypatch.setattr("stream.resume.MOST_EVENTS", FEW_EVENTS)


async def say_each(server, words):
    """Let each word be a segment; return the session's name, and the finals."""
    audio = b"".join(speak(word, 0, 0, 0, samples=960) for word in words)
    url = f"ws://127.0.0.1:{server.port}"
    async with (
        connect(url, partials=False, max_held_s=UNPACED_HELD_S) as client,
        say(client, unpaced(pieces(audio, 32_000))),
    ):
        events = [event async for event in client]
    return events[0].session, [event for event in events if isinstance(event, Final)]


@pytest.mark.usefixtures("few_events")
async def test_a_client_that_comes_back_to_the_beginning_gets_every_final():
    async with running(max_wait_s=60.0) as server:
        session, told = await say_each(server, MANY)
        assert [final.text for final in told] == [str(word) for word in MANY]
        assert told[0].seq < told[-1].seq - FEW_EVENTS
        resume = Resume(session=session, seq=0, settled=0, segment=0)
        async with client_of(server) as client:
            again = await client.start(partials=False, resume=resume)
            assert (again.resumed, again.seq) == (True, 0)
            events, code = await client.rest()
            assert [event for event in events if isinstance(event, Final)] == told
            assert code == 1000


@pytest.mark.usefixtures("few_events")
async def test_beyond_its_bound_a_session_is_not_resumed_from_its_beginning():
    async with running(max_wait_s=60.0, max_texts_bytes=3_000) as server:
        session, told = await say_each(server, MANY)
        for seq, is_resumed in ((told[-20].seq, True), (0, False)):
            resume = Resume(session=session, seq=seq, settled=0, segment=0)
            async with client_of(server) as client:
                again = await client.start(partials=False, resume=resume)
                assert again.resumed is is_resumed


async def test_a_client_that_has_seen_the_end_is_closed_again():
    async with running() as server:
        async with client_of(server) as client:
            started = await client.start()
            events, _ = await client.finish(TALK)
        resume = Resume(
            session=started.session, seq=events[-1].seq, settled=0, segment=0
        )
        async with client_of(server) as client:
            await client.start(resume=resume)
            assert await client.rest() == ([], 1000)


async def test_a_second_connection_takes_a_session_over():
    async with running() as server, client_of(server) as old, client_of(server) as new:
        started = await old.start()
        resume = Resume(session=started.session, seq=0, settled=0, segment=0)
        assert (await new.start(resume=resume)).resumed
        events, code = await old.rest()
        assert (events[-1].seq, events[-1].message, code) == (
            0,
            "another connection has this session",
            1002,
        )
        events, code = await new.finish(TALK)
        assert (finals(events), code) == (["1 2", "3"], 1000)


async def test_audio_that_arrives_behind_a_takeover_is_not_heard_twice():
    async with running() as server, client_of(server) as old, client_of(server) as new:
        started = await old.start()
        resume = Resume(session=started.session, seq=0, settled=0, segment=0)
        for _ in range(2_000):  # so that some of it is at hand in the very moment
            await old.socket.send(bytes(64))
        again = await new.start(resume=resume)
        events, code = await new.finish()
        assert (events[-1].accepted, code) == (again.accepted, 1000)


async def test_a_session_is_resumed_by_the_name_of_the_task_that_it_was_begun_with():
    async with running() as server:
        async with client_of(server) as client:
            started = await client.start(tasks=("translate",))
        resume = Resume(session=started.session, seq=0, settled=0, segment=0)
        async with client_of(server) as client:
            again = await client.start(resume=resume, tasks=("translate",))
            assert again.resumed


@pytest.mark.parametrize(
    ("wishes", "message"),
    [({"rate": 8_000}, "keeps its rate"), ({"tasks": TASKS}, "keeps its rate")],
)
async def test_a_session_is_not_resumed_with_other_wishes(wishes, message):
    async with running() as server:
        async with client_of(server) as client:
            started = await client.start()
        resume = Resume(session=started.session, seq=0, settled=0, segment=0)
        async with client_of(server) as client:
            await client.start(resume=resume, **wishes)
            _, code = await client.rest()
            assert message in client.events[0].message
            assert code == 1002


async def test_a_session_is_not_resumed_from_the_future():
    async with running() as server:
        async with client_of(server) as client:
            started = await client.start()
        resume = Resume(session=started.session, seq=99, settled=0, segment=0)
        async with client_of(server) as client:
            error = await client.start(resume=resume)
            assert error.message == "start: resume.seq is 99; the last event is 0"


async def test_the_session_of_one_token_is_not_found_with_another():
    async with running(auth=AuthConfig(tokens=("one", "two"))) as server:
        one, two = (
            {"additional_headers": {"Authorization": f"Bearer {token}"}}
            for token in ("one", "two")
        )
        async with client_of(server, **one) as client:
            started = await client.start()
        resume = Resume(session=started.session, seq=0, settled=0, segment=0)
        async with client_of(server, **two) as client:
            assert (await client.start(resume=resume)).resumed is False


async def test_a_session_whose_client_does_not_come_back_is_freed():
    async with running(resume_s=0.1) as server:
        async with client_of(server) as client:
            started = await client.start()
            await client.socket.send(speak(1, 2))
            await client.until(Partial)
            assert server.engine.num_open == 1
        await server.until(lambda: not server.hub.streams)
        resume = Resume(session=started.session, seq=0, settled=0, segment=0)
        async with client_of(server) as client:
            assert (await client.start(resume=resume)).resumed is False
            await client.finish(speak(1))
        await server.until(lambda: not server.engine.num_open)
