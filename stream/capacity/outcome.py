"""What became of those who spoke: when each was told what, and the figures of it.

Pure.  Moments and durations are in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.benchmarks.statistics import Quantiles, quantiles


@dataclass(slots=True, kw_only=True)
class SegmentRecord:
    """One segment: when it was said, and told."""

    session: str
    turn_s: float
    """When its turn began."""
    start_s: float
    decided_s: float
    """When its pause had lasted long enough."""
    ends_in_a_pause: bool
    text_s: float | None = None
    """Of its first partial with text."""
    final_s: float | None = None


@dataclass(slots=True, kw_only=True)
class Outcome:
    """All segments and replies, and what the replicas did."""

    segments: list[SegmentRecord] = field(default_factory=list)
    first_tokens_s: list[float] = field(default_factory=list)
    """From each prompt to its first token."""
    questions: int = 0
    questions_refused: int = 0
    arrived: int = 0
    refused: int = 0
    """Sessions that no replica let in."""
    span_s: float = 0.0
    busy_s: float = 0.0
    """Of all replicas together."""
    heard_s: float = 0.0
    """Audio that went through the engines."""
    replicas: int = 1
    partials: int = 0
    shed: int = 0
    """Partials that were left out because their session lagged."""
    most_sessions: list[int] = field(default_factory=list)
    """At once, on each replica."""

    @property
    def unfinished(self) -> int:
        """How many segments have no final; 0, or finals are lost."""
        return sum(segment.final_s is None for segment in self.segments)

    @property
    def utilisation(self) -> float:
        """Part of the time for which the engines computed."""
        return self.busy_s / (self.span_s * self.replicas) if self.span_s else 0.0

    @property
    def real_time_factor(self) -> float:
        """Computing time by speech heard."""
        return self.busy_s / self.heard_s if self.heard_s else 0.0

    def finals_s(self, *, since_s: float = 0.0) -> list[float]:
        """Return how late the finals were of segments that ended in a pause."""
        return [
            segment.final_s - segment.decided_s
            for segment in self.segments
            if segment.final_s is not None
            and segment.ends_in_a_pause
            and segment.decided_s >= since_s
        ]

    def first_texts_s(self, *, since_s: float = 0.0) -> list[float]:
        """Return the time from the start of each segment to its first partial."""
        return [
            segment.text_s - segment.start_s
            for segment in self.segments
            if segment.text_s is not None and segment.start_s >= since_s
        ]

    def first_partials_s(self, onset_s: float) -> list[float]:
        """Return when each session that had a partial had its first one.

        Args:
            onset_s: From the beginning of a turn to where its clip begins; the time
                counts from there.
        """
        first = dict[str, float]()
        for segment in self.segments:
            if segment.text_s is not None:
                late_s = segment.text_s - segment.turn_s - onset_s
                known_s = first.get(segment.session, late_s)
                first[segment.session] = min(known_s, late_s)
        return list(first.values())


def pooled(outcomes: Sequence[Outcome]) -> tuple[list[float], float]:
    """Return the latenesses of all finals, and the mean real-time factor."""
    finals = [late_s for one in outcomes for late_s in one.finals_s()]
    return finals, sum(one.real_time_factor for one in outcomes) / len(outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What so many sessions at once would get."""

    sessions: int
    final_s: Quantiles
    """From when the pause behind speech had lasted long enough to the final."""
    first_text_s: Quantiles | None
    """From the start of a segment to its first partial; None where there were none."""
    first_token_s: Quantiles | None
    """Of replies; None where nobody asked."""
    real_time_factor: float
    utilisation: float
    shed: float
    """Part of the partials that were left out."""


def level_of(outcome: Outcome, sessions: int, *, since_s: float) -> Level:
    """Return the figures of what was told after a moment.

    Raises:
        ValueError: If there was no final.
    """
    firsts = outcome.first_texts_s(since_s=since_s)
    tokens = outcome.first_tokens_s
    wanted = outcome.partials + outcome.shed
    return Level(
        sessions=sessions,
        final_s=quantiles(outcome.finals_s(since_s=since_s), of="final"),
        first_text_s=quantiles(firsts, of="partial") if firsts else None,
        first_token_s=quantiles(tokens, of="first token") if tokens else None,
        real_time_factor=outcome.real_time_factor,
        utilisation=outcome.utilisation,
        shed=outcome.shed / wanted if wanted else 0.0,
    )
