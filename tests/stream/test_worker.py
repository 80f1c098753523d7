"""The engine thread: what it measures, and what a failure leaves behind."""

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.api import UtteranceOptions
from stream.jobs import (
    Failed,
    Finished,
    HearAudio,
    Heard,
    MakeFinal,
    OpenUtterance,
    TryFinal,
)
from stream.metrics import Metrics
from stream.worker import Worker
from tests.fakes.engine import CRASH, ScriptedEngine, speak
from tests.fakes.server import DEADLINE_S

OPTIONS = UtteranceOptions()


class Bench:
    """A worker that runs, and what it delivered."""

    def __init__(self, thread):
        self.engine, self.metrics, self.now = ScriptedEngine(), Metrics(), 0.0
        self.delivered = asyncio.Queue()
        self.worker = Worker(self.engine, thread, self.metrics, clock=lambda: self.now)

    def add(self, *jobs):
        self.worker.add("session", jobs)

    def deliver(self, name, result):
        self.delivered.put_nowait(result)

    async def result(self):
        """Return the next result that says something."""
        async with asyncio.timeout(DEADLINE_S):
            while (result := await self.delivered.get()) is None:
                pass
        return result

    def figure(self, name):
        for line in self.metrics.render().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise KeyError(name)


@pytest.fixture
async def bench():
    with ThreadPoolExecutor(1) as thread:
        bench = Bench(thread)
        running = asyncio.create_task(bench.worker.run(bench.deliver))
        yield bench
        bench.engine.free.set()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def begin(segment, audio):
    return [OpenUtterance(segment, OPTIONS, True), HearAudio(segment, audio)]


async def test_partials_and_finals_come_back(bench):
    bench.add(*begin(1, speak(1, 2)))
    partial = await bench.result()
    assert isinstance(partial, Heard)
    assert partial.samples == 9_600
    bench.add(HearAudio(1, speak(3)), MakeFinal(1))
    final = await bench.result()
    assert isinstance(final, Finished)
    assert final.hypotheses[0].text == "1 2 3"
    assert bench.engine.num_open == 0


async def test_a_final_after_a_pause_does_not_void_the_early_final(bench):
    bench.add(*begin(1, speak(1)), TryFinal(1))
    async with asyncio.timeout(DEADLINE_S):
        assert await bench.delivered.get() is None
    bench.add(MakeFinal(1))
    assert (await bench.result()).hypotheses[0].text == "1"
    assert bench.engine.num_pushes == 1


async def test_a_crash_is_logged_once_and_ends_only_its_segment(bench, caplog):
    bench.add(*begin(1, speak(CRASH)), MakeFinal(1), *begin(2, speak(1)), MakeFinal(2))
    failed, final = await bench.result(), await bench.result()
    assert isinstance(failed, Failed)
    assert (failed.code, "bug" in failed.message) == ("internal", False)
    assert final.hypotheses[0].text == "1"
    assert bench.engine.num_open == 0
    assert [r.levelno for r in caplog.records].count(logging.ERROR) == 1
    assert bench.figure("salmonn_segment_failures_total") == 1


async def test_what_a_session_left_behind_is_freed(bench):
    bench.add(*begin(1, speak(1, 2)))
    await bench.result()
    assert bench.engine.num_open == 1
    bench.worker.cancel("session")
    async with asyncio.timeout(DEADLINE_S):
        await bench.delivered.get()
    assert bench.engine.num_open == 0


async def test_a_session_that_leaves_while_it_is_served_is_freed_too(bench):
    bench.engine.free.clear()
    bench.add(*begin(1, speak(1, 2)))
    assert await asyncio.to_thread(bench.engine.busy.wait, DEADLINE_S)
    bench.worker.cancel("session")
    bench.engine.free.set()
    async with asyncio.timeout(DEADLINE_S):
        assert await bench.delivered.get() is None
    assert bench.engine.num_open == 0


async def test_what_was_done_for_a_session_that_left_is_not_told_the_next_of_its_name(
    bench,
):
    bench.engine.free.clear()
    bench.add(*begin(1, speak(1, 2)), MakeFinal(1))
    assert await asyncio.to_thread(bench.engine.busy.wait, DEADLINE_S)
    bench.worker.cancel("session")
    bench.add(*begin(1, speak(3)))
    bench.engine.free.set()
    heard = await bench.result()
    assert (type(heard), heard.samples) == (Heard, 4_800)
    bench.add(MakeFinal(1))
    assert (await bench.result()).hypotheses[0].text == "3"


async def test_latencies_are_measured_from_the_right_moments(bench, caplog):
    caplog.set_level(logging.INFO)
    bench.now = 10.0
    bench.engine.free.clear()
    bench.add(*begin(1, speak(1, 2)))
    assert await asyncio.to_thread(bench.engine.busy.wait, DEADLINE_S)
    bench.now = 10.5
    bench.engine.free.set()
    await bench.result()
    bench.now = 12.0
    bench.add(MakeFinal(1))
    await bench.result()
    assert bench.figure("salmonn_ttft_seconds_sum") == 0.5
    assert bench.figure("salmonn_final_latency_seconds_sum") == 0.0
    assert bench.figure("salmonn_real_time_factor_sum") == pytest.approx(0.5 / 0.6)
    assert bench.figure("salmonn_audio_seconds_total") == pytest.approx(0.6)
    (line,) = [r for r in caplog.records if r.name == "stream.timings"]
    assert (line.session, line.segment) == ("sessio", 1)
    assert line.message == (
        "0.60 s of audio, real-time factor 0.83, "
        "first text after 0.50 s, final 0.00 s after its end"
    )


async def test_the_warm_up_runs_in_the_engine_thread(bench):
    await bench.worker.warm_up()
    assert bench.engine.is_warm
