import asyncio
import re
import threading

import pytest

from clients import blocking as module
from clients.blocking import blocking
from clients.client import connect
from clients.errors import QuestionError, ServerError, UnreachableError
from stream.events import Ended, Final, Partial, SpeakerNamed, Speakers
from tests.checkout import ROOT
from tests.clients.scripted_server import expected_texts
from tests.clients.threaded_server import threaded_server
from tests.fakes.server import TALK, running

SECOND = bytes(2 * 16_000)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def texts(events):
    return [event.text for event in events if isinstance(event, Final)]


def test_everything_may_be_sent_before_anything_is_read():
    """More events than the client holds, and more audio than it keeps unsettled."""
    audio = SECOND * 300
    with threaded_server() as server, blocking(connect(server.url)) as client:
        for _ in range(300):
            client.send(SECOND)
        client.end()
        events = list(client)
    assert len(events) > 1_000
    assert texts(events) == expected_texts(audio, rate=16_000)
    assert isinstance(events[-1], Ended)


def test_a_reader_that_stays_away_for_long_loses_nothing(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    with threaded_server() as server, blocking(connect(server.url)) as client:
        client.send(SECOND * 20)
        client.end()
        assert len(texts(client)) == 20


def test_events_come_while_one_speaks():
    with threaded_server() as server, blocking(connect(server.url)) as client:
        client.send(SECOND)
        events = iter(client)
        assert any(isinstance(event, Partial) for event in events)
        client.send(SECOND[:16_000])
        client.flush()
        assert any(isinstance(event, Final) for event in events)
        arrivals = client.arrivals()
        assert any(one.latency_s is not None for one in arrivals)


async def beside(doing):
    """Run a server here, and a client without a loop in another thread."""
    async with running() as server:
        url = f"ws://127.0.0.1:{server.port}"
        return await asyncio.to_thread(doing, url)


async def test_an_answer_is_read_piece_by_piece_or_waited_for():
    def ask(url):
        with blocking(connect(url)) as client:
            client.send(TALK)
            pieces = list(client.ask("what was it"))
            second = client.ask("and", seconds=5.0)
            complete = second.complete().text
            assert second.text == complete
            client.end()
            return pieces, complete, texts(client)

    pieces, complete, finals = await beside(ask)
    assert "".join(pieces) == "what was it 1 2 3"
    assert len(pieces) > 1
    assert complete == "and 1 2 3"
    assert finals == ["1 2", "3"]


async def test_an_answer_may_be_cancelled_and_a_question_refused():
    def ask(url):
        with blocking(connect(url)) as client:
            with pytest.raises(QuestionError, match="ask: nothing"):
                client.ask("what").complete()
            client.send(TALK)
            answer = client.ask(" ".join(map(str, range(500))), max_tokens=1_000)
            for _ in answer:
                answer.cancel()
            return answer.complete().finish

    assert await beside(ask) == "cancelled"


async def test_a_speaker_is_named_while_the_session_goes_on():
    def name(url):
        with blocking(connect(url, speakers=2)) as client:
            client.send(TALK)
            events = iter(client)
            for event in events:
                if isinstance(event, Speakers) and event.complete:
                    break
            client.name_speaker(1, "Anna")
            client.end()
            named = [event for event in events if isinstance(event, SpeakerNamed)]
            return [(event.speaker, event.name) for event in named]

    assert await beside(name) == [(1, "Anna")]


def test_nobody_at_the_address_is_an_error_of_entering():
    with (
        pytest.raises(UnreachableError),
        blocking(connect("ws://127.0.0.1:9")),
    ):
        raise AssertionError("it was entered")


async def test_a_session_that_the_server_ends_is_an_error_of_reading():
    def speak(url):
        with blocking(connect(url, resume=False)) as client:
            client.send(bytes(2**20))
            list(client)

    async with running(max_session_s=1.0) as server:
        with pytest.raises(ServerError):
            await asyncio.to_thread(speak, f"ws://127.0.0.1:{server.port}")


def test_the_example_of_the_document_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / "clients.md").read_text("utf-8")
    (source,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    with threaded_server() as server:
        shown = source.replace("ws://127.0.0.1:8765", server.url)
        assert shown != source
        exec(compile(shown, "clients.md", "exec"), {"__name__": "__main__"})
        said = expected_texts(bytes(server.audio), rate=16_000)
    assert capsys.readouterr().out.splitlines() == said
