"""Front ends that share their sessions: one goes, and its clients are at another.

They run in this process, over loopback; with processes that are killed it is
tests/test_trust.py.
"""

import asyncio
import contextlib
import json
import logging

import pytest

from stream.config import AuthConfig, LimitsConfig, SessionsConfig
from stream.events import (
    Answer,
    Ended,
    Error,
    Final,
    Partial,
    Resume,
    Speakers,
    SpeechStarted,
)
from stream.live import Stream
from stream.metrics import Metrics
from stream.resume import EventLog
from stream.valkey import StoreError, ValkeySessionStore
from tests import local_valkey
from tests.conftest import NEEDS_PACKAGE
from tests.fakes.driver import open_session
from tests.fakes.engine import speak
from tests.fakes.server import DEADLINE_S, TALK, client_of, finals, pieces, running

pytestmark = pytest.mark.skipif(
    local_valkey.program() is None, reason=f"{NEEDS_PACKAGE}redis-server"
)


@pytest.fixture(scope="module")
def server_of_valkey():
    with local_valkey.running() as server:
        yield server


@pytest.fixture
def shared(server_of_valkey):
    """A Valkey server that has nothing, and a client of it."""
    with contextlib.closing(server_of_valkey.client()) as client:
        client.flushall()
        server_of_valkey.keys = client
        yield server_of_valkey


@pytest.fixture
async def first(shared):
    async with running(valkey=shared.url) as server:
        yield server


@pytest.fixture
async def second(shared):
    async with running(valkey=shared.url) as server:
        yield server


async def written(server, shared, *, seq):
    """Wait until the only session is written down as far as an event."""

    def is_written():
        states = [shared.keys.hget(key, "state") for key in shared.keys.keys("*}")]
        return any(json.loads(state)["seq"] >= seq for state in states if state)

    await server.until(is_written)


def resume_of(started, last=None, *, seq=None):
    """Return how a client goes on that has seen events up to a final."""
    return Resume(
        session=started.session,
        seq=(last.seq if last else 0) if seq is None else seq,
        settled=last.settled if last else 0,
        segment=last.segment if last else 0,
    )


def is_final(event):
    return isinstance(event, Final)


async def until(client, condition):
    while not condition(event := await client.next()):
        pass
    return event


async def talk(server, shared, *more, last=is_final, **wishes):
    """Say TALK and more to a front end, leave it after an event; return it."""
    async with client_of(server) as client:
        started = await client.start(**wishes)
        for piece in pieces(TALK + speak(*more), 32_000):
            await client.socket.send(piece)
        event = await until(client, last)
        (stream,) = server.hub.streams
        await server.until(lambda: not server.hub.load(stream))
        await written(server, shared, seq=stream.session.seq)
        client.socket.transport.abort()
    return started, event, client.events


async def test_a_session_goes_on_at_another_front_end_under_its_name(
    first, second, shared
):
    started, final, _ = await talk(first, shared, 4)
    async with client_of(second) as client:
        again = await client.start(resume=resume_of(started, final))
        assert (again.resumed, again.seq) == (True, final.seq)
        assert again.session == started.session
        assert again.accepted == again.settled > final.settled
        audio = (TALK + speak(4, 5))[2 * again.accepted :]
        events, code = await client.finish(audio)
    assert finals(events) == ["3", "4 5"]
    assert [e.segment for e in events if isinstance(e, Final)] == [2, 3]
    assert [e.seq for e in events] == sorted({e.seq for e in events})
    assert code == 1000


async def test_all_its_texts_can_be_had_there_from_the_first(first, second, shared):
    started, *_ = await talk(first, shared, 4)
    async with client_of(second) as client:
        again = await client.start(resume=resume_of(started))
        assert again.resumed
        events, _ = await client.finish()
    assert finals(events)[:2] == ["1 2", "3"]


async def test_what_was_stable_of_an_open_segment_stays(first, second, shared):
    def is_stable(event):
        return isinstance(event, Partial) and event.segment == 3 and event.stable

    started, partial, _ = await talk(first, shared, 4, 5, 6, 7, last=is_stable)
    opened = []
    original = second.engine.open

    def note(options):
        opened.append(options.told)
        return original(options)

    second.engine.open = note
    async with client_of(second) as client:
        again = await client.start(resume=resume_of(started))
        await client.socket.send((TALK + speak(4, 5, 6, 7))[2 * again.accepted :])
        events, _ = await client.finish()
    ((told,),) = opened
    assert told.text.startswith(partial.text[: partial.stable])
    assert finals(events) == ["1 2", "3", "4 5 6 7"]
    assert [e.segment for e in events if isinstance(e, SpeechStarted)][-1] == 3


