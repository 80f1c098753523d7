"""The engine on a Ray cluster of this machine, beside the same engine in this process.

    the way     one session at the speed of speech, by turns on each: how late the first
                text of a segment and its final are, and by how much more
    the kill    ten utterances at two replicas, one of which is killed in their middle:
                their finals beside those that nobody disturbed

Ray runs for this command alone, and is gone behind it.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ray import serve

from clients.client import connect
from clients.paced import paced
from engine.api import Samples, UtteranceOptions
from engine.benchmarks.statistics import quantiles
from engine.config import RayConfig
from engine.ray import APPLICATION, RayEngine, deployment
from stream.audio import SAMPLE_RATE, to_float
from stream.events import Final, Partial
from tests import local_ray
from tests.trust_setup import Outcome, Setup, pieces, say, url_of

UTTERANCES = 10
UTTERANCE_S = 4
REPLICAS = 2
PLACE_S = 60.0
STEP = 5_440  # samples from one partial to the next


@dataclass
class Late:
    """How late text was, in seconds."""

    first_s: list[float] = field(default_factory=list)
    """From the start of a segment to its first text."""
    final_s: list[float] = field(default_factory=list)
    """From when the end of a segment was sent to its final."""
    texts: list[str] = field(default_factory=list)


async def run(setup: Setup, *, seconds: float, rounds: int) -> Outcome:
    """Measure the way, then kill."""
    audio = setup.reading(seconds)
    here, there = Late(), Late()
    async with cluster():
        engine = await asyncio.to_thread(replicas, setup.load, 1)
        for _ in range(rounds):
            for late, heard_by in ((here, setup.engine), (there, engine)):
                async with setup.server(heard_by) as server:
                    await _listen(url_of(server), audio, late)
        await asyncio.to_thread(engine.close)
        killed = await asyncio.to_thread(_kill, setup)
    rows = [_row("first text, s", here.first_s, there.first_s)]
    rows += [_row("final, s", here.final_s, there.final_s), *killed.rows]
    problems = list(killed.problems)
    if here.texts != there.texts:
        problems.append("the finals through Ray are not those of this process")
    columns = ["here p50", "p95", "Ray p50", "p95", "ratio p50", "p95"]
    return Outcome(columns, rows, problems)


def _row(name: str, here: list[float], there: list[float]) -> list[Any]:
    near, far = quantiles(here, of=name), quantiles(there, of=name)
    found = [near.p50, near.p95, far.p50, far.p95]
    ratios = [far.p50 / near.p50, far.p95 / near.p95]
    return [name, *(round(one, 3) for one in found), *(round(r, 2) for r in ratios)]


@asynccontextmanager
async def cluster() -> AsyncIterator[None]:
    """Run Ray on this machine meanwhile; its calls must not stand in an event loop."""
    await asyncio.to_thread(local_ray.start)
    try:
        yield
    finally:
        await asyncio.to_thread(local_ray.stop)


async def run_on(
    setup: Setup,
    count: int,
    places: int,
    run: Callable[[Setup], Coroutine[Any, Any, Outcome]],
) -> Outcome:
    """Run something else on so many replicas, each with so many places."""
    async with cluster():
        engine = await asyncio.to_thread(replicas, setup.load, count, places)
        outcome = await run(replace(setup, engine=engine))
        await asyncio.to_thread(engine.close)
    return outcome


def replicas(
    load: Callable[[], Any], count: int, places: int = 2 * UTTERANCES
) -> RayEngine:
    """Return an engine of so many replicas."""
    config = RayConfig(
        min_replicas=count,
        max_replicas=count,
        max_utterances=places,
        cpus=0.1,  # that both find a place, on however few processors
    )
    handle = serve.run(deployment(load, config), name=APPLICATION, route_prefix=None)
    return RayEngine(handle, config, ends_ray=False)


async def _listen(url: str, audio: bytes, late: Late) -> None:
    began = 0.0

    async def source() -> AsyncIterator[bytes]:
        nonlocal began
        began = time.monotonic()
        async for piece in paced(pieces(audio), bytes_per_second=2 * SAMPLE_RATE):
            yield piece

    told: set[int] = set()
    async with connect(url) as client, say(client, source()):
        async for arrival in client.arrivals():
            event = arrival.event
            if not isinstance(event, Partial | Final) or not event.text:
                continue
            if event.segment not in told:
                told.add(event.segment)
                passed_s = time.monotonic() - began
                late.first_s.append(passed_s - event.start / SAMPLE_RATE)
            if isinstance(event, Final):
                assert arrival.latency_s is not None, "a final is about audio"
                late.final_s.append(arrival.latency_s)
                late.texts.append(event.text)


@dataclass(frozen=True)
class Killed:
    """What the death of a replica did."""

    rows: list[list[Any]]
    problems: list[str]


def _kill(setup: Setup) -> Killed:
    length = UTTERANCE_S * SAMPLE_RATE
    audio = to_float(setup.reading(float(UTTERANCES * UTTERANCE_S + UTTERANCE_S)))
    clips = [audio[i * length : (i + 1) * length] for i in range(UTTERANCES)]
    engine = replicas(setup.load, REPLICAS)
    undisturbed, _, _ = _hear(engine, clips, kills=False)
    finals, kept, waited_s = _hear(engine, clips, kills=True)
    engine.close()
    same = sum(a == b for a, b in zip(undisturbed, finals, strict=True))
    blank = [""] * 5
    rows = [
        ["finals of 10 that a replica's death met", len(finals), *blank],
        ["… that begin with what was stable before", kept, *blank],
        ["… that are as if nobody had died", same, *blank],
        ["the longest wait for an answer, s", round(waited_s, 2), *blank],
    ]
    problems = []
    if kept != UTTERANCES:
        problems.append(f"{UTTERANCES - kept} finals took back stable text")
    if same != UTTERANCES:
        problems.append(f"{UTTERANCES - same} finals are others than undisturbed")
    return Killed(rows, problems)


def _hear(
    engine: RayEngine, clips: list[Samples], *, kills: bool
) -> tuple[list[str], int, float]:
    """Return the finals, how many keep what was stable, and the longest wait."""
    utterances = [engine.open(UtteranceOptions()) for _ in clips]
    stable = [""] * len(clips)
    half = len(clips[0]) // 2
    longest_s = 0.0
    for start in range(0, half, STEP):
        for index, (utterance, clip) in enumerate(zip(utterances, clips, strict=True)):
            utterance.push(clip[start : min(start + STEP, half)])
            (partial,) = utterance.partial()
            stable[index] = partial.text[: partial.stable]
    for utterance in utterances:
        begin = time.perf_counter()
        while not utterance.replica:  # a partial does not wait for one
            assert time.perf_counter() - begin < PLACE_S, "no replica has a place"
            utterance.partial()
    hearing = {utterance.replica for utterance in utterances}
    assert len(hearing) == REPLICAS, "a replica hears nothing"
    if kills:
        os.kill(int(min(hearing).rpartition(":")[2]), signal.SIGKILL)
    finals = []
    for utterance, clip in zip(utterances, clips, strict=True):
        utterance.push(np.ascontiguousarray(clip[half:]))
        begin = time.perf_counter()
        (final,) = utterance.final()
        longest_s = max(longest_s, time.perf_counter() - begin)
        utterance.close()
        finals.append(final.text)
    kept = sum(map(str.startswith, finals, stable))
    return finals, kept, longest_s
