"""The server over loopback: what clients do to it, and not to each other."""

import asyncio
import contextlib
import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stream.errors import StreamError
from stream.events import Ended, Error, Final, Partial, Resume, SpeechStarted, Started
from tests.fakes.engine import CRASH, UNKNOWN, ScriptedEngine, speak
from tests.fakes.server import DEADLINE_S, Client, client_of, running

TALK = speak(1, 2, 0, 0, 3, 0, 0)
TASKS = ("transcribe", "translate:en")


def pieces(audio, size=3_200):
    return [audio[i : i + size] for i in range(0, len(audio), size)]


def finals(events):
    return [event.text for event in events if isinstance(event, Final)]


async def test_a_client_is_told_what_it_said():
    async with running() as server, client_of(server) as client:
        started = await client.start()
        assert isinstance(started, Started)
        assert (started.seq, started.accepted, started.resumed) == (0, 0, False)
        assert started.model == "scripted"
        events, code = await client.finish(*pieces(TALK))
        assert finals(events) == ["1 2", "3"]
        assert isinstance(events[-1], Ended)
        assert events[-1].settled == events[-1].accepted == len(TALK) // 2
        assert code == 1000
        numbers = [event.seq for event in events]
        assert numbers == sorted(set(numbers))


async def test_partials_come_while_one_speaks():
    async with running() as server, client_of(server) as client:
        await client.start()
        await client.socket.send(speak(1, 2))
        partial = await client.until(Partial)
        assert partial.segment == 1


async def test_all_tasks_of_a_segment_are_answered_in_order():
    async with running() as server, client_of(server) as client:
        await client.start(tasks=TASKS)
        events, _ = await client.finish(TALK)
        told = [(e.segment, e.task) for e in events if isinstance(e, Final)]
        assert told == [(segment, task) for segment in (1, 2) for task in TASKS]


async def test_flush_brings_the_final_without_silence():
    async with running() as server, client_of(server) as client:
        await client.start()
        await client.socket.send(speak(1))
        await client.say({"type": "flush"})
        assert (await client.until(Final)).text == "1"


START = '{"type": "start"}'


@pytest.mark.parametrize(
    ("messages", "error_code", "close_code", "message"),
    [
        ([b"\0\0"], "protocol", 1002, "audio before start"),
        (["hello"], "protocol", 1002, "not JSON"),
        (['{"type": "end"}'], "protocol", 1002, "end before start"),
        (['{"type": "start", "rat": 1}'], "protocol", 1002, "unknown key rat"),
        (['{"type": "start", "rate": "x"}'], "protocol", 1002, "rate is 'x'"),
        (['{"type": "start", "version": 9}'], "unsupported", 1008, "version is 9"),
        (['{"type": "start", "tasks": ["sing"]}'], "unsupported", 1008, "no task"),
        (['{"type": "start", "encoding": "mp3"}'], "audio_format", 1003, "'mp3'"),
        ([START, bytes(3)], "audio_format", 1003, "whole samples"),
        ([START, "\0\0"], "protocol", 1002, "not JSON"),
        ([START, START], "protocol", 1002, "a second start"),
        ([START, '{"type": "end"}', b"\0\0"], "protocol", 1002, "audio after end"),
        ([START, bytes(2 << 20)], "limit", 1009, "exceeds limit"),
        ([START, bytes(40_000)], "limit", 1009, "more than 1 s"),
    ],
)
async def test_each_wrong_message_is_one_clear_error_and_disturbs_nobody_else(
    messages, error_code, close_code, message
):
    async with running(max_session_s=1.0) as server:
        async with client_of(server) as other, client_of(server) as client:
            await other.start()
            await other.socket.send(speak(5))
            # An end that is answered at once would hide what comes after it.
            server.engine.free.clear()
            if "audio after end" in message:
                messages = [START, speak(1), *messages[1:]]
            with contextlib.suppress(ConnectionClosed):
                for sent in messages:
                    await client.socket.send(sent)
            events, code = await client.rest()
            server.engine.free.set()
            errors = [event for event in events if isinstance(event, Error)]
            assert [error.code for error in errors] == [error_code]
            assert message in errors[0].message
            assert events[-1] is errors[0]
            assert code == close_code
            events, code = await other.finish(speak(6))
            assert (finals(events), code) == (["5 6"], 1000)
    assert server.engine.num_open == 0