@pytest.mark.parametrize(("segment", "is_whole"), [(1, True), (3, False)])
async def test_who_has_seen_more_than_was_written_loses_nothing(
    first, second, shared, segment, is_whole
):
    started, final, _ = await talk(first, shared, 4)
    ahead = Resume(
        session=started.session,
        seq=final.seq + 100,
        settled=final.settled,
        segment=segment,
    )
    async with client_of(second) as client:
        again = await client.start(resume=ahead)
        assert (again.resumed, again.seq) == (True, ahead.seq)
        assert again.accepted >= final.settled
        audio = (TALK + speak(4, 5))[2 * again.accepted :]
        events, _ = await client.finish(audio)
    assert finals(events)[-1] == "4 5"
    assert all(event.seq > ahead.seq for event in events)
    async with client_of(second) as client:  # for a final may be nowhere
        assert (await client.start(resume=resume_of(started))).resumed is is_whole


async def test_the_front_end_that_had_it_frees_it_and_leaves_its_client(
    first, second, shared
):
    async with client_of(first) as old, client_of(second) as new:
        started = await old.start()
        await old.socket.send(TALK)
        final = await old.until(Final)
        (stream,) = first.hub.streams
        await written(first, shared, seq=stream.session.seq)
        assert (await new.start(resume=resume_of(started, final))).resumed
        await old.socket.send(speak(8, 9))  # so that it has something to write
        events, code = await old.rest()
        assert (events[-1].code, code) == ("protocol", 1002)
        await first.until(lambda: not first.hub.streams)
        events, code = await new.finish(speak(5))
        assert code == 1000
        assert finals(events)[-1] == "5"


