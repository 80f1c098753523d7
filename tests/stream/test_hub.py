"""Load, over loopback: who is let in, who is slowed, and who is not disturbed."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stream.auth import NOBODY
from stream.config import AuthConfig, LimitsConfig, ServerConfig
from stream.errors import OverloadedError, ShutdownError
from stream.events import Ended, Final, Resume, Start
from stream.hub import Hub
from stream.metrics import Metrics
from stream.resume import MemorySessionStore
from stream.saved import SavedSession, SessionState
from stream.worker import Worker
from tests.fakes.driver import SEGMENTER
from tests.fakes.engine import (
    AnySound,
    ScriptedEngine,
    SlowEngine,
    speak,
    speak_in_fours,
)
from tests.fakes.server import DEADLINE_S, TALK, client_of, finals, pieces, running


async def test_an_engine_that_is_far_behind_refuses_new_sessions():
    async with (
        running(max_wait_s=0.01) as server,
        client_of(server) as busy,
        client_of(server) as late,
    ):
        server.engine.free.clear()
        await busy.start()
        await busy.socket.send(speak(1, 2))
        await asyncio.to_thread(server.engine.busy.wait, DEADLINE_S)
        await busy.socket.send(speak(3, 4))
        await server.until(lambda: server.hub.wait_s > 0.01)
        error = await late.start()
        assert error.code == "overloaded"
        assert (await late.rest())[1] == 1013
        with pytest.raises(InvalidStatus):
            await server.dial()
        server.engine.free.set()
        _, code = await busy.finish()
        assert code == 1000


async def test_a_place_that_was_left_is_free_again():
    async with running(max_sessions=1) as server:
        for _ in range(3):
            async with client_of(server) as client:
                await client.start()
                await client.finish(TALK)
            await server.until(lambda: not server.hub.num_connections)


async def test_a_token_has_a_limited_number_of_connections():
    async with running(
        auth=AuthConfig(tokens=("a", "b")), max_sessions_per_token=1
    ) as server:
        a, b = (
            {"additional_headers": {"Authorization": f"Bearer {token}"}}
            for token in "ab"
        )
        async with server.dial(**a), server.dial(**b):
            with pytest.raises(InvalidStatus) as caught:
                await server.dial(**a)
            assert caught.value.response.status_code == 503


async def test_a_client_that_sends_too_fast_is_slowed_and_loses_nothing():
    spoken = [number + 20 for number in range(60)]
    audio = speak(*[w for word in spoken for w in (word, 0)])
    async with running(max_backlog_s=1.0, ping_timeout_s=2 * DEADLINE_S) as server:
        async with client_of(server) as client:
            await client.start(partials=False)
            server.engine.free.clear()

            async def send():
                for piece in pieces(audio, 32_000):
                    await client.socket.send(piece)

            sending = asyncio.create_task(send())
            assert await asyncio.to_thread(server.engine.busy.wait, DEADLINE_S)
            (stream,) = server.hub.streams
            await server.until(lambda: server.hub.backlog_s(stream) > 1.0)
            for _ in range(10):
                await server.get("/health")
            assert server.hub.backlog_s(stream) < 3.0
            server.engine.free.set()
            await sending
            events, code = await client.finish()
        assert finals(events) == [str(word) for word in spoken]
        assert code == 1000


async def test_a_client_that_sends_too_fast_is_not_dropped_for_pongs_behind_its_audio():
    spoken = [number + 20 for number in range(200)]
    audio = speak_in_fours(spoken)  # 75 s, 2.4 MB
    limits = {"max_backlog_s": 3.0, "ping_interval_s": 0.1, "ping_timeout_s": 0.8}
    async with running(engine=SlowEngine(0.02), **limits) as server:
        server.let_audio_wait()
        async with client_of(server, ping_interval=None) as client:
            await client.start(partials=False)
            async with asyncio.TaskGroup() as tasks:
                rest = tasks.create_task(client.rest())
                for piece in pieces(audio, 32_000):
                    await client.socket.send(piece)
                await client.say({"type": "end"})
            events, code = rest.result()
        assert code == 1000
        assert " ".join(finals(events)).split() == [str(word) for word in spoken]


async def test_an_engine_that_stands_still_ends_the_flood_and_not_the_others():
    async with (
        running(max_backlog_s=0.5, ping_timeout_s=0.2) as server,
        client_of(server) as client,
        client_of(server) as other,
    ):
        await client.start()
        await other.start()
        await other.socket.send(speak(1))
        server.engine.free.clear()
        with contextlib.suppress(ConnectionClosed):
            for piece in pieces(speak(*range(20, 60)), 16_000):
                await client.socket.send(piece)
        events, code = await client.rest()
        assert (events[-1].code, code) == ("overloaded", 1013)
        server.engine.free.set()
        events, code = await other.finish(speak(2))
        assert (finals(events), code) == (["1 2"], 1000)


async def test_a_flood_of_silence_and_flushes_does_not_keep_others_waiting():
    async with (
        running() as server,
        client_of(server) as flood,
        client_of(server) as other,
    ):
        await flood.start()
        await other.start()
        flooding = asyncio.create_task(_flood(flood))
        drained = asyncio.create_task(flood.until(Ended))
        for number in range(20, 30):
            await other.socket.send(speak(number, 0))
            assert (await other.until(Final)).text == str(number)
        _, code = await other.finish()
        assert code == 1000
        for task in (flooding, drained):
            task.cancel()
        flood.socket.transport.abort()


async def test_a_result_that_a_session_cannot_take_ends_that_session_only(monkeypatch):
    async with (
        running() as server,
        client_of(server) as client,
        client_of(server) as other,
    ):
        await client.start()
        (stream,) = server.hub.streams
        await other.start()

        def fail(result):
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(stream.session, "deliver", fail)
        await client.socket.send(speak(1, 2))
        events, code = await client.rest()
        assert (events[-1].code, code) == ("internal", 1011)
        assert "secret" not in events[-1].message
        events, code = await other.finish(TALK)
        assert (finals(events), code) == (["1 2", "3"], 1000)


async def test_what_comes_late_for_a_session_that_was_discarded_is_no_work():
    async with running() as server:
        stream, _ = server.hub.open(Start(), NOBODY)
        server.engine.free.clear()
        server.hub.push(stream, speak(1, 2))
        server.hub.fail(stream, OverloadedError("too much"))
        server.hub.flush(stream)  # by a connection that was not told yet
        server.engine.free.set()
        assert server.hub.backlog_s(stream) == 0.0
        async with client_of(server) as client:
            await client.start()
            await client.finish(speak(3))
        await server.until(lambda: server.engine.num_open == 0)


async def _flood(client):
    while True:
        for _ in range(100):
            await client.say({"type": "flush"})
        await client.socket.send(bytes(200_000))


class Shelf(MemorySessionStore):
    """A store of somebody else: it says what it was asked to keep."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def add(self, session, *, most):
        self.asked.append((session.name, most))
        return super().add(session, most=most)

    def find(self, name, owner):
        self.asked.append(name)
        return super().find(name, owner)