async def test_a_client_that_does_not_start_is_sent_away():
    async with running(start_timeout_s=0.1) as server, client_of(server) as client:
        events, code = await client.rest()
        assert (events[0].message, code) == ("no start within 0.1 s", 1002)


@pytest.mark.parametrize(("word", "code"), [(UNKNOWN, "engine"), (CRASH, "internal")])
async def test_a_segment_that_the_engine_fails_on_is_told_and_the_rest_goes_on(
    word, code
):
    async with running() as server, client_of(server) as client:
        await client.start()
        events, close_code = await client.finish(speak(1, 0, word, 0, 2, 0))
        assert finals(events) == ["1", "2"]
        (error,) = [event for event in events if isinstance(event, Error)]
        assert (error.segment, error.code) == (2, code)
        assert "bug" not in error.message
        assert close_code == 1000
        assert server.engine.num_open == 0


async def test_an_unforeseen_error_is_internal_and_tells_nothing_more(monkeypatch):
    async with running() as server, client_of(server) as client:
        await client.start()

        def fail(*arguments):
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(server.hub, "flush", fail)
        await client.say({"type": "flush"})
        events, code = await client.rest()
        assert (events[-1].code, code) == ("internal", 1011)
        assert "secret" not in events[-1].message


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
    async with running(tokens=["one", "two"]) as server:
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
        assert server.engine.num_open == 0


async def test_a_full_server_refuses_before_the_handshake():
    async with running(max_sessions=1) as server, client_of(server) as client:
        await client.start()
        with pytest.raises(InvalidStatus) as caught:
            await server.dial()
        response = caught.value.response
        assert response.status_code == 503
        assert json.loads(response.body)["code"] == "overloaded"
        assert response.headers["Retry-After"]
        _, code = await client.finish(TALK)
        assert code == 1000


async def test_a_place_that_was_left_is_free_again():
    async with running(max_sessions=1) as server:
        for _ in range(3):
            async with client_of(server) as client:
                await client.start()
                await client.finish(TALK)
            await server.until(lambda: not server.hub.num_connections)


async def test_an_engine_that_is_far_behind_refuses_new_sessions():
    async with running(max_wait_s=0.01) as server:
        async with client_of(server) as busy, client_of(server) as late:
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


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "unauthorized"),
        ({"Authorization": "Bearer wrong"}, 401, "unauthorized"),
        (
            {"Authorization": "Bearer right", "Origin": "https://elsewhere"},
            403,
            "unauthorized",
        ),
    ],
)
async def test_strangers_are_refused_before_the_handshake(headers, status, code):
    async with running(tokens=["right"]) as server:
        with pytest.raises(InvalidStatus) as caught:
            await server.dial(additional_headers=headers)
        assert caught.value.response.status_code == status
        assert json.loads(caught.value.response.body)["code"] == code


async def test_a_token_has_a_limited_number_of_connections():
    async with running(tokens=["a", "b"], max_sessions_per_token=1) as server:
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


async def test_an_engine_that_stands_still_ends_the_flood_and_not_the_others():
    async with running(max_backlog_s=0.5, ping_timeout_s=0.2) as server:
        async with client_of(server) as client, client_of(server) as other:
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


async def test_a_client_that_does_not_read_is_cut_off_and_its_session_waits():
    sentence = speak(*range(20, 80), samples=320) + bytes(9_600)  # a long final
    async with (
        running(send_timeout_s=0.2) as server,
        client_of(server) as deaf,
        client_of(server) as other,
    ):
        await deaf.start(tasks=TASKS, words=True)
        await other.start()
        deaf.socket.transport.pause_reading()
        talking = asyncio.create_task(_repeat(deaf, sentence))
        await server.until(lambda: server.hub.num_connections == 1)
        talking.cancel()
        events, code = await other.finish(TALK)
        assert (finals(events), code) == (["1 2", "3"], 1000)
        assert len(server.hub.streams) == 2
        deaf.socket.transport.abort()