async def one_that_is_left(*clients):
    """Wait until one of some clients is told to leave; return the other one."""
    leaving = {asyncio.create_task(client.until(Error)): client for client in clients}
    done, waiting = await asyncio.wait(leaving, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    (left,) = done
    assert left.result().message == "another connection has this session"
    (keeps,) = [leaving[task] for task in waiting]
    return keeps


@pytest.mark.parametrize("are_apart", [False, True])
async def test_of_two_that_resume_at_once_one_has_the_session_and_loses_nothing(
    first, second, shared, are_apart
):
    started, final, _ = await talk(first, shared, 4)
    async with (
        running(valkey=shared.url) as third,
        client_of(second) as one,
        client_of(third if are_apart else second) as other,
    ):
        resume = resume_of(started, final)
        greetings = await asyncio.gather(
            one.start(resume=resume), other.start(resume=resume)
        )
        assert all(again.resumed for again in greetings)
        assert {again.session for again in greetings} == {started.session}
        keeps = await one_that_is_left(one, other)
        audio = (TALK + speak(4, 5))[2 * keeps.events[0].accepted :]
        await keeps.finish(audio)
        assert finals(keeps.events) == ["3", "4 5"]
        assert [e.segment for e in keeps.events if isinstance(e, Final)] == [2, 3]


class Slow:
    """Valkey, as far as writing goes, that answers when it is told to."""

    def __init__(self):
        self.asked, self.answers = asyncio.Queue(), asyncio.Queue()

    def pipeline(self, *, transaction):
        return self

    def eval(self, script, *arguments):
        pass

    async def execute(self):
        self.asked.put_nowait(None)
        return await self.answers.get()


async def test_an_answer_about_a_session_that_left_says_nothing_of_it_once_it_is_back(
    monkeypatch,
):
    slow, given_up = Slow(), []
    monkeypatch.setattr("valkey.asyncio.Valkey.from_url", lambda *_, **__: slow)
    store = ValkeySessionStore("valkey://127.0.0.1:1", LimitsConfig(), Metrics())
    before, after = (Stream(open_session(), EventLog(0), "") for _ in range(2))
    writing = asyncio.create_task(store.run(given_up.append))
    store.add(before, most=2)
    store.note(before)
    async with asyncio.timeout(DEADLINE_S):
        await slow.asked.get()
        store.remove(before)
        store.add(after, most=2)
        store.note(after)
        slow.answers.put_nowait(["taken"])
        await slow.asked.get()
    writing.cancel()
    assert given_up == []
    assert store.named(after.name) is after


async def test_who_comes_back_to_the_first_front_end_finds_what_the_second_did(
    first, second, shared
):
    started, final, _ = await talk(first, shared, 0)
    async with client_of(second) as client:
        await client.start(resume=resume_of(started, final))
        await client.socket.send(speak(0, 7, 0, 0))
        event = await until(client, lambda e: is_final(e) and e.text == "7")
        (stream,) = second.hub.streams
        await written(second, shared, seq=stream.session.seq)
        client.socket.transport.abort()
    async with client_of(first) as client:
        again = await client.start(resume=resume_of(started, event, seq=0))
        assert again.resumed
        events, _ = await client.finish(speak(8))
    assert finals(events) == ["1 2", "3", "7", "8"]
    assert len(first.hub.streams) == 1


async def test_an_open_question_is_told_to_be_lost(first, second, shared):
    async with client_of(first) as client:
        started = await client.start()
        await client.socket.send(TALK)
        final = await client.until(Final)
        first.engine.free.clear()
        await client.say({"type": "ask", "id": "q", "text": "what"})
        (stream,) = first.hub.streams
        await first.until(lambda: stream.session.asked)
        await written(first, shared, seq=stream.session.seq)
        await first.until(lambda: '"q"' in _state(shared))
    async with client_of(second) as client:
        again = await client.start(resume=resume_of(started, final))
        assert (again.resumed, again.asked) == (True, 1)
        error = await client.until(Error)
        assert (error.question, error.code) == ("q", "shutdown")
        await client.socket.send(speak(0, 5))
        await client.say({"type": "ask", "id": "q", "text": "again"})
        assert (await client.until(Answer)).text.startswith("again")
    first.engine.free.set()


def _state(shared):
    (key,) = shared.keys.keys("salmonn:*}")
    return shared.keys.hget(key, "state")


async def test_speakers_are_counted_on(first, second, shared):
    def is_second(event):
        return isinstance(event, Speakers) and event.turns[-1].speaker == 2

    started, _, events = await talk(first, shared, 25, 0, 0, last=is_second, speakers=3)
    told = [turn.speaker for e in events if isinstance(e, Speakers) for turn in e.turns]
    assert max(told) == 2
    async with client_of(second) as client:
        await client.start(resume=resume_of(started, seq=events[-1].seq), speakers=3)
        events, _ = await client.finish(speak(0, 45, 0, 0))
    told = [turn.speaker for e in events if isinstance(e, Speakers) for turn in e.turns]
    assert set(told) <= {0, 3}
    assert 3 in told


async def test_who_lost_the_end_of_a_session_has_it_from_another(first, second, shared):
    async with client_of(first) as client:
        started = await client.start()
        events, _ = await client.finish(TALK)
        await written(first, shared, seq=events[-1].seq)
    before = next(event for event in events if isinstance(event, Final))
    async with client_of(second) as client:
        again = await client.start(resume=resume_of(started, before))
        assert again.accepted == len(TALK) // 2
        rest, code = await client.finish()
    assert finals(rest) == ["3"]
    assert rest[-1] == events[-1]
    assert isinstance(rest[-1], Ended)
    assert code == 1000


async def test_a_front_end_that_stops_leaves_its_sessions_to_others(second, shared):
    async with running(valkey=shared.url) as first, client_of(first) as client:
        started = await client.start()
        await client.socket.send(TALK + speak(4))
        final = await client.until(Final)
        first.server.stop()
        events, code = await client.rest()
        assert (events[-1].code, code) == ("shutdown", 1001)
        assert finals(events) == ["3", "4"]
    last = [event for event in events if isinstance(event, Final)][-1]
    async with client_of(second) as client:
        again = await client.start(resume=resume_of(started, final))
        assert again.resumed
        assert again.accepted == last.settled
        events, code = await client.finish(speak(0, 5))
    assert finals(events) == ["3", "4", "5"]
    assert not any(isinstance(event, Error) for event in events)
    assert code == 1000


async def test_a_session_is_its_owners_at_another_front_end_too(shared):
    auth = AuthConfig(tokens=("mine", "yours"))

    def as_(token):
        return {"additional_headers": {"Authorization": f"Bearer {token}"}}

    async with (
        running(valkey=shared.url, auth=auth) as first,
        running(valkey=shared.url, auth=auth) as second,
    ):
        async with client_of(first, **as_("mine")) as client:
            started = await client.start()
            await client.socket.send(TALK)
            final = await client.until(Final)
            await first.until(lambda: shared.keys.keys("salmonn:*}"))
        for token, is_resumed in (("yours", False), ("mine", True)):
            async with client_of(second, **as_(token)) as client:
                again = await client.start(resume=resume_of(started, final))
                assert again.resumed is is_resumed
    everything = str([shared.keys.hgetall(key) for key in shared.keys.keys("*}")])
    assert "mine" not in everything


async def test_what_waits_for_nobody_is_gone_from_the_store_too(shared):
    async with running(valkey=shared.url, resume_s=0.5) as server:
        async with client_of(server) as client:
            await client.start()
            await client.socket.send(TALK)
            await client.until(Final)
            await server.until(lambda: len(shared.keys.keys()) == 2)
            assert all(
                0 < shared.keys.pttl(key) <= 500 for key in shared.keys.keys("*")
            )
            # ... and so it would be if the process were gone; it lives, and so do they.
            await asyncio.sleep(0.7)
            assert len(shared.keys.keys()) == 2
        await server.until(lambda: not shared.keys.keys())


async def test_a_session_that_failed_is_none_that_goes_on(first, second, shared):
    started, final, _ = await talk(first, shared, 0)
    (stream,) = first.hub.streams
    first.hub.forget(stream)
    await first.until(lambda: not shared.keys.keys())
    async with client_of(second) as client:
        assert not (await client.start(resume=resume_of(started, final))).resumed


async def test_the_earliest_texts_are_forgotten_beyond_the_bound(shared):
    async with (
        running(valkey=shared.url, max_texts_bytes=1_000) as first,
        running(valkey=shared.url) as second,
    ):
        words = [w for number in range(20, 40) for w in (number, 0)]
        started, *_ = await talk(first, shared, *words)
        (texts,) = shared.keys.keys("*:texts")
        kept = shared.keys.lrange(texts, 0, -1)
        assert 500 < sum(map(len, kept)) <= 1_000
        async with client_of(second) as client:
            assert not (await client.start(resume=resume_of(started))).resumed


async def test_what_no_server_has_written_is_no_session(first, second, shared, caplog):
    started, final, _ = await talk(first, shared, 0)
    (key,) = shared.keys.keys("salmonn:*}")
    shared.keys.hset(key, "request", '{"rate": "secret"}')
    with caplog.at_level(logging.WARNING):
        async with client_of(second) as client:
            again = await client.start(resume=resume_of(started, final))
            assert not again.resumed
            events, _ = await client.finish(speak(5))
    assert finals(events) == ["5"]
    assert "another version" in caplog.text
    assert "secret" not in caplog.text


async def test_without_the_store_sessions_go_on_and_it_is_filled_again(caplog):
    caplog.set_level(logging.INFO, "stream.valkey")
    with local_valkey.running() as lost:
        async with running(valkey=lost.url) as first, running(valkey=lost.url) as other:
            async with client_of(first) as client:
                started = await client.start()
                lost.stop()
                await client.socket.send(TALK)
                final = await client.until(Final)
                failures = first.hub.metrics.store_failures
                await first.until(lambda: failures._value.get() > 0)
                async with client_of(other) as moved:
                    again = await moved.start(resume=resume_of(started, final))
                    assert (again.resumed, again.accepted) == (False, final.settled)
                lost.start()
                with contextlib.closing(lost.client()) as keys:
                    texts = "salmonn:{" + started.session + "}:texts"
                    await first.until(lambda: keys.llen(texts) == 2)
            async with client_of(other) as client:
                again = await client.start(resume=resume_of(started))
                assert again.resumed
                events, _ = await client.finish()
            assert finals(events) == ["1 2", "3"]
    assert caplog.text.count("cannot be used") == 2  # by each front end, once
    assert "is there again" in caplog.text


async def test_a_front_end_whose_store_is_not_there_does_not_begin(tmp_path):
    url = f"unix://anna:secret@{tmp_path}/none"
    with pytest.raises(StoreError) as caught:
        async with running(valkey=url):
            pass
    assert "no Valkey server answers at" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_wrong_password_is_told_without_it(shared):
    url = shared.url.replace("unix://", "unix://anna:secret@")
    with pytest.raises(StoreError, match="refuses the name or the password") as caught:
        async with running(valkey=url):
            pass
    assert "secret" not in str(caught.value)


def test_an_address_that_is_none_is_told_without_it():
    with pytest.raises(ValueError, match=r"expected valkey://, valkeys://") as caught:
        SessionsConfig(valkey="http://anna:secret@host")
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(SessionsConfig(valkey="valkey://anna:secret@host"))
