"""What was foretold beside what a real server does with the same speech.

At each number of sessions the same clips are streamed, so many at once, as
`salmonn-bench load` does it; the same turns are simulated, several times with other
draws.  The figures of both are made by the same rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TypeVar

from engine.benchmarks.latency import ONSET_S
from engine.benchmarks.load import Level, level
from engine.benchmarks.report import Advance, Row, Setup
from engine.benchmarks.server import MeasuredServer, measured_server
from engine.benchmarks.statistics import Quantiles, quantiles
from stream.capacity.costs import Costs
from stream.capacity.crowd import LATE_S, Crowd
from stream.capacity.measuring import padded
from stream.capacity.outcome import Outcome
from stream.capacity.recording import recorded
from stream.capacity.simulation import World
from stream.capacity.speech import Turn
from stream.config import LimitsConfig

T = TypeVar("T")

FEWEST = 8
"""Clips that are heard at each number of sessions, in a round."""
DRAWS = 20
"""Simulations of each number of sessions, pooled."""
WANTED = "≤ 25 %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure, foretold and measured."""

    predicted: float
    measured: float

    @property
    def error_percent(self) -> float:
        """By how much the prediction is above what was measured."""
        return 100 * (self.predicted / self.measured - 1) if self.measured else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """So many sessions at once."""

    sessions: int
    failed: int
    """That the server refused, or cut off."""
    finals: int
    """That were measured."""
    final_p50_s: Figure
    final_p95_s: Figure
    first_p50_s: Figure
    """Of the first partial of each session, from the beginning of its clip."""
    first_p95_s: Figure
    real_time_factor: Figure
    late_s: float
    """By how much the speaker that was latest missed the time of speech."""
    clients: float
    """Part of a core that those who spoke took, on the same machine."""


@dataclass(frozen=True, slots=True)
class CheckFigures:
    """What was found."""

    engine: str
    levels: list[Compared]

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        rows = []
        for one in self.levels:
            failed = f"; {one.failed} failed" if one.failed else ""
            rows.append(Row(f"{one.sessions} at once, {one.finals} finals{failed}", ""))
            for name, figure, promised in (
                ("final, p50", one.final_p50_s, ""),
                ("final, p95", one.final_p95_s, WANTED),
                ("first partial, p50", one.first_p50_s, ""),
                ("first partial, p95", one.first_p95_s, ""),
                ("real-time factor", one.real_time_factor, ""),
            ):
                told = f"predicted {figure.predicted:.2f}, measured "
                told += f"{figure.measured:.2f}: {figure.error_percent:+.0f} %"
                rows.append(Row(f"  {name}", told, promised))
            if one.late_s > LATE_S:
                late = f"{one.late_s:.2f} s: this machine did not keep up"
                rows.append(Row("  speech was sent late by up to", late))
            clients = f"{100 * one.clients:.0f} % of a core"
            rows.append(Row("  the clients of this check took", clients))
        return rows


def check(
    setup: Setup,
    costs: Costs,
    sessions: Sequence[int],
    limits: LimitsConfig,
    *,
    seed: int = 0,
) -> CheckFigures:
    """Let so many sessions speak at once, and foretell it.

    Raises:
        EngineError: If a clip is no audio, or the server fails.
        ValueError: If the server lets in fewer sessions, or nothing was heard.
    """
    if max(sessions) > limits.max_sessions:
        raise ValueError(
            f"{max(sessions)} sessions are to be checked, and limits.max_sessions is "
            f"{limits.max_sessions}; a higher one goes into the file of --config"
        )
    clips = [padded(clip) for clip in setup.clips]
    turns = recorded(clips, setup.config, costs)
    rounds = setup.rounds or 1
    total = sum(max(FEWEST, n) * rounds for n in sessions)
    compared = []
    with measured_server(setup.config) as server:
        engine = server.engine
        with setup.steps("check: clips", total) as advance:
            for n in sessions:
                count = max(FEWEST, n) * rounds
                heard = list(islice(cycle(clips), count))
                real, crowd = _measure(server, heard, n, advance)
                told = foretell(
                    costs, limits, list(islice(cycle(turns), count)), n, seed=seed
                )
                clients = crowd.taken_s / crowd.span_s
                compared.append(compare(told, real, crowd.most_late_s, clients))
    return CheckFigures(engine, compared)


def _measure(
    server: MeasuredServer, clips: Sequence[bytes], sessions: int, advance: Advance
) -> tuple[Level, Crowd]:
    """Stream all clips, so many at once; return what they got, and who spoke."""
    names = "salmonn_engine_busy_seconds_total", "salmonn_audio_seconds_total"
    before = [server.metric(name) for name in names]
    crowd, heard = Crowd(server.url), []
    for group in grouped(clips, sessions):
        heard += crowd.speak(group)
        advance(len(group))
    busy_s, speech_s = (
        server.metric(name) - then for name, then in zip(names, before, strict=True)
    )
    factor = busy_s / speech_s if speech_s else 0.0
    return level(heard, sessions, server.segmenter, factor), crowd


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """What so many sessions at once would get."""

    final_s: Quantiles
    first_s: Quantiles
    real_time_factor: float


def foretell(
    costs: Costs,
    limits: LimitsConfig,
    turns: Sequence[Turn],
    sessions: int,
    *,
    seed: int,
) -> Foretold:
    """Simulate turns, so many at once, with several draws; return the figures of all.

    Raises:
        ValueError: If no session would have a partial, or a final.
    """
    outcomes = list[Outcome]()
    for draw in range(DRAWS):
        world = World(costs, limits, seed=seed + draw)
        world.together(grouped(turns, sessions))
        outcomes.append(world.run())
    firsts = [s for one in outcomes for s in one.first_partials_s(ONSET_S)]
    factors = [one.real_time_factor for one in outcomes]
    return Foretold(
        final_s=quantiles([s for one in outcomes for s in one.finals_s()], of="final"),
        first_s=quantiles(firsts, of="first partial"),
        real_time_factor=sum(factors) / len(factors),
    )


def grouped(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Return items in groups of a size, the last perhaps smaller."""
    return [items[first : first + size] for first in range(0, len(items), size)]


def compare(told: Foretold, real: Level, late_s: float, clients: float) -> Compared:
    """Return both, figure by figure."""
    return Compared(
        sessions=real.sessions,
        failed=real.failed,
        finals=real.final_s.count,
        final_p50_s=Figure(predicted=told.final_s.p50, measured=real.final_s.p50),
        final_p95_s=Figure(predicted=told.final_s.p95, measured=real.final_s.p95),
        first_p50_s=Figure(
            predicted=told.first_s.p50, measured=real.first_partial_s.p50
        ),
        first_p95_s=Figure(
            predicted=told.first_s.p95, measured=real.first_partial_s.p95
        ),
        real_time_factor=Figure(
            predicted=told.real_time_factor, measured=real.real_time_factor
        ),
        late_s=late_s,
        clients=clients,
    )
