"""The keyboard of a real program, on a real pseudo terminal, beside a real server."""

import asyncio
import contextlib
import signal
import sys

import pytest
import soundfile

from stream.audio import SAMPLE_RATE, to_float
from tests.clients.pseudo_terminal import DEADLINE_S, running_on_terminal
from tests.fakes.engine import speak
from tests.fakes.process import serving

pytestmark = pytest.mark.slow

WORDS = [700, 701, 0, 702, 703, 0]


@pytest.fixture
def talk(tmp_path):
    """Return a file that says a word after another for a minute."""
    path = tmp_path / "talk.wav"
    pcm = speak(*WORDS * 50, samples=4_800)
    soundfile.write(path, to_float(pcm), SAMPLE_RATE, subtype="PCM_16")
    return path


@contextlib.asynccontextmanager
async def listening(folder, *arguments):
    async with (
        serving(folder) as address,
        running_on_terminal(
            *(sys.executable, "-m", "clients.file", "--url", f"ws://{address}"),
            *map(str, arguments),
        ) as (terminal, process),
    ):
        yield terminal, process


async def code_of(process):
    async with asyncio.timeout(DEADLINE_S):
        return await process.wait()


async def test_keys_ask_mark_pause_and_quit(tmp_path, talk):
    saved = tmp_path / "talk.vtt"
    async with listening(tmp_path, talk, "--save", saved) as (terminal, process):
        before = terminal.settings
        await terminal.until("█")
        assert terminal.settings != before
        await terminal.until("] 700 701")
        terminal.press("m")
        await terminal.until("mark 1")
        terminal.press("awhat is it?")
        await terminal.until("ask: what is it?")
        terminal.press("\n")
        await terminal.until("what is it? → what is it? 700")
        terminal.press("p")
        await terminal.until("paused")
        terminal.press(" ")
        await terminal.until("█")
        terminal.press("q")
        assert await code_of(process) == 1  # a file that was not heard to its end
        assert terminal.settings == before
    text = saved.read_text()
    assert "[mark 1]" in text
    assert text.index("700 701") < text.index("[mark 1]")


async def test_while_it_is_paused_nothing_is_heard_and_nothing_is_lost(tmp_path):
    path, pcm = tmp_path / "talk.wav", speak(*[700, 0, 701, 0, 702, 0] * 2)
    soundfile.write(path, to_float(pcm), SAMPLE_RATE, subtype="PCM_16")
    saved = tmp_path / "talk.jsonl"
    async with listening(tmp_path, path, "--save", saved) as (terminal, process):
        await terminal.until("█")
        terminal.press("p")
        await terminal.until("paused")
        for _ in range(20):  # 0.1 s apart: the file would have ended
            await terminal.until("paused     0:00")
        terminal.press("p")
        assert await code_of(process) == 0
    heard = " ".join(line.split('"text": "')[1].split('"')[0] for line in lines(saved))
    assert list(dict.fromkeys(heard.split())) == ["700", "701", "702"]


def lines(path):
    return path.read_text().splitlines()


async def test_a_second_quit_does_not_wait(tmp_path, talk):
    async with listening(tmp_path, talk) as (terminal, process):
        before = terminal.settings
        await terminal.until("█")
        terminal.press("qq")
        assert await code_of(process) in (1, 130)
        assert terminal.settings == before


async def test_an_interrupt_leaves_the_terminal_as_it_was(tmp_path, talk):
    async with listening(tmp_path, talk) as (terminal, process):
        before = terminal.settings
        await terminal.until("█")
        process.send_signal(signal.SIGINT)
        assert await code_of(process) == 1
        assert terminal.settings == before


async def test_who_wants_json_gets_no_keys_and_no_panel(tmp_path, talk):
    target = tmp_path / "events.jsonl"
    async with listening(tmp_path, talk, "--json", target) as (terminal, _):
        before = terminal.settings
        await terminal.until("700")
        assert terminal.settings == before
        assert "█" not in terminal.shown
        assert "a ask" not in terminal.shown