async def _repeat(client, audio):
    with contextlib.suppress(ConnectionClosed):
        while True:
            await client.socket.send(audio)


async def test_stopping_finishes_the_finals_and_says_why_it_closes():
    async with running() as server, client_of(server) as client:
        await client.start()
        await client.socket.send(TALK + speak(4))
        await client.until(SpeechStarted)
        server.server.stop()
        events, code = await client.rest()
        assert finals(events) == ["1 2", "3", "4"]
        assert (events[-1].code, code) == ("shutdown", 1001)
        await server.finished
        assert not server.hub.num_connections


async def test_stopping_does_not_wait_for_finals_for_ever():
    async with running(drain_s=0.2) as server, client_of(server) as client:
        await client.start()
        server.engine.free.clear()
        await client.socket.send(speak(1))
        await client.until(SpeechStarted)
        server.server.stop()
        events, code = await client.rest()
        assert (events[-1].code, code) == ("shutdown", 1001)
        server.engine.free.set()
        await server.finished


async def test_nobody_is_let_in_while_the_server_stops():
    async with running() as server, client_of(server) as client:
        await client.start()
        server.engine.free.clear()
        await client.socket.send(speak(1))
        await client.until(SpeechStarted)
        server.server.stop()
        await server.until_closed()
        with pytest.raises(ConnectionRefusedError):
            await server.dial()
        server.engine.free.set()
        await client.rest()


async def test_health_is_503_until_the_model_is_warm_and_answers_under_load():
    engine = ScriptedEngine()
    engine.free.clear()
    async with running(engine=engine, warm=False) as server:
        status, body = await server.get("/health")
        assert (status, json.loads(body)["status"]) == (503, "warming up")
        with pytest.raises(InvalidStatus):
            await server.dial()
        engine.free.set()
        async with asyncio.timeout(DEADLINE_S):
            while (await server.get("/health"))[0] != 200:
                pass
        async with client_of(server) as client:
            await client.start()
            engine.free.clear()
            await client.socket.send(speak(1, 2))
            assert await asyncio.to_thread(engine.busy.wait, DEADLINE_S)
            status, body = await server.get("/health")
            assert status == 200
            assert json.loads(body)["sessions"] == 1
            engine.free.set()
            await client.finish()


async def test_metrics_tell_what_happened():
    async with running() as server:
        async with client_of(server) as client:
            await client.start()
            await client.finish(TALK)
        async with client_of(server) as client:
            await client.say("nonsense")
            await client.rest()
        status, body = await server.get("/metrics")
        figures = dict(
            line.rsplit(" ", 1) for line in body.splitlines() if line[0] != "#"
        )
        assert status == 200
        assert float(figures["salmonn_final_latency_seconds_count"]) == 2
        assert float(figures["salmonn_audio_seconds_total"]) > 0.9
        assert float(figures['salmonn_refused_total{code="protocol"}']) == 1
        assert float(figures["salmonn_sessions"]) == 1


async def test_the_index_says_where_things_are():
    async with running() as server:
        status, body = await server.get("/")
        assert status == 200
        assert json.loads(body)["stream"] == "/v1/stream"


async def test_two_clients_are_heard_apart():
    async with running() as server, client_of(server) as a, client_of(server) as b:
        await a.start()
        await b.start()
        for piece_a, piece_b in zip(
            pieces(speak(1, 2, 3)), pieces(speak(7, 8, 9)), strict=True
        ):
            await a.socket.send(piece_a)
            await b.socket.send(piece_b)
        (heard_a, _), (heard_b, _) = await asyncio.gather(a.finish(), b.finish())
        assert (finals(heard_a), finals(heard_b)) == (["1 2 3"], ["7 8 9"])


def test_each_error_has_its_close_code():
    codes = [error.code for error in StreamError.__subclasses__()]
    assert len(codes) == len(set(codes)) == 8
    assert Client
