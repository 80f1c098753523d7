"""Questions over loopback: what a client is told, and each way in which it can err."""

import asyncio
import json

import pytest

from engine.errors import EngineError
from stream.auth import NOBODY
from stream.events import (
    Answer,
    AnswerPartial,
    AnswerStarted,
    Ask,
    Ended,
    Error,
    Final,
    Partial,
    Progress,
    Resume,
    Start,
    Started,
)
from stream.utterances import SLICE
from tests.fakes.engine import ScriptedEngine, speak
from tests.fakes.server import DEADLINE_S, TALK, client_of, finals, running

LONG = " ".join(map(str, range(300)))
"""A question whose answer, which repeats it, does not end by itself."""


def question(name="q", text="what", **fields):
    return {"type": "ask", "id": name, "text": text, **fields}


async def heard(client, audio=TALK, **wishes):
    """Begin a session and send audio; return when the server has taken it."""
    await client.start(**wishes)
    await client.socket.send(audio)
    await client.socket.send(bytes(32_000))
    while not isinstance(event := await client.next(), Progress):
        pass
    return event


async def told(client, kind, name):
    """Return the next event of a kind about a question."""
    while True:
        event = await client.until(kind)
        if name in (getattr(event, "id", None), getattr(event, "question", None)):
            return event


async def test_a_question_that_is_no_unicode_is_answered_under_its_name():
    async with running() as server, client_of(server) as client:
        await heard(client)
        await client.say(question(name="\ud800", text="\udfff"))
        assert (await told(client, Answer, "\ud800")).id == "\ud800"


async def test_a_question_is_answered_while_one_speaks():
    async with running() as server, client_of(server) as client:
        await heard(client)
        await client.say(question(seconds=30))
        started = await told(client, AnswerStarted, "q")
        assert (started.question, started.start) == ("what", 0)
        answer = await told(client, Answer, "q")
        assert answer.text == "what 1 2 3"
        assert answer.finish == "stop"
        _, code = await client.finish(speak(4))
        assert (finals(client.events), code) == (["1 2", "3", "4"], 1000)


async def test_several_are_answered_at_once_and_a_standing_task_beside_them():
    async with running() as server, client_of(server) as client:
        await heard(client, tasks=("transcribe", "describe"))
        for name in ("a", "b"):
            await client.say(question(name, about="last_segment"))
        await client.finish()
        answers = {e.id: e.text for e in client.events if isinstance(e, Answer)}
        assert answers == {"a": "what 3", "b": "what 3"}
        told = {
            (e.segment, e.task): e.text for e in client.events if isinstance(e, Final)
        }
        assert told[1, "describe"] == "describe 1 2"
        assert told[2, "describe"] == "describe 3"
        assert server.engine.num_replies == server.engine.num_open == 0


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (question("q", seconds=31), "protocol", "seconds is 31"),
        (question("q", seconds=float("nan")), "protocol", "seconds is nan"),
        (question("q", about="you"), "protocol", "about is 'you'"),
        (question("q", text=""), "protocol", "text is empty"),
        (question("q", task="describe"), "protocol", "a text or a task"),
        (question("q", text=None, task="sing"), "unsupported", "no task 'sing'"),
        (question("q", max_tokens=0), "protocol", "max_tokens is 0"),
        (question("", text="x"), "protocol", "id has 0 characters"),
        (question("spoken-1"), "protocol", "are the server's"),
        ({"type": "cancel", "id": "q"}, "protocol", "no question has the id 'q'"),
    ],
    ids=str,
)
async def test_what_is_wrong_with_a_question_is_told_and_the_session_goes_on(
    message, code, words
):
    async with running() as server, client_of(server) as client:
        await heard(client)
        await client.say(message)
        error = await client.until(Error)
        assert (error.code, error.question) == (code, message["id"])
        assert words in error.message
        await client.say(question("next"))
        assert (await told(client, Answer, "next")).text
        events, closed = await client.finish()
        assert isinstance(events[-1], Ended)
        assert closed == 1000


@pytest.mark.parametrize(
    "message",
    [
        {"type": "ask"},
        {"type": "ask", "id": 7, "text": "x"},
        {"type": "ask", "id": "q", "text": "x", "seconds": "ten"},
        {"type": "ask", "id": "q", "text": "x", "loud": True},
        {"type": "cancel"},
    ],
    ids=json.dumps,
)
async def test_a_message_that_is_no_question_at_all_ends_the_session(message):
    async with running() as server, client_of(server) as client:
        await client.start()
        await client.say(message)
        events, code = await client.rest()
        assert (events[-1].code, code) == ("protocol", 1002)


