"""Listening into a server in this process, with the scripted engine behind it."""

import asyncio
from dataclasses import replace

import pytest

from clients.errors import (
    BusyError,
    DeviceError,
    DroppedError,
    NothingHeardError,
    QuestionError,
    RefusedError,
    UnreachableError,
)
from clients.mcp.ears import Ears
from clients.mcp.inputs import FileInput
from stream.audio import PcmFormat
from stream.config import AuthConfig
from tests.clients.mcp.test_inputs import write_wav
from tests.fakes.engine import UNKNOWN, ScriptedEngine, speak
from tests.fakes.server import DEADLINE_S, running

AUDIO = speak(1, 2, 0, 0, 3, 0, 0, samples=1_600)
"""Two segments in 0.7 s."""


class Silent:
    """A device that opens and gives nothing; as an input, the only one."""

    name = "Silent"
    format = PcmFormat()
    loss = None

    def __init__(self, *devices, first=bytes(640), breaks: bool = False) -> None:
        self.listed, self.first, self.breaks = list(devices), first, breaks
        self.is_open = False
        self.opened = asyncio.Event()
        self._stopped = asyncio.Event()

    async def devices(self):
        return self.listed

    async def capture(self, device, seconds):
        self._stopped.clear()
        return self

    async def pieces(self):
        self.is_open = True
        self.opened.set()
        try:
            yield self.first
            if self.breaks:
                raise DeviceError("it stopped by itself", device=self.name)
            await self._stopped.wait()
        finally:
            self.is_open = False

    def stop(self) -> None:
        self._stopped.set()


@pytest.fixture
def source(tmp_path):
    return FileInput(write_wav(tmp_path / "a.wav", AUDIO * 3))


def ears_of(server, source, **options) -> Ears:
    async def address() -> str:
        return f"ws://127.0.0.1:{server.port}"

    told = options.setdefault("told", [])
    del options["told"]
    return Ears(address, source, tell=told.append, **options)


def deaf_engine() -> ScriptedEngine:
    """Return an engine that answers no questions."""
    engine = ScriptedEngine()
    engine.info = replace(engine.info, prompted_tasks=(), answers_questions=False)
    return engine


async def report(heard_s, doing) -> None:
    """Tell nobody."""


def texts(segments):
    return [segment.text for segment in segments]


async def test_a_stretch_returns_what_was_said_in_it(source):
    async with running() as server, ears_of(server, source) as ears:
        first = await ears.listen(0.7, None, report)
        second = await ears.listen(0.3, None, report)
        assert texts(first.segments) == ["1 2", "3"]
        assert texts(second.segments) == ["1 2"]
        assert texts(ears.heard.transcript()) == ["1 2", "3", "1 2"]
        assert first.span.end_s - first.span.start_s == pytest.approx(0.7)
        assert second.span.start_s >= first.span.end_s
        assert len(server.hub.streams) == 1


async def test_speech_that_goes_on_at_the_end_of_a_stretch_is_ended_there(source):
    async with running() as server, ears_of(server, source) as ears:
        first = await ears.listen(0.1, None, report)
        second = await ears.listen(0.1, None, report)
        assert texts(first.segments) == ["1"]
        assert texts(second.segments) == ["2"]


async def test_a_person_is_told_and_reports_come_while_it_listens(source):
    told, reports = [], []

    async def keep(heard_s, doing) -> None:
        reports.append(doing)

    async with running() as server, ears_of(server, source, told=told) as ears:
        await ears.listen(0.2, None, keep)
    name = source._name
    assert told == [
        f"listening to {name} for 0.2 s: a tool asked for it",
        "no longer listening; 0.2 s were heard",
    ]
    assert reports == ["waiting for the server", f"listening to {name}"]


async def test_a_question_is_about_the_last_seconds_that_were_heard(source):
    async with running() as server, ears_of(server, source) as ears:
        with pytest.raises(NothingHeardError):
            await ears.ask("what?", 5.0)
        await ears.listen(0.7, None, report)
        about = await ears.ask("what?", 0.3)
        assert about.answer.text == "what? 3"
        assert (about.span.start_s, about.span.end_s) == (0.4, 0.7)
        await ears.listen(0.2, None, report)
        about = await ears.ask("what?", 0.5)
        assert about.answer.text == "what? 3 1 2"
        assert about.span.start_s == 0.4


async def test_a_server_that_answers_no_questions_says_so_in_its_own_words(source):
    async with (
        running(engine=deaf_engine()) as server,
        ears_of(server, source) as ears,
    ):
        await ears.listen(0.2, None, report)
        with pytest.raises(QuestionError, match="no prompt 'what\\?'") as info:
            await ears.ask("what?", 1.0)
        assert info.value.code == "unsupported"
        assert texts((await ears.listen(0.4, None, report)).segments) == ["3"]


async def test_one_call_listens_at_a_time():
    source = Silent()
    async with running() as server, ears_of(server, source) as ears:
        listening = asyncio.create_task(ears.listen(60, None, report))
        await source.opened.wait()
        assert ears.listens_to == "Silent"
        with pytest.raises(BusyError, match="listening to Silent already, for another"):
            await ears.listen(1, None, report)
        source.stop()
        assert (await listening).note == "the audio ended after 0.0 s"
        assert ears.listens_to is None


