"""Wyoming over loopback, by the package's own client: heard, asked, and gone wrong."""

import asyncio
import contextlib
import socket
from dataclasses import replace

import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping

from stream.auth import NOBODY
from stream.config import WyomingConfig
from tests.fakes.engine import CRASH, UNKNOWN, ScriptedEngine, speak
from tests.fakes.server import DEADLINE_S, TALK, client_of, finals, pieces, running

PORT = WyomingConfig(port=0)


class Peer:
    """The package's client, and what it was told."""

    def __init__(self, client):
        self.client = client

    async def say(self, *events):
        for event in events:
            await self.client.write_event(
                event if isinstance(event, Event) else event.event()
            )

    async def next(self):
        async with asyncio.timeout(DEADLINE_S):
            return await self.client.read_event()

    async def until(self, kind):
        """Return the events up to one of a type, or to the end."""
        events = []
        while (event := await self.next()) is not None:
            events.append(event)
            if event.type == kind:
                break
        return events

    async def hear(self, audio, *, rate=16_000, **transcribe):
        await self.say(Transcribe(**transcribe), AudioStart(rate, 2, 1))
        for piece in pieces(audio):
            await self.say(AudioChunk(rate, 2, 1, piece))
        await self.say(AudioStop())
        return await self.until("transcript-stop")

    async def ask(self, text):
        await self.say(Transcript(text))
        events = []
        while not events or events[-1].type not in ("handled-stop", "not-handled"):
            events.append(await self.next())
        return events


@contextlib.asynccontextmanager
async def peer_of(server):
    port = int(server.server.wyoming_address.rpartition(":")[2])
    async with AsyncTcpClient("127.0.0.1", port) as client:
        yield Peer(client)


def types(events):
    return [event.type for event in events]


def text_of(events, kind="transcript"):
    (event,) = [event for event in events if event.type == kind]
    return event.data["text"]


async def test_no_port_is_opened_unless_one_is_named():
    async with running() as server:
        assert server.server.wyoming_address is None


async def test_it_says_what_can_be_had():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        await peer.say(Describe())
        info = Info.from_event(await peer.next())
    (hears,) = info.asr
    assert hears.supports_transcript_streaming
    assert [model.name for model in hears.models] == ["scripted"]
    assert hears.models[0].languages == ["en", "de"]
    (answers,) = info.handle
    assert answers.supports_handled_streaming
    assert info.tts == info.wake == info.intent == []


async def test_a_ping_is_answered():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        await peer.say(Ping(text="x"))
        assert (await peer.next()).data == {"text": "x"}


async def test_a_transcript_comes_in_pieces_that_only_grow_and_whole():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        events = await peer.hear(TALK)
    assert types(events)[0] == "transcript-start"
    assert types(events)[-2:] == ["transcript", "transcript-stop"]
    chunks = [e.data["text"] for e in events if e.type == "transcript-chunk"]
    assert "".join(chunks) == text_of(events) == "1 2 3"
    assert types(events).count("transcript-start") == 1
    assert server.engine.num_open == 0


async def test_pieces_come_while_one_speaks():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        await peer.say(AudioStart(16_000, 2, 1))
        for piece in pieces(speak(1, 2, 3, samples=16_000)):
            await peer.say(AudioChunk(16_000, 2, 1, piece))
        start, chunk = await peer.next(), await peer.next()
        assert types([start, chunk]) == ["transcript-start", "transcript-chunk"]
        assert chunk.data["text"].startswith("1")


async def test_a_connection_may_speak_again():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        assert text_of(await peer.hear(speak(1))) == "1"
        assert text_of(await peer.hear(speak(2))) == "2"


async def test_silence_is_an_empty_transcript():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        events = await peer.hear(speak(0))
    assert types(events) == ["transcript-start", "transcript", "transcript-stop"]
    assert text_of(events) == ""


async def test_audio_without_a_start_says_its_format_itself():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        await peer.say(AudioChunk(16_000, 2, 1, speak(4)), AudioStop())
        assert text_of(await peer.until("transcript")) == "4"


async def test_other_rates_are_heard_to_their_last_word():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        events = await peer.hear(speak(5, 6), rate=8_000)
    assert text_of(events).split()[0] == "5"
    assert "6" in text_of(events).split()


@pytest.mark.parametrize(
    ("asked", "heard"), [(None, "en"), ("de", "de"), ("de-AT", "de"), ("de_DE", "de")]
)
async def test_a_language_may_have_a_region(asked, heard):
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        events = await peer.hear(speak(1), language=asked)
    (event,) = [event for event in events if event.type == "transcript"]
    assert event.data["language"] == heard


