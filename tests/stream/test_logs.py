"""The log: its two forms, and that no client's words or sound are in it."""

import asyncio
import base64
import json
import logging

import pytest
from websockets.asyncio.client import connect
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event

from stream.events import AnswerStarted, Error, Final
from stream.logs import JsonFormatter, TextFormatter
from stream.protocols.channel import ConnectionLogger
from tests.fakes.engine import CRASH, speak
from tests.fakes.process import started
from tests.fakes.server import DEADLINE_S, Client

SAID = (24_247, 31_337)
"""Words: what the scripted engine hears, in digits, is in no count of samples."""
AUDIO = speak(*SAID, 0, 0)
SECRET = "kingfisher"
"""A word of everything that clients write here."""


def line(formatter, message, *arguments, error=None, **about):
    """Return how a line is written."""
    record = logging.getLogger("stream.hub").makeRecord(
        *("stream.hub", logging.INFO, "hub.py", 1, message, arguments),
        (type(error), error, error.__traceback__) if error else None,
        extra=about,
    )
    return formatter.format(record)


def test_a_line_for_people_says_what_it_is_about_before_and_a_code_behind():
    written = line(TextFormatter(), "%d heard", 3, connection=7, session="4fQ9aZ")
    assert written.endswith("INFO stream.hub: connection 7, session 4fQ9aZ: 3 heard")
    written = line(TextFormatter(), "refused", connection=7, code="protocol")
    assert written.endswith("INFO stream.hub: connection 7: refused (protocol)")
    assert line(TextFormatter(), "ready").endswith("INFO stream.hub: ready")


def test_a_line_for_programs_is_one_object_of_named_values():
    written = line(JsonFormatter(), "a\n%s", "b", connection=7, code="limit")
    assert "\n" not in written
    told = json.loads(written)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "info",
        "logger": "stream.hub",
        "message": "a\nb",
        "connection": 7,
        "code": "limit",
    }


def test_a_connection_is_named_beside_what_else_a_line_is_about(caplog):
    caplog.set_level(logging.INFO)
    logger = ConnectionLogger(logging.getLogger("stream.test"))
    logger.info("heard", extra={"session": "4fQ9aZ"})
    (record,) = caplog.records
    assert record.session == "4fQ9aZ"
    assert record.connection == logger.extra["connection"]


def failed():
    """Return an error with a cause, in a group, as a traceback would tell it."""
    try:
        try:
            int(SECRET)
        except ValueError as exc:
            raise OSError(28, "No space left on device") from exc
    except OSError as exc:
        return ExceptionGroup(SECRET, [exc])


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_an_exception_is_told_by_types_and_places_and_not_by_what_it_quotes(formatter):
    written = line(formatter, "failed", error=failed())
    assert SECRET not in written
    assert written.index("builtins.ValueError") < written.index("which led to")
    assert "in failed" in written
    assert "builtins.OSError: [Errno 28] No space left on device" in written
    assert "builtins.ExceptionGroup" in written


async def talk_natively(address):
    """Speak, ask, crash the engine, and send what is wrong: late, and at first."""
    url = f"ws://{address}/v1/stream"
    async with connect(url, proxy=None) as socket:
        client = Client(socket)
        await client.start()
        await socket.send(AUDIO)
        final = await client.until(Final)
        assert final.text == " ".join(map(str, SAID))
        await client.say({"type": "ask", "id": "1", "text": f"Is it a {SECRET}?"})
        await client.until(AnswerStarted)
        await socket.send(speak(CRASH, 0, 0))
        assert (await client.until(Error)).segment == 2
        await client.say({"type": "ask", "id": SECRET, SECRET: SECRET})
        events, code = await client.rest()
        assert SECRET in events[-1].message
        assert code == 1002
    async with connect(url, proxy=None) as socket:
        client = Client(socket)
        await client.say(f"{SECRET} {SECRET}")
        (error,), _ = await client.rest()
        assert SECRET in error.message


async def talk_as_home_assistant(address):
    """Speak, ask, and send what is wrong."""
    host, _, port = address.partition(":")
    async with AsyncTcpClient(host, int(port)) as client:
        for event in (
            AudioStart(16_000, 2, 1),
            AudioChunk(16_000, 2, 1, AUDIO),
            AudioStop(),
            Transcript(f"Is it a {SECRET}?"),
        ):
            await client.write_event(event.event())
        while (await client.read_event()).type != "handled-stop":
            pass
        await client.write_event(Event(SECRET))
        await client.write_event(Event("transcript", {"text": [SECRET]}))
        error = await client.read_event()
        assert SECRET in error.data["text"]


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_word_and_no_sound_of_a_client_is_logged_at_any_level(form, tmp_path):
    arguments = ("--log-level", "debug", "--log-format", form, "--wyoming-port", "0")
    async with (
        started(tmp_path, *arguments, num_ports=2) as served,
        asyncio.timeout(DEADLINE_S),
    ):
        native, wyoming = served.addresses
        await talk_natively(native)
        await talk_as_home_assistant(wyoming)
    log = served.log
    sound = AUDIO[:24]
    for secret in (
        *(SECRET, *map(str, SAID), sound.hex()),
        *(base64.b64encode(sound).decode(), repr(sound)[2:-1]),
    ):
        assert secret not in log
    lines = log.splitlines()
    if form == "json":
        told = [json.loads(one) for one in lines]
        assert all({"time", "level", "logger", "message"} <= one.keys() for one in told)
        codes = {one["code"] for one in told if "code" in one}
        connections = {one["connection"] for one in told if "connection" in one}
        assert codes == {"protocol"}
        assert connections == {1, 2, 3}
        assert any("ZeroDivisionError" in one.get("traceback", "") for one in told)
    else:
        assert sum(one.endswith(": refused (protocol)") for one in lines) == 2
        assert "builtins.ZeroDivisionError\n" in log
