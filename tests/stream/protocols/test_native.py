"""The native protocol over loopback: what a client is told, and what if it errs."""

import asyncio
import contextlib

import pytest
from websockets.exceptions import ConnectionClosed

from stream.errors import StreamError
from stream.events import Ended, Error, Final, Partial, Started
from tests.fakes.engine import CRASH, UNKNOWN, speak
from tests.fakes.server import TALK, client_of, finals, pieces, running

TASKS = ("transcribe", "translate:en")


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


async def test_a_bare_translation_is_answered_under_its_full_name():
    async with running() as server, client_of(server) as client:
        started = await client.start(tasks=("translate",))
        assert started.tasks == ("translate:en",)
        events, _ = await client.finish(speak(1))
        (final,) = [event for event in events if isinstance(event, Final)]
        assert (final.task, final.text) == ("translate:en", "1")


async def test_flush_brings_the_final_without_silence():
    async with running() as server, client_of(server) as client:
        await client.start()
        await client.socket.send(speak(1))
        await client.say({"type": "flush"})
        assert (await client.until(Final)).text == "1"


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
        (
            ['{"type": "start", "tasks": ["translate", "translate:en"]}'],
            *("protocol", 1002, "none twice"),
        ),
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
    async with (
        running(max_session_s=1.0) as server,
        client_of(server) as other,
        client_of(server) as client,
    ):
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


def test_each_error_has_its_close_code():
    codes = [error.code for error in StreamError.__subclasses__()]
    assert len(codes) == len(set(codes)) == 8