async def test_nothing_was_heard_yet():
    async with running() as server, client_of(server) as client:
        await client.start()
        await client.say(question())
        assert (await client.until(Error)).message == "ask: nothing was heard yet"
        _, code = await client.finish(TALK)
        assert code == 1000


async def test_the_questions_of_a_session_are_bounded_and_those_of_others_are_not():
    async with (
        running(max_questions=2) as server,
        client_of(server) as greedy,
        client_of(server) as other,
    ):
        await heard(greedy)
        await heard(other)
        server.engine.free.clear()
        for name in "abc":
            await greedy.say(question(name))
        error = await greedy.until(Error)
        assert (error.question, error.code) == ("c", "limit")
        await other.say(question())
        server.engine.free.set()
        assert (await told(other, Answer, "q")).text
        assert {(await greedy.until(Answer)).id for _ in "ab"} == {"a", "b"}


async def test_an_engine_that_is_far_behind_refuses_questions_and_keeps_finals():
    async with running(max_wait_s=0.01) as server, client_of(server) as client:
        await heard(client)
        server.engine.free.clear()
        server.engine.busy.clear()
        await client.socket.send(speak(4, 5))
        await asyncio.to_thread(server.engine.busy.wait, DEADLINE_S)
        await client.socket.send(speak(6, 7))
        await server.until(lambda: server.hub.wait_s > 0.01)
        await client.say(question())
        error = await told(client, Error, "q")
        assert error.code == "overloaded"
        assert "behind" in error.message
        server.engine.free.set()
        await client.finish()
        assert finals(client.events) == ["1 2", "3", "4 5 6 7"]
        _, figures = await server.get("/metrics")
        assert 'salmonn_questions_refused_total{code="overloaded"} 1.0' in figures


async def test_a_cancel_stops_the_decoding_at_once():
    async with running() as server, client_of(server) as client:
        await heard(client)
        await client.say(question(text=LONG, max_tokens=1_000))
        await told(client, AnswerPartial, "q")
        await client.say({"type": "cancel", "id": "q"})
        answer = await told(client, Answer, "q")
        assert answer.finish == "cancelled"
        assert LONG.startswith(answer.text)
        await server.until(lambda: not server.engine.num_replies)
        assert len(server.engine.batches) < 300


async def test_a_cancel_that_crosses_the_answer_is_no_error():
    async with running() as server, client_of(server) as client:
        await heard(client)
        await client.say(question())
        await told(client, Answer, "q")
        await client.say({"type": "cancel", "id": "q"})
        events, code = await client.finish()
        assert not [e for e in events if isinstance(e, Error)]
        assert code == 1000


async def test_asking_and_cancelling_without_end_disturbs_nobody():
    async with (
        running() as server,
        client_of(server) as restless,
        client_of(server) as other,
    ):
        await heard(restless)
        await other.start()
        for number in range(300):
            await restless.say(question(str(number)))
            await restless.say({"type": "cancel", "id": str(number)})
        events, _ = await other.finish(TALK)
        assert finals(events) == ["1 2", "3"]
        await restless.finish()
        answers = [e for e in restless.events if isinstance(e, Answer)]
        assert [e.id for e in answers] == [str(number) for number in range(300)]
        assert server.engine.num_replies == 0


async def test_a_long_answer_and_captions_go_on_side_by_side():
    async with (
        running() as server,
        client_of(server) as asking,
        client_of(server) as speaking,
    ):
        await heard(asking)
        await asking.say(question(text=LONG, max_tokens=1_000))
        await told(asking, AnswerPartial, "q")
        await speaking.start()
        await speaking.socket.send(speak(1, 2, samples=SLICE))
        await speaking.until(Partial)
        before = (await told(asking, AnswerPartial, "q")).text
        assert (await told(asking, Answer, "q")).text.startswith(before)


