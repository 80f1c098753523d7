"""Watches over loopback: what a client is told, and each way in which it can err."""

import pytest

from engine.errors import EngineError
from stream.events import Ended, Error, Progress, Resume
from stream.sound_events import Noticed, Watch
from tests.fakes.engine import ScriptedEngine, speak
from tests.fakes.server import client_of, finals, running

SEVEN = Watch(id="w", text="7")
QUIET = bytes(64_000)


async def test_what_is_watched_for_is_told_from_its_beginning_to_its_end():
    async with running() as server, client_of(server) as client:
        await client.start(watches=(SEVEN,))
        await client.socket.send(speak(0, 7))
        begun = await client.until(Noticed)
        assert (begun.id, begun.text, begun.complete) == ("w", "7", False)
        await client.socket.send(QUIET)
        over = await client.until(Noticed)
        assert over.complete
        assert over.start == begun.start < over.end
        events, code = await client.finish()
        assert isinstance(events[-1], Ended)
        assert code == 1000


async def test_a_watch_is_set_and_taken_away_while_one_speaks():
    async with running() as server, client_of(server) as client:
        await client.start()
        await client.say({"type": "watch", "id": "x", "text": "7", "audio": True})
        await client.socket.send(speak(7))
        begun = await client.until(Noticed)
        assert begun.audio
        await client.say({"type": "unwatch", "id": "x"})
        await client.say({"type": "unwatch", "id": "nobody"})
        await client.socket.send(QUIET)
        events, code = await client.finish(speak(7, 0, 0))
        assert not [e for e in events if isinstance(e, Noticed)]
        assert (finals(client.events), code) == (["7", "7"], 1000)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"text": ""}, "protocol"),
        ({"text": "x" * 161}, "protocol"),
        ({"text": "7", "threshold": 2}, "protocol"),
        ({"text": "7"}, "limit"),
    ],
    ids=str,
)
async def test_a_watch_that_is_wrong_is_told_and_the_session_goes_on(wrong, code):
    watches = tuple(Watch(id=str(n), text="9") for n in range(16))
    async with running() as server, client_of(server) as client:
        await client.start(watches=watches)
        await client.say({"type": "watch", "id": "x", **wrong})
        error = await client.until(Error)
        assert (error.code, error.watch) == (code, "x")
        _, closed = await client.finish(speak(1))
        assert (finals(client.events), closed) == (["1"], 1000)


async def test_a_model_that_answers_no_questions_refuses_the_session_in_a_sentence():
    engine = ScriptedEngine()
    engine.check_prompt = _refuse
    async with running(engine=engine) as server, client_of(server) as client:
        error = await client.start(watches=(SEVEN,))
        assert (error.code, error.message) == ("unsupported", "mini was not taught it")
        assert error.ends_session
        assert await client.rest() == ([], 1008)


def _refuse(prompt):
    raise EngineError("mini was not taught it")


async def test_a_watch_after_the_end_is_refused():
    engine = ScriptedEngine()
    async with running(engine=engine) as server, client_of(server) as client:
        await client.start()
        engine.free.clear()
        await client.socket.send(speak(1))
        await client.say({"type": "end"})
        await client.say({"type": "watch", "id": "x", "text": "7"})
        error = await client.until(Error)
        assert (error.code, error.watch) == ("protocol", "x")
        engine.free.set()
        _, code = await client.rest()
        assert (finals(client.events), code) == (["1"], 1000)


async def test_a_client_that_comes_back_has_what_was_noticed_and_says_what_it_wants():
    async with running() as server:
        async with client_of(server) as client:
            started = await client.start(watches=(SEVEN,))
            await client.socket.send(speak(7))
            begun = await client.until(Noticed)
            client.socket.transport.abort()
        resume = Resume(session=started.session, seq=0, settled=0, segment=0)
        eight = Watch(id="e", text="8")
        async with client_of(server) as client:
            again = await client.start(watches=(SEVEN, eight), resume=resume)
            assert again.resumed
            assert await client.until(Noticed) == begun
            await client.socket.send(speak(8))
            other = await client.until(Noticed)
            assert (other.id, other.complete) == ("e", False)
            events, _ = await client.finish(QUIET)
            ends = [e for e in events if isinstance(e, Noticed)]
            assert {(e.id, e.start, e.complete) for e in ends} == {
                ("w", begun.start, True),
                ("e", other.start, True),
            }


async def test_what_it_wants_may_be_wrong_when_it_comes_back():
    async with running() as server:
        async with client_of(server) as client:
            started = await client.start(watches=(SEVEN,))
        resume = Resume(session=started.session, seq=0, settled=0, segment=0)
        async with client_of(server) as client:
            error = await client.start(watches=(SEVEN, SEVEN), resume=resume)
            assert error.message == "start: two watches have the same id"


async def test_what_is_sent_at_once_is_captioned_to_its_end():
    async with running() as server, client_of(server) as client:
        await client.start(watches=(SEVEN,), partials=False)
        events, _ = await client.finish(speak(1, 2, 0, 0, 3, 0, 0))
        kinds = [type(e) for e in events if not isinstance(e, Progress)]
        assert kinds[-1] is Ended
        assert finals(events) == ["1 2", "3"]