async def test_what_is_not_ours_is_dropped():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        await peer.say(Event("synthesize", {"text": "x"}), Event("select-program"))
        assert text_of(await peer.hear(speak(1))) == "1"


async def test_a_question_is_about_what_the_same_host_spoke_last():
    async with running(wyoming=PORT) as server:
        async with peer_of(server) as peer:
            await peer.hear(speak(7, 8))
        async with peer_of(server) as peer:
            events = await peer.ask("what was that")
        assert types(events)[0] == "handled-start"
        assert types(events)[-2:] == ["handled", "handled-stop"]
        chunks = [e.data["text"] for e in events if e.type == "handled-chunk"]
        answer = text_of(events, "handled")
        assert "".join(chunks) == answer == "what was that 7 8"
        async with peer_of(server) as peer:
            again = await peer.ask("and now")
        assert text_of(again, "handled") == "and now 7 8"
        await server.until(lambda: server.engine.num_replies == 0)


async def test_a_question_that_was_spoken_is_about_its_own_audio():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        await peer.hear(speak(7))
        await peer.hear(speak(8))
        assert text_of(await peer.ask("7"), "handled") == "7 7"
        assert text_of(await peer.ask("other words"), "handled") == "other words 8"


async def test_two_questions_about_the_same_audio_wait_for_each_other():
    async with running(wyoming=PORT) as server, peer_of(server) as a:
        await a.hear(speak(7))
        async with peer_of(server) as b:
            both = await asyncio.gather(a.ask("one"), b.ask("two"))
        assert [text_of(events, "handled") for events in both] == ["one 7", "two 7"]


async def test_a_client_that_goes_takes_its_question_along():
    async with running(wyoming=PORT) as server:
        async with peer_of(server) as peer:
            await peer.hear(speak(7))
        server.engine.free.clear()
        async with peer_of(server) as peer:
            await peer.say(Transcript("a long one"))
            await server.until(lambda: server.engine.busy.is_set())
        server.engine.free.set()
        async with peer_of(server) as peer:
            assert text_of(await peer.ask("next"), "handled") == "next 7"
        await server.until(lambda: server.engine.num_replies == 0)


async def test_without_audio_a_question_is_not_handled():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        (event,) = await peer.ask("what was that")
        assert event.type == "not-handled"
        assert event.data["text"] == "nothing was heard in the last 60 s"


async def test_audio_is_forgotten_after_a_while():
    async with running(wyoming=PORT, resume_s=0.1) as server, peer_of(server) as peer:
        await peer.hear(speak(7))
        await server.until(lambda: not server.hub.streams)
        (event,) = await peer.ask("what was that")
        assert "nothing was heard" in event.data["text"]


async def test_a_question_that_is_refused_is_not_handled_and_says_why():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        await peer.hear(speak(7))
        (event,) = await peer.ask("")
        assert event.type == "not-handled"
        assert event.data["text"] == "ask: text is empty"
        assert text_of(await peer.ask("more"), "handled") == "more 7"


async def test_a_model_without_questions_offers_none_and_keeps_nothing():
    engine = ScriptedEngine()
    engine.info = replace(engine.info, answers_questions=False)
    async with running(wyoming=PORT, engine=engine) as server, peer_of(server) as peer:
        await peer.say(Describe())
        assert Info.from_event(await peer.next()).handle == []
        await peer.hear(speak(7))
        assert not server.hub.streams
        (event,) = await peer.ask("what was that")
        assert event.data["text"] == "scripted answers no questions"


START = AudioStart(16_000, 2, 1)
CHUNK = AudioChunk(16_000, 2, 1, speak(1))


