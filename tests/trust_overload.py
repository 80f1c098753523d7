"""More and more who speak at once, until it is too much: what is kept, and what is not.

    1, 2, 4, 8, 16 clients   begin together and speak at the speed of speech
    newcomers                come meanwhile, again and again; each is let in, or told
                             why not

The scripted engine costs nothing, so it is made to: see `CostlyEngine`.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clients.client import connect
from clients.errors import RefusedError, ServerError
from clients.paced import paced
from engine.benchmarks.statistics import quantiles
from stream.audio import SAMPLE_RATE
from stream.config import LimitsConfig
from stream.events import Final, Partial
from tests.fakes.server import Running
from tests.trust_setup import Outcome, Setup, pieces, say, url_of

COST = 0.3
"""Seconds of computing for a second of speech: three at once are nearly too many."""
PARTIAL_S = 0.03
EMPTY_S = 600.0  # until all sessions of a level are gone
NUMBER = re.compile(r"\d+(\.\d+)?")


class CostlyEngine:
    """Passes all on to an engine that costs nothing, and takes time for it."""

    def __init__(self, engine: Any, cost: float) -> None:
        self._engine = engine
        self.cost = cost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def open(self, options: Any) -> "CostlyUtterance":
        return CostlyUtterance(self._engine.open(options), self.cost)


class CostlyUtterance:
    """One utterance."""

    def __init__(self, utterance: Any, cost: float) -> None:
        self._utterance = utterance
        self._cost = cost

    def __getattr__(self, name: str) -> Any:
        return getattr(self._utterance, name)

    def push(self, samples: Any) -> None:
        time.sleep(self._cost * len(samples) / SAMPLE_RATE)
        self._utterance.push(samples)

    def partial(self) -> Any:
        time.sleep(PARTIAL_S)
        return self._utterance.partial()


@dataclass(frozen=True)
class Heard:
    """What one client was told."""

    segments: list[tuple[int, int, int]]
    """Number, start and end of each final."""
    latencies_s: list[float]
    """Of the finals."""
    partials: int


@dataclass(frozen=True)
class Level:
    """What so many clients got."""

    clients: list[Heard]
    let_in: int
    """Newcomers."""
    refused: Counter[str]
    """What the others were told."""


async def run(
    setup: Setup,
    *,
    seconds: float,
    counts: Sequence[int],
    cost: float = COST,
    max_wait_s: float = LimitsConfig().max_wait_s,
) -> Outcome:
    """Let so many speak, one number after the other."""
    audio = setup.reading(seconds)
    engine = setup.engine
    if setup.name == "scripted":
        engine = CostlyEngine(engine, cost)
    async with setup.server(
        engine, max_wait_s=max_wait_s, max_sessions=2 * max(counts)
    ) as server:
        levels = [await _speak(server, audio, n, max_wait_s / 4) for n in counts]
    complete = [_complete(level, levels[0].clients[0]) for level in levels]
    partials = [sum(one.partials for one in level.clients) for level in levels]
    shown = [round(total / n, 1) for total, n in zip(partials, counts, strict=True)]
    late = [
        quantiles([s for one in level.clients for s in one.latencies_s], of="final")
        for level in levels
    ]
    asked = {
        "clients with all finals": complete,
        "partials of each": shown,
        "final, p50, s": [round(one.p50, 2) for one in late],
        "final, p95, s": [round(one.p95, 2) for one in late],
        "newcomers let in": [level.let_in for level in levels],
        "newcomers refused": [level.refused.total() for level in levels],
    }
    told = sum((level.refused for level in levels), Counter[str]())
    rows = [[name, *values] for name, values in asked.items()]
    rows += [[f"refused: {text}", *[""] * len(counts)] for text in told]
    problems = [
        f"{n - found} of {n} clients lack a final, or have others"
        for n, found in zip(counts, complete, strict=True)
        if found != n
    ]
    if not levels[-1].refused:
        problems.append(f"{counts[-1]} at once are not too many: nobody was refused")
    elif shown[-1] >= shown[0]:
        problems.append("partials did not become fewer")
    return Outcome([f"{n} at once" for n in counts], rows, problems)


def _complete(level: Level, alone: Heard) -> int:
    """Return how many clients have the finals of one who speaks alone."""
    return sum(one.segments == alone.segments for one in level.clients)


async def _speak(server: Running, audio: bytes, count: int, every_s: float) -> Level:
    url = url_of(server)
    async with asyncio.TaskGroup() as tasks:
        speaking = [tasks.create_task(_listen(url, audio)) for _ in range(count)]
        let_in, refused = 0, Counter[str]()
        while (await asyncio.wait(speaking, timeout=every_s))[1]:
            if (refusal := await _come(url)) is None:
                let_in += 1
            else:
                refused[refusal] += 1
    await server.until(lambda: not server.hub.num_connections, limit_s=EMPTY_S)
    return Level([one.result() for one in speaking], let_in, refused)


async def _listen(url: str, audio: bytes) -> Heard:
    source = paced(pieces(audio), bytes_per_second=2 * SAMPLE_RATE)
    segments, latencies_s, partials = list[tuple[int, int, int]](), list[float](), 0
    async with connect(url) as client, say(client, source):
        async for arrival in client.arrivals():
            event = arrival.event
            partials += isinstance(event, Partial)
            if isinstance(event, Final):
                segments.append((event.segment, event.start, event.end))
                assert arrival.latency_s is not None, "a final is about audio"
                latencies_s.append(arrival.latency_s)
    return Heard(segments, latencies_s, partials)


async def _come(url: str) -> str | None:
    """Begin a session and end it; return why that was refused, None if it was not.

    Numbers, which are others each time, are left out.
    """
    try:
        async with connect(url) as client:
            await client.end()
            async for _ in client:
                pass
    except RefusedError as exc:
        told = exc.reason or str(exc)
    except ServerError as exc:
        told = exc.message
    else:
        return None
    return NUMBER.sub("…", told)
