"""How many sessions a replica holds, and what becomes of a cluster: simulations.

hold      a number of sessions that stay: how late text is, how busy the engine
most      the largest number at which finals are in time
cluster   replicas, and sessions that come and go, in bursts or not
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.benchmarks.report import Row
from stream.capacity.costs import Costs
from stream.capacity.outcome import Level, level_of
from stream.capacity.simulation import World
from stream.capacity.speech import Turn
from stream.capacity.traffic import Traffic
from stream.config import LimitsConfig

UNLIMITED = 10**9
"""Sessions; where it is asked how many a machine could hold, nobody is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is simulated."""

    costs: Costs
    turns: Sequence[Turn]
    traffic: Traffic
    limits: LimitsConfig
    minutes: float = 5.0
    warm_s: float = 60.0
    """From the beginning; what happens in it is not counted."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.traffic.asks and self.costs.replies is None:
            raise ValueError("questions are asked, and no language model was priced")
        if 60 * self.minutes <= self.warm_s:
            raise ValueError(
                f"{self.minutes:g} minutes are simulated; the first {self.warm_s:g} s "
                "of them are not counted"
            )

    @property
    def until_s(self) -> float:
        """When nobody begins to speak any more."""
        return 60 * self.minutes


def hold(plan: Plan, sessions: int) -> Level:
    """Return what so many sessions get that stay with one replica.

    Raises:
        ValueError: If they are so few, or the time so short, that no final was made.
    """
    limits = replace(plan.limits, max_sessions=UNLIMITED)
    world = World(plan.costs, limits, seed=plan.seed)
    world.steady(sessions, plan.turns, plan.traffic, plan.until_s)
    return level_of(world.run(), sessions, since_s=plan.warm_s)


def most(
    level: Callable[[int], Level], is_enough: Callable[[Level], bool], *, ceiling: int
) -> Level | None:
    """Return the level with the most sessions that is good enough; None if 1 is not.

    Args:
        level: Of so many sessions.
        is_enough: Whether it is good enough; where more sessions are, less likely.
        ceiling: The most sessions that are asked about.
    """
    good, bad = None, ceiling + 1
    sessions = 1
    while sessions < bad:
        if is_enough(found := level(sessions)):
            good = found
        else:
            bad = sessions
        known = good.sessions if good else 0
        sessions = min(2 * known, ceiling) if bad > ceiling else (known + bad) // 2
        if sessions <= known:
            break
    return good


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What becomes of sessions that come to some replicas."""

    replicas: int
    arrived: int
    refused: int
    unfinished: int
    """Segments without a final: none, or finals are lost."""
    most_sessions: int
    """At once, on the replica that had the most."""
    fewest_sessions: int
    """Likewise, on the one that had the fewest at its fullest."""
    level: Level
    questions: int
    questions_refused: int

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        at_once = f"{self.fewest_sessions} to {self.most_sessions}"
        rows = [
            Row("sessions that came", f"{self.arrived:,}"),
            Row("  refused", f"{self.refused:,}"),
            Row(f"at once on each of {self.replicas} replicas, at most", at_once),
            *rows_of(self.level),
            Row("segments without a final", f"{self.unfinished}", "0"),
        ]
        if self.questions:
            asked = f"{self.questions_refused:,} of {self.questions:,}"
            rows.append(Row("questions refused", asked))
        return rows


def cluster(plan: Plan, *, replicas: int, sessions: int) -> Cluster:
    """Let sessions come to replicas, as many as keep about so many there.

    Raises:
        ValueError: If nobody spoke.
    """
    world = World(plan.costs, plan.limits, replicas=replicas, seed=plan.seed)
    mean_s = plan.traffic.session_s / sessions
    world.arrivals(mean_s, plan.turns, plan.traffic, plan.until_s)
    outcome = world.run()
    return Cluster(
        replicas=replicas,
        arrived=outcome.arrived,
        refused=outcome.refused,
        unfinished=outcome.unfinished,
        most_sessions=max(outcome.most_sessions),
        fewest_sessions=min(outcome.most_sessions),
        level=level_of(outcome, sessions, since_s=plan.warm_s),
        questions=outcome.questions,
        questions_refused=outcome.questions_refused,
    )


def rows_of(level: Level) -> list[Row]:
    """Return what people want to know of a level."""
    rows = [Row("  final, p50 / p90 / p95", level.final_s.told("s"))]
    if level.first_text_s:
        told = level.first_text_s.told("s")
        rows.append(Row("  first partial of a segment, p50 / p90 / p95", told))
    if level.first_token_s:
        told = level.first_token_s.told("s")
        rows.append(Row("  first token of a reply, p50 / p90 / p95", told))
    return [
        *rows,
        Row("  real-time factor", f"{level.real_time_factor:.3f}"),
        Row("  the engine computes", f"{100 * level.utilisation:.0f} % of the time"),
        Row("  partials left out", f"{100 * level.shed:.0f} %"),
    ]
