import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clients.pcm import AudioFile
from tests.clients.pseudo_terminal import running_on_terminal
from tests.clients.scripted_server import ScriptedServer, expected_texts
from tests.clients.threaded_server import threaded_server
from tests.clients.virtual_microphone import NAME, need_portaudio, virtual_microphone

pytestmark = pytest.mark.end_to_end

DEMO = Path(__file__).parents[2] / "demo"
PROCESS_S = 60


@pytest.fixture
def speech() -> bytes:
    return next(AudioFile(DEMO / "jfk.ogg").pieces(2 * 16_000))


@pytest.fixture
def environment(tmp_path, speech):
    need_portaudio()
    with virtual_microphone(tmp_path, speech) as environment:
        yield environment


def start(environment: dict[str, str], *flags: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "clients.microphone", *flags],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finals(out: str) -> list[str]:
    events = map(json.loads, out.splitlines())
    return [event["text"] for event in events if event["type"] == "final"]


def spoken(server: ScriptedServer) -> list[str]:
    return expected_texts(bytes(server.audio), rate=16_000)


def test_a_microphone_is_listed(environment):
    with start(environment, "--list") as process:
        out, err = process.communicate(timeout=PROCESS_S)
    assert process.returncode == 0, err
    assert NAME in out


def test_what_is_spoken_is_heard_in_time_to_the_last_bit(environment, speech):
    begun_s = time.monotonic()
    flags = ("--device", NAME, "--seconds", "2.5", "--json", "-")
    with (
        threaded_server() as server,
        start(environment, "--url", server.url, *flags) as process,
    ):
        out, err = process.communicate(timeout=PROCESS_S)
    assert process.returncode == 0, err
    assert "16000 Hz, 1 channel" in err
    assert "lost" not in err
    assert len(server.audio) == 2.5 * 2 * 16_000
    assert speech in bytes(server.audio)
    assert finals(out) == spoken(server)
    assert time.monotonic() - begun_s > 2.2  # the feeder speaks no faster


def test_an_interrupt_ends_the_audio_and_the_last_finals_come(environment, speech):
    flags = ("--json", "-")
    with (
        threaded_server() as server,
        start(environment, "--url", server.url, *flags) as process,
    ):
        assert server.heard_in_thread.wait(PROCESS_S)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PROCESS_S)
    assert process.returncode == 0, err
    assert finals(out) == spoken(server)


async def test_keys_end_what_the_microphone_hears(environment, tmp_path):
    saved = tmp_path / "note.vtt"
    with threaded_server() as server:
        async with running_on_terminal(
            *(sys.executable, "-m", "clients.microphone"),
            *("--url", server.url, "--save", str(saved)),
            env=environment,
        ) as (terminal, process):
            await terminal.until("█")
            terminal.press("m")
            await terminal.until("mark 1")
            terminal.press("q")
            async with asyncio.timeout(PROCESS_S):
                assert await process.wait() == 0
    assert "[mark 1]" in saved.read_text()