@contextlib.contextmanager
def hub_of(store, **limits):
    """A hub without a server, whose worker does nothing."""
    engine, metrics = ScriptedEngine(), Metrics()
    config = ServerConfig(segmenter=SEGMENTER, limits=LimitsConfig(**limits))
    with ThreadPoolExecutor(1) as thread:
        worker = Worker(engine, thread, metrics)
        hub = Hub(config, engine, worker, metrics, AnySound, store)
        hub.is_ready = True
        yield hub


SAVED = SavedSession(
    name="moved",
    owner=NOBODY,
    request=Start(),
    state=SessionState(seq=7, settled=16_000, segment=1),
    floor=7,
    events=(),
)
COME_BACK = Start(resume=Resume(session="moved", seq=7, settled=16_000, segment=1))


class Elsewhere(MemorySessionStore):
    """A store that gives the session of another process out once, at its leisure."""

    def __init__(self):
        super().__init__()
        self.has_come = asyncio.Event()
        self.num_asked = 0

    async def recall(self, name, owner):
        self.num_asked += 1
        if self.num_asked > 1:
            return None
        await self.has_come.wait()
        return SAVED


async def turns():
    """Let all that is ready go on as far as it can by itself."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_two_that_resume_at_once_have_one_session_and_the_later_keeps_it():
    store = Elsewhere()
    with hub_of(store) as hub:

        async def resume():
            await hub.recall(COME_BACK, NOBODY)
            stream, started = hub.open(COME_BACK, NOBODY, is_resumable=True)
            return stream, started, hub.attach(stream)

        resuming = [asyncio.create_task(resume()) for _ in range(2)]
        await turns()
        store.has_come.set()
        (one, first, left), (other, second, kept) = await asyncio.gather(*resuming)
        assert one is other
        assert first.resumed
        assert second.resumed
        assert (left.is_set(), kept.is_set()) == (True, False)
        assert hub.streams == [one]


async def test_who_resumes_while_the_server_is_told_to_stop_is_sent_elsewhere():
    store = Elsewhere()
    with hub_of(store) as hub:
        resuming = asyncio.create_task(hub.recall(COME_BACK, NOBODY))
        await turns()
        await hub.stop()
        store.has_come.set()
        with pytest.raises(ShutdownError):
            await resuming
        assert not hub.streams


async def test_a_server_that_stops_lets_clients_read_that_their_finals_are_missing():
    with hub_of(MemorySessionStore(), drain_s=0.01) as hub:
        stream, _ = hub.open(Start(), NOBODY)
        superseded = hub.attach(stream)
        hub.push(stream, speak(1))  # of which nobody makes a final here
        stopping = asyncio.create_task(hub.stop())
        events = [event async for event in stream.follow(0)]
        await turns()
        assert (events[-1].code, stopping.done()) == ("shutdown", False)
        hub.detach(stream, superseded)
        await stopping


async def test_a_server_that_stops_waits_for_nobody_who_does_not_read(monkeypatch):
    monkeypatch.setattr("stream.hub.LAST_WORD_S", 0.01)
    with hub_of(MemorySessionStore(), drain_s=0.01) as hub:
        stream, _ = hub.open(Start(), NOBODY)
        hub.attach(stream)
        hub.push(stream, speak(1))
        async with asyncio.timeout(DEADLINE_S):
            await hub.stop()


async def test_a_stream_that_was_given_up_ends_nothing_of_the_one_that_follows_it():
    store = Elsewhere()
    store.has_come.set()
    with hub_of(store) as hub:
        await hub.recall(COME_BACK, NOBODY)
        before, _ = hub.open(COME_BACK, NOBODY)
        superseded = hub.attach(before)
        store.num_asked = 0  # it went on elsewhere, and comes back
        await hub.recall(COME_BACK, NOBODY)
        after, _ = hub.open(COME_BACK, NOBODY)
        hub.attach(after)
        hub.push(after, speak(1, 2))
        hub.fail(before, OverloadedError("too much"))
        hub.detach(before, superseded)
        assert hub.streams == [after]
        assert hub.backlog_s(after) > 0
        assert not store.expire(1e9, keep_s=1.0)


async def test_a_hub_keeps_and_finds_sessions_in_the_store_that_it_was_given():
    shelf = Shelf()
    with hub_of(shelf, max_sessions=3) as hub:
        stream, started = hub.open(Start(), NOBODY)
        assert hub.find(started.session, NOBODY) is stream
        hub.forget(stream)
    assert shelf.asked == [(started.session, 3), started.session]
    assert len(shelf) == 0
