"""The demo with a server that keeps the protocol; tests/test_readme.py runs it whole.

What it starts here prints the address of a scripted server, as `salmonn-serve` would
print its own.
"""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clients.child import running_server
from clients.demo import Meter, demonstrate
from clients.errors import AudioSourceError, RefusedError, ServerStartError
from clients.run import INTERRUPTED
from tests.clients.events import STARTED, arrived, final, partial
from tests.clients.scripted_server import ScriptedServer

DEMO = Path(__file__).parents[2] / "demo"
PROCESS_S = 60
READY = """
import signal, sys
sys.stderr.write("a line of the log\\n")
print("listening on", sys.argv[1], flush=True)
signal.pause()
"""
NEVER_READY = "import signal; print('', end='', flush=True); signal.pause()"
FAILING = """
import sys
sys.stderr.write("the reason\\n")
sys.exit(3)
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


async def test_a_file_is_spoken_and_the_medians_are_told(capsys):
    async with ScriptedServer() as server:
        url = server.url
        assert await demonstrate([DEMO / "crow.ogg"], python(READY, url))
    out, err = capsys.readouterr()
    assert f"it listens on {url}" in out
    assert "so far …" in out
    assert "1 segment with words; medians:" in out
    assert err == ""


async def test_a_segment_without_an_answer_is_no_success():
    async with ScriptedServer(fails=True) as server:
        assert not await demonstrate([DEMO / "crow.ogg"], python(READY, server.url))


async def test_a_file_that_is_no_audio_is_told_before_a_server_is_started(tmp_path):
    started = tmp_path / "started"
    command = python("import sys; open(sys.argv[1], 'w')", str(started))
    with pytest.raises(AudioSourceError, match=r"README\.md: not audio"):
        await demonstrate([DEMO / "README.md"], command)
    assert not started.exists()


async def test_a_server_that_does_not_start_is_told_with_the_end_of_its_log(capsys):
    with pytest.raises(ServerStartError, match="it ended with exit code 3"):
        await demonstrate([DEMO / "crow.ogg"], python(FAILING))
    assert capsys.readouterr().err == "the server's log ends:\nthe reason\n"


async def test_the_log_is_shown_if_a_session_fails(capsys):
    async with ScriptedServer(status=404) as server:
        with pytest.raises(RefusedError):
            await demonstrate([DEMO / "crow.ogg"], python(READY, server.url))
    assert "a line of the log" in capsys.readouterr().err


async def test_leaving_stops_the_server(tmp_path):
    path = tmp_path / "pid"
    code = f"import os; open({str(path)!r}, 'w').write(str(os.getpid()))\n{READY}"
    async with running_server(python(code, "ws://a")) as url:
        assert url == "ws://a"
    with pytest.raises(ProcessLookupError):
        os.kill(int(path.read_text()), 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_the_server_starts_stops_it(number, tmp_path):
    path = tmp_path / "pid"
    os.mkfifo(path)
    served = f"import os; open({str(path)!r}, 'w').write(str(os.getpid()))\n"
    command = f"""
import sys
from clients import demo
demo.demonstrate.__defaults__ = ([sys.executable, "-c", {served + NEVER_READY!r}],)
sys.exit(demo.main([{str(DEMO / "crow.ogg")!r}]))
"""
    process = subprocess.Popen(python(command), stderr=subprocess.PIPE, text=True)
    server = int(path.read_text())  # waits until the server has said it
    process.send_signal(number)
    _, err = process.communicate(timeout=PROCESS_S)
    assert process.returncode == INTERRUPTED
    assert err == ""
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


async def test_an_interrupt_ends_the_speaking_and_what_was_spoken_is_answered(capsys):
    async with ScriptedServer() as server, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(
            demonstrate([DEMO / "jfk.ogg"] * 2, python(READY, server.url))
        )
        await server.heard.wait()
        os.kill(os.getpid(), signal.SIGINT)
    assert not running.result()
    out = capsys.readouterr().out
    assert "1 segment with words" in out
    assert out.count("as if it were spoken now") == 1


def test_the_meter_counts_from_the_start_of_a_segment_to_its_first_text():
    meter = Meter()
    meter.show(arrived(STARTED))
    meter.show(arrived(partial(""), 0.1))
    meter.show(arrived(partial("so"), 0.5))  # about 0.3 s to 4.2 s
    meter.show(arrived(partial("so far"), 0.9))
    meter.show(arrived(final("so far"), 0.25))
    assert meter.first_texts_s == pytest.approx([0.5 + 3.9])
    assert meter.finals_s == [0.25]


def test_a_segment_without_words_is_not_measured():
    meter = Meter()
    meter.show(arrived(STARTED))
    meter.show(arrived(final(""), 0.25))
    assert str(meter) == "no words were heard"