async def test_a_call_that_is_cancelled_closes_the_device_and_keeps_what_was_heard(
    source,
):
    told = []
    async with running() as server, ears_of(server, source, told=told) as ears:
        listening = asyncio.create_task(ears.listen(60, None, report))
        async with asyncio.timeout(DEADLINE_S):
            while not ears.heard.transcript(0.3):
                await server.get("/health")
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        heard = await ears.listen(60, None, report)  # the rest of the file
        assert texts(ears.heard.transcript())[:2] == ["1 2", "3"]
        assert heard.note.startswith("the audio ended after 1.")
        assert told[1].startswith("no longer listening")


async def test_leaving_closes_the_device():
    source = Silent()
    async with running() as server:
        async with ears_of(server, source) as ears:
            listening = asyncio.create_task(ears.listen(60, None, report))
            await source.opened.wait()
        assert not source.is_open
        with pytest.raises(asyncio.CancelledError):
            await listening


async def test_a_device_that_gives_nothing_is_closed_after_its_time(monkeypatch):
    monkeypatch.setattr("clients.mcp.ears.STALL_S", 0.1)
    source = Silent()
    async with running() as server, ears_of(server, source) as ears:
        problem = r"microphone 'Silent': it gave 0\.0 s of audio in 0\.1 s"
        with pytest.raises(DeviceError, match=problem):
            await ears.listen(0.1, None, report)
        assert not source.is_open


async def test_a_device_that_fails_is_told_and_the_next_call_listens_again(source):
    breaking = Silent(first=speak(7, samples=3_200), breaks=True)
    async with running() as server, ears_of(server, breaking) as ears:
        with pytest.raises(DeviceError, match="it stopped by itself"):
            await ears.listen(1.0, None, report)
        ears.source = source
        assert texts((await ears.listen(0.3, None, report)).segments) == ["1 2"]
        assert texts(ears.heard.transcript()) == ["7", "1 2"]  # not joined


async def test_a_segment_that_the_model_fails_on_says_so(tmp_path):
    path = write_wav(tmp_path / "a.wav", speak(UNKNOWN, 0, 0, 1, 0, samples=3_200))
    async with running() as server, ears_of(server, FileInput(path)) as ears:
        heard = await ears.listen(1.0, None, report)
        assert [(s.text, s.problem) for s in heard.segments] == [
            ("", "an unknown word"),
            ("1", None),
        ]


async def test_who_speaks_is_told_with_the_text(tmp_path):
    path = write_wav(tmp_path / "a.wav", speak(1, 21, 0, 0, 2, 0, 0, samples=3_200))
    async with (
        running() as server,
        ears_of(server, FileInput(path), speakers=4) as ears,
    ):
        heard = await ears.listen(1.4, None, report)
        assert [(s.speaker, s.text) for s in heard.segments] == [
            ("speaker 1", "1"),
            ("speaker 2", "21"),
            ("speaker 1", "2"),
        ]
        assert heard.segments[1].start_s == pytest.approx(0.2, abs=0.1)


async def test_speakers_that_cannot_be_told_leave_the_text(source):
    engine = ScriptedEngine()
    engine.is_deaf = True
    async with (
        running(engine=engine) as server,
        ears_of(server, source, speakers=4) as ears,
    ):
        heard = await ears.listen(0.7, None, report)
        assert [(s.speaker, s.text) for s in heard.segments] == [
            (None, "1 2"),
            (None, "3"),
        ]


async def test_no_server_is_told_and_nothing_is_captured():
    source = Silent()

    async def address() -> str:
        return "ws://127.0.0.1:9"

    async with Ears(address, source, tell=print) as ears:
        with pytest.raises(UnreachableError, match="no server answers at ws://127"):
            await ears.listen(1.0, None, report)
        assert not source.opened.is_set()


async def test_a_token_that_is_wrong_is_told(source):
    auth = AuthConfig(tokens=("right",))
    async with running(auth=auth) as server:
        async with ears_of(server, source, token="wrong") as ears:
            with pytest.raises(RefusedError, match="the token is not known here"):
                await ears.listen(0.1, None, report)
        async with ears_of(server, source, token="right") as ears:
            assert texts((await ears.listen(0.3, None, report)).segments) == ["1 2"]


async def test_a_server_that_dies_ends_the_call_and_another_can_be_listened_with(
    source,
):
    told, ports = [], []

    async def address() -> str:
        return f"ws://127.0.0.1:{ports[-1]}"

    silent = Silent()
    async with Ears(address, silent, tell=told.append, give_up_s=0.3) as ears:
        async with running() as server:
            ports.append(server.port)
            listening = asyncio.create_task(ears.listen(1.0, None, report))
            await silent.opened.wait()
        silent.stop()
        with pytest.raises(DroppedError, match="gave up after"):
            await listening
        assert not silent.is_open
        with pytest.raises(DroppedError):
            await ears.ask("what?", 1.0)
        ears.source = source
        async with running() as server:
            ports.append(server.port)
            heard = await ears.listen(0.3, None, report)
            assert texts(heard.segments) == ["1 2"]
            assert heard.span.start_s > 0.3


async def test_a_question_that_nobody_waits_for_is_cancelled(source):
    engine = ScriptedEngine()
    async with running(engine=engine) as server, ears_of(server, source) as ears:
        await ears.listen(0.2, None, report)
        engine.free.clear()
        engine.busy.clear()
        asking = asyncio.create_task(ears.ask("a b c", 0.2))
        await asyncio.to_thread(engine.busy.wait, DEADLINE_S)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        engine.free.set()
        await server.until(lambda: engine.num_replies == 0)
        assert (await ears.ask("d", 0.2)).answer.text == "d 1 2"
