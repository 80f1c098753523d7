"""What a worker notes of its pieces, read back."""

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.api import UtteranceOptions
from stream.capacity.worklog import WORKER, WorkLog, read_work
from stream.jobs import (
    Action,
    Finished,
    HearAudio,
    MakeFinal,
    OpenUtterance,
    TryFinal,
)
from stream.metrics import Metrics
from stream.worker import Worker
from tests.fakes.engine import ScriptedEngine, speak
from tests.fakes.server import DEADLINE_S


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "work.jsonl"
    handler, logger = WorkLog(path), logging.getLogger(WORKER)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield path
    logger.removeHandler(handler)
    logger.setLevel(level)
    handler.close()


async def final_of(worker, delivered, *jobs):
    worker.add("session", jobs)
    async with asyncio.timeout(DEADLINE_S):
        while not isinstance(await delivered.get(), Finished):
            pass


async def test_what_a_worker_did_comes_back_with_what_each_piece_was_about(log):
    delivered = asyncio.Queue()
    with ThreadPoolExecutor(1) as thread:
        worker = Worker(ScriptedEngine(), thread, Metrics())
        running = asyncio.create_task(
            worker.run(lambda _, result: delivered.put_nowait(result))
        )
        await final_of(
            worker,
            delivered,
            OpenUtterance(1, UtteranceOptions(), partials=True),
            HearAudio(1, speak(1, 2)),
            TryFinal(1),
            HearAudio(1, speak(3)),
            MakeFinal(1),
        )
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    pieces = read_work(log.read_text().splitlines())
    assert pieces[-1].action is Action.FINAL
    assert pieces[-1].heard_s == pytest.approx(0.9)
    assert all(piece.took_s > 0 for piece in pieces)


def line(action, samples, took_s=0.1, segment=1):
    return f'["abcdef", {segment}, "{action}", {samples}, 0.0, {took_s}]'


def test_new_is_what_no_partial_has_read():
    first, second, third = read_work(
        [line("PARTIAL", 8_000), line("HEAR", 16_000), line("FINAL", 8_000)]
    )
    assert (first.heard_s, first.new_s) == (0.5, 0.5)
    assert (second.heard_s, second.new_s) == (1.5, 1.0)
    assert (third.heard_s, third.new_s) == (2.0, 1.5)


def test_a_final_is_ready_from_the_pause_unless_audio_came_since():
    lines = [line("EARLY_FINAL", 8_000), line("FINAL", 0)]
    lines += [line("EARLY_FINAL", 8_000, segment=2), line("FINAL", 8_000, segment=2)]
    assert [piece.is_ready for piece in read_work(lines)] == [False, True, False, False]