async def test_a_client_that_vanishes_mid_answer_finds_it_when_it_comes_back():
    async with running() as server:
        async with client_of(server) as client:
            await heard(client)
            name = client.events[0].session
            await client.say(question(text=LONG, max_tokens=1_000))
            seen = await told(client, AnswerPartial, "q")
            client.socket.transport.abort()
        await server.until(lambda: not server.hub.num_connections)
        async with client_of(server) as client:
            back = Resume(session=name, seq=seen.seq, settled=0, segment=0)
            started = await client.start(resume=back)
            assert (started.resumed, started.asked) == (True, 1)
            answer = await told(client, Answer, "q")
            assert answer.text.startswith(LONG)
            assert answer.seq > seen.seq


async def test_another_process_knows_nothing_of_the_questions():
    async with running() as first, running() as second:
        async with client_of(first) as client:
            await heard(client)
            name = client.events[0].session
            await client.say(question(text=LONG, max_tokens=1_000))
            seen = await told(client, AnswerPartial, "q")
        async with client_of(second) as client:
            back = Resume(session=name, seq=seen.seq, settled=0, segment=0)
            started = await client.start(resume=back)
            assert (started.resumed, started.asked) == (False, 0)
            await client.say(question("q"))  # its id is free, and nothing was heard
            assert (await client.until(Error)).message == "ask: nothing was heard yet"


async def test_what_a_client_that_never_comes_back_asked_is_freed():
    async with running(resume_s=0.05) as server:
        async with client_of(server) as client:
            await heard(client)
            await client.say(question(text=LONG, max_tokens=1_000))
            await told(client, AnswerPartial, "q")
            client.socket.transport.abort()
        await server.until(lambda: not server.hub.streams)
        await server.until(
            lambda: not server.engine.num_replies and not server.engine.num_open
        )


async def test_a_client_that_never_reads_is_sent_the_newest_of_an_answer():
    async with running() as server:
        stream, _ = server.hub.open(Start(), NOBODY)
        server.hub.push(stream, TALK)
        for name in "ab":
            server.hub.ask(stream, Ask(id=name, text=LONG, max_tokens=1_000))
        server.hub.end(stream)
        await server.until(lambda: stream.session.is_over)
        kept = stream.log.after(0)
        assert [e.id for e in kept if isinstance(e, Answer)]
        assert not [e for e in kept if isinstance(e, AnswerPartial)]


async def test_a_reply_that_the_engine_cannot_go_on_with_ends_alone():
    async with running(engine=Stumbling()) as server, client_of(server) as client:
        await heard(client)
        server.engine.free.clear()
        for name, text in (("good", "fine"), ("bad", "stumble"), ("ugly", "crash")):
            await client.say(question(name, text=text))
        server.engine.free.set()
        await client.finish()
        told = {
            getattr(e, "id", None) or e.question: getattr(e, "text", None) or e.code
            for e in client.events
            if isinstance(e, Answer) or (isinstance(e, Error) and e.question)
        }
        assert told == {"good": "fine 1 2 3", "bad": "engine", "ugly": "internal"}
        assert server.engine.num_replies == 0


class Stumbling(ScriptedEngine):
    """Fails on a step with a reply that says so."""

    def generate(self, replies):
        for reply in replies:
            if "stumble" in reply.text:
                raise EngineError("it stumbled")
            if "crash" in reply.text:
                raise ZeroDivisionError("a bug")
        super().generate(replies)


async def test_a_spoken_question_is_answered():
    async with running() as server, client_of(server) as client:
        await client.start(opening_phrase="7 8")
        await client.finish(speak(1, 2, 0, 0, 7, 8, 9, 0, 0))
        (answer,) = [e for e in client.events if isinstance(e, Answer)]
        assert (answer.id, answer.text) == ("spoken-2", "9 1 2")


async def test_figures_of_replies_are_measured():
    async with running() as server, client_of(server) as client:
        await heard(client, tasks=("describe",))
        await client.say(question())
        await client.finish()
        assert isinstance(client.events[0], Started)
        _, figures = await server.get("/metrics")
        assert "salmonn_reply_ttft_seconds_count 3.0" in figures
        assert "salmonn_reply_tokens_total" in figures
        assert "salmonn_replies 0.0" in figures


async def test_without_tasks_only_questions_are_answered():
    async with running() as server, client_of(server) as client:
        started = await client.start(tasks=())
        assert started.tasks == ()
        await client.socket.send(TALK)
        await client.say(question("q"))
        answer = await client.until(Answer)
        events, code = await client.finish()
        assert answer.text
        assert finals([*client.events, *events]) == []
        assert (events[-1].type, code) == ("ended", 1000)
