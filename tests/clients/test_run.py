import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clients.errors import AudioSourceError, ClientError, UnreachableError
from clients.options import Options, Outputs
from clients.run import INTERRUPTED, caption, exit_code, stopped_by_signals
from stream.audio import PcmFormat
from tests.clients.scripted_server import ScriptedServer, checksum
from tests.fakes.engine import ScriptedEngine
from tests.fakes.server import TALK, running

SECOND = bytes(16_000)
FULL = Path("/dev/full")


class ScriptedSource:
    """Yields a second of silence after another, until it is stopped."""

    def __init__(self, num_pieces: int | None, *, is_live: bool = True) -> None:
        self.name = "a.wav"
        self.format = PcmFormat(rate=8000)
        self.is_live = is_live
        self.max_held_s = 60.0
        self.num_left = num_pieces
        self.stopped = asyncio.Event()
        self.spoken = asyncio.Event()

    async def pieces(self):
        while self.num_left is None or self.num_left:
            if self.stopped.is_set():
                return
            yield SECOND
            self.spoken.set()
            if self.num_left is None:
                await self.stopped.wait()
            else:
                self.num_left -= 1

    def stop(self) -> None:
        self.stopped.set()


class BrokenSource(ScriptedSource):
    async def pieces(self):
        yield SECOND
        raise AudioSourceError("a.wav", "damaged")


async def run(source, *, fails: bool = False) -> bool:
    async with ScriptedServer(fails=fails) as server:
        options = Options(url=server.url)
        with Outputs(options) as outputs:
            return await caption(source, options, outputs)


async def test_a_source_is_heard_to_its_end_and_its_text_shown(capsys):
    assert await run(ScriptedSource(2))
    text = checksum(SECOND)
    assert capsys.readouterr().out == f"[0.0–1.0] {text}\n[1.0–2.0] {text}\n"


class Talk(ScriptedSource):
    """Says 1 2, and 3."""

    async def pieces(self):
        self.format = PcmFormat()
        for first in range(0, len(TALK), 16_000):  # half a second
            yield TALK[first : first + 16_000]


@pytest.mark.parametrize(
    ("every_s", "times"),
    [(None, ["0.0–2.1"]), (1.0, ["0.0–1.0", "0.0–2.0", "0.0–2.1"])],
)
async def test_questions_are_asked_at_the_end_or_again_and_again(
    every_s, times, capsys
):
    async with running() as server:
        options = Options(
            url=f"ws://127.0.0.1:{server.port}/v1/stream",
            asks=("what?",),
            every_s=every_s,
        )
        source = Talk(None)
        source.format = PcmFormat()
        with Outputs(options) as outputs:
            assert await caption(source, options, outputs)
    told = [line for line in capsys.readouterr().out.splitlines() if "→" in line]
    assert [line[1:8] for line in told] == times
    assert told[-1].endswith("what? → what? 1 2 3")


class Noting(ScriptedEngine):
    """Keeps the prompts that it was asked about."""

    def __init__(self):
        super().__init__()
        self.prompts = []

    def check_prompt(self, prompt):
        super().check_prompt(prompt)
        self.prompts.append(prompt)


async def test_questions_are_asked_with_the_temperature_that_was_wished():
    engine = Noting()
    async with running(engine=engine) as server:
        url = f"ws://127.0.0.1:{server.port}/v1/stream"
        options = Options(url=url, asks=("what?",), temperature=0.7)
        source = Talk(None)
        source.format = PcmFormat()
        with Outputs(options) as outputs:
            assert await caption(source, options, outputs)
    asked = {prompt.temperature for prompt in engine.prompts if prompt.text == "what?"}
    assert asked == {0.7}


async def test_a_segment_without_an_answer_is_no_success(capsys):
    assert not await run(ScriptedSource(1), fails=True)
    assert "segment 1: out of order" in capsys.readouterr().err


async def test_an_error_of_the_source_ends_the_run():
    with pytest.raises(ExceptionGroup) as info:
        await run(BrokenSource(None))
    assert isinstance(info.value.exceptions[0], AudioSourceError)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_ends_the_source_and_what_was_spoken_is_answered(
    number, capsys
):
    source = ScriptedSource(None)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run(source))
        await source.spoken.wait()
        os.kill(os.getpid(), number)
    assert running.result()
    assert checksum(SECOND) in capsys.readouterr().out


async def test_the_second_interrupt_is_nobodys_but_pythons():
    before = signal.getsignal(signal.SIGINT)
    with stopped_by_signals(lambda: None):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("live", [True, False])
async def test_latencies_are_shown_only_where_they_mean_anything(live, tmp_path):
    path = tmp_path / "a.jsonl"
    async with ScriptedServer() as server:
        options = Options(url=server.url, json=str(path))
        with Outputs(options) as outputs:
            await caption(ScriptedSource(1, is_live=live), options, outputs)
    assert ('"latency_s": null, "language": "en"' in path.read_text()) is not live


async def test_a_server_that_does_not_keep_up_is_told_once(monkeypatch, capsys):
    monkeypatch.setattr("clients.latency.BEHIND_S", 0.0)
    async with ScriptedServer() as server:
        options = Options(url=server.url)
        with Outputs(options) as outputs:
            await caption(ScriptedSource(3), options, outputs)
    assert capsys.readouterr().err == "the server is 0 s behind what it was sent\n"


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (True, 0, ""),
        (False, 1, ""),
        (UnreachableError("ws://a", "refused"), 1, "p: no server answers at ws://a"),
        (ExceptionGroup("", [ClientError("one"), ClientError("two")]), 1, "p: one\n"),
        (KeyboardInterrupt(), INTERRUPTED, ""),
    ],
    ids=["answered", "not answered", "an error", "errors", "interrupted"],
)
def test_exit_codes(outcome, code, said, capsys):
    async def main() -> bool:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    assert exit_code(main(), program="p") == code
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert err.count("\n") == (1 if said else 0)


FULL_STDOUT = """
import asyncio, sys
from clients.run import exit_code

async def main():
    async with asyncio.TaskGroup():
        print("text", flush=True)

sys.exit(exit_code(main(), program="p"))
"""


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux's /dev/full")
def test_a_standard_output_that_takes_no_more_is_one_sentence():
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", FULL_STDOUT],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b"p: standard output: No space left on device\n"