@pytest.mark.parametrize(
    ("events", "code", "message"),
    [
        ([AudioStop()], "protocol", "audio-stop before audio-start"),
        ([START, START], "protocol", "audio-start before audio-stop"),
        ([Event("audio-start")], "protocol", "rate is None; expected a whole number"),
        ([AudioStart(16_000, 7, 1)], "audio_format", "width is 7"),
        ([AudioStart(16_000, 2, 99)], "audio_format", "channels is 99"),
        ([AudioStart(7, 2, 1)], "audio_format", "rate is 7"),
        (
            [START, AudioChunk(8_000, 2, 1, b"")],
            "audio_format",
            "they were (16000, 2, 1)",
        ),
        ([START, AudioChunk(16_000, 2, 1, bytes(3))], "audio_format", "whole samples"),
        ([Transcribe(language="xx"), START], "unsupported", "language 'xx'"),
        ([Event("transcribe", {"language": 3})], "protocol", "expected a text"),
        ([Event("transcript", {"text": []})], "protocol", "text is []"),
        ([START, AudioChunk(16_000, 2, 1, bytes(2 << 20))], "limit", "at most 262144"),
        ([START, *[CHUNK] * 9, AudioStop()], "limit", "more than 1 s"),
        ([START, AudioChunk(16_000, 2, 1, speak(UNKNOWN)), AudioStop()], "engine", "a"),
        ([START, AudioChunk(16_000, 2, 1, speak(CRASH)), AudioStop()], "internal", "l"),
    ],
)
async def test_each_wrong_event_is_one_clear_error_and_disturbs_nobody_else(
    events, code, message
):
    async with (
        running(wyoming=PORT, max_session_s=1.0) as server,
        client_of(server) as other,
        peer_of(server) as peer,
    ):
        await other.start()
        await other.socket.send(speak(5))
        with contextlib.suppress(ConnectionError):
            await peer.say(*events)
        told = await peer.until("none of them")
        errors = [event for event in told if event.type == "error"]
        assert [error.data["code"] for error in errors] == [code]
        assert message in errors[0].data["text"]
        assert told[-1] is errors[0]
        heard, _ = await other.finish(speak(6))
        assert finals(heard) == ["5 6"]
        await server.until(lambda: server.hub.num_connections == 0)
    assert server.engine.num_open == 0


async def test_what_is_no_frame_at_all_is_told():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        peer.client._writer.write(b"GET / HTTP/1.1\r\n\r\n")
        error = await peer.next()
        assert error.data["text"].startswith("a line is not JSON: b'GET / HTTP/1.1")
        assert await peer.next() is None


async def test_a_client_that_says_nothing_is_sent_away():
    async with (
        running(wyoming=PORT, ping_interval_s=0.05, ping_timeout_s=0.05) as server,
        peer_of(server) as peer,
    ):
        assert (await peer.next()).data["text"] == "nothing came for 0.1 s"


async def test_a_full_server_says_so():
    async with running(wyoming=PORT, max_sessions=1) as server:
        server.hub.admit(NOBODY)
        async with peer_of(server) as peer:
            error = await peer.next()
            assert error.data["code"] == "overloaded"
            assert await peer.next() is None
        server.hub.leave(NOBODY)


async def test_an_unforeseen_error_is_internal_and_tells_nothing_more(monkeypatch):
    async with running(wyoming=PORT) as server, peer_of(server) as peer:

        def fail(*arguments):
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(server.hub, "push", fail)
        await peer.say(START, CHUNK)
        error = await peer.next()
        assert error.data["code"] == "internal"
        assert "secret" not in error.data["text"]
        monkeypatch.undo()
        async with peer_of(server) as another:
            assert text_of(await another.hear(speak(1))) == "1"


async def test_a_client_that_vanishes_leaves_nothing_behind():
    async with running(wyoming=PORT) as server:
        async with peer_of(server) as peer:
            await peer.say(START, CHUNK)
            await server.until(lambda: server.hub.streams)
        await server.until(lambda: not server.hub.streams)
        await server.until(lambda: server.hub.num_connections == 0)
    assert server.engine.num_open == 0


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch):
    async with running(wyoming=PORT, send_timeout_s=0.2) as server:
        port = int(server.server.wyoming_address.rpartition(":")[2])
        deaf = socket.create_connection(("127.0.0.1", port))
        deaf.settimeout(DEADLINE_S)
        with contextlib.suppress(ConnectionError):  # it is cut off while it writes
            await asyncio.to_thread(deaf.sendall, b'{"type": "describe"}\n' * 200_000)
        await server.until(lambda: server.hub.num_connections == 0)
        deaf.close()


async def test_a_server_that_stops_tells_what_it_has_heard():
    async with running(wyoming=PORT) as server, peer_of(server) as peer:
        await peer.say(START, CHUNK)
        await server.until(lambda: server.hub.streams)
        server.server.stop()
        told = await peer.until("none of them")
        chunks = [e.data["text"] for e in told if e.type == "transcript-chunk"]
        assert chunks == ["1"]
        assert told[-1].data["code"] == "shutdown"
