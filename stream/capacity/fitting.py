"""From pieces of work that were measured to what such pieces cost.

Pure.  A line is fitted by least squares, without coefficients below 0: no piece becomes
cheaper by being about more.  How far pieces lie from it is kept as it was found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from stream.capacity.costs import Line, LoopCosts
from stream.capacity.loop import stretch
from stream.capacity.worklog import PieceOfWork
from stream.jobs import Action

MOST_FACTORS = 41
"""Of a spread: its quantiles, evenly apart, where there are more pieces."""
LEAST_S = 1e-5
"""That any piece takes: below it a ratio says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What a server did while some sessions were there."""

    pieces: Sequence[PieceOfWork]
    loop_s: float
    """Processor time of its event loop."""
    audio_s: float
    """That was streamed to it, of all sessions."""
    speech_s: float
    """Of this, in segments."""
    company: float
    """How many sessions were there beside a second of audio, its own included."""

    def load(self, costs: LoopCosts) -> float:
        """Return what audio made the loop compute, as a piece of work met it."""
        silent_s = self.audio_s - self.speech_s
        taken_s = costs.silent_s * silent_s + costs.speech_s * self.speech_s
        return taken_s / self.audio_s * self.company


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """What pieces of hearing cost, and the event loop beside them."""

    turn_s: float
    hear: Line
    partial: Line
    final: Line
    loop: LoopCosts


def fit_hearing(alone: Phase, beside: Phase | None, crowded: Phase) -> Hearing:
    """Return what hearing costs.

    Args:
        alone: One session, nobody else there.
        beside: One session, beside some that are silent.
        crowded: Many that speak at once, so that some lag.

    Raises:
        ValueError: If there were no partials, or no finals.
    """
    loop = fit_loop(alone, beside, crowded)
    # What a piece would have taken without the loop.
    by_itself = [
        (piece, piece.took_s / stretch(loop.contention, phase.load(loop)))
        for phase in (alone, crowded)
        for piece in phase.pieces
    ]
    turn_s = _turn(by_itself)
    hear = _fit_hear([(p, s - turn_s) for p, s in by_itself if p.action is Action.HEAR])
    rest = [
        (piece, taken_s - turn_s - hear.seconds(piece.heard_s, piece.samples_s))
        for piece, taken_s in by_itself
    ]
    partials = [each for each in rest if each[0].action is Action.PARTIAL]
    finals = [each for each in rest if _makes_a_final(each[0])]
    if not partials or not finals:
        raise ValueError("no partial, or no final, was made while work was measured")
    return Hearing(
        turn_s=turn_s, hear=hear, partial=fit(partials), final=fit(finals), loop=loop
    )


def fit_loop(alone: Phase, beside: Phase | None, crowded: Phase) -> LoopCosts:
    """Return what the event loop takes, and how far it slows the engine."""
    phases = [phase for phase in (alone, beside, crowded) if phase is not None]
    silent_s, speech_s, piece_s = least_squares(
        [[p.audio_s - p.speech_s, p.speech_s, len(p.pieces)] for p in phases],
        [phase.loop_s for phase in phases],
    )
    loop = LoopCosts(silent_s=silent_s, speech_s=speech_s, piece_s=piece_s)
    if beside is None:
        return loop
    return replace(loop, contention=_contention(alone, beside, loop))


def _makes_a_final(piece: PieceOfWork) -> bool:
    return piece.action in (Action.EARLY_FINAL, Action.FINAL) and not piece.is_ready


def _turn(pieces: Sequence[tuple[PieceOfWork, float]]) -> float:
    """Return what a piece takes in which nothing is computed."""
    idle = [
        taken_s
        for piece, taken_s in pieces
        if piece.action is Action.CLOSE
        or (piece.action is Action.FINAL and piece.is_ready)
    ]
    return median(idle) if idle else 0.0


def _contention(alone: Phase, beside: Phase, loop: LoopCosts) -> float:
    """Return by what part a loop that always computes makes pieces of work longer.

    Each partial is compared with what it would have taken alone.  Medians, since a few
    pieces during which the machine did something else would say too much.
    """
    by_itself, beside_others = (
        [(p, p.took_s) for p in phase.pieces if p.action is Action.PARTIAL]
        for phase in (alone, beside)
    )
    if not by_itself or not beside_others:
        return 0.0
    line = fit(by_itself)
    known, found = (
        median(took_s / line.seconds(p.heard_s, p.new_s) for p, took_s in pieces)
        for pieces in (by_itself, beside_others)
    )
    # found / known is the stretch beside others over that of one who is alone.
    longer = found / known
    further = beside.load(loop) - longer * alone.load(loop)
    return max(0.0, (longer - 1) / further) if further > 0 else 0.0


def _fit_hear(pieces: Sequence[tuple[PieceOfWork, float]]) -> Line:
    """Return what it takes to take audio in; nothing, if it was never done alone."""
    if not pieces:
        return Line()
    rows = [[1.0, piece.samples_s] for piece, _ in pieces]
    fixed_s, per_new_s = least_squares(rows, [max(0.0, s) for _, s in pieces])
    return Line(fixed_s=fixed_s, per_new_s=per_new_s)


def fit(pieces: Sequence[tuple[PieceOfWork, float]]) -> Line:
    """Return the line through pieces and the seconds that each took."""
    rows = [[1.0, piece.heard_s, piece.new_s] for piece, _ in pieces]
    taken_s = [max(LEAST_S, seconds) for _, seconds in pieces]
    fixed_s, per_heard_s, per_new_s = least_squares(rows, taken_s)
    line = Line(fixed_s=fixed_s, per_heard_s=per_heard_s, per_new_s=per_new_s)
    ratios = [
        seconds / max(LEAST_S, line.seconds(piece.heard_s, piece.new_s))
        for (piece, _), seconds in zip(pieces, taken_s, strict=True)
    ]
    return Line(
        fixed_s=fixed_s,
        per_heard_s=per_heard_s,
        per_new_s=per_new_s,
        spread=spread_of(ratios),
    )


def spread_of(ratios: Sequence[float]) -> tuple[float, ...]:
    """Return factors that are spread as the ratios are; their mean is 1."""
    if len(ratios) > MOST_FACTORS:
        places = (np.arange(MOST_FACTORS) + 0.5) / MOST_FACTORS
        ratios = np.quantile(ratios, places).tolist()
    mean = sum(ratios) / len(ratios)
    return tuple(round(ratio / mean, 4) for ratio in sorted(ratios))


def least_squares(
    rows: Sequence[Sequence[float]], values: Sequence[float]
) -> list[float]:
    """Return the coefficients, none below 0, whose products come closest to values.

    What would be below 0 is set to 0, the lowest first, and the rest fitted anew: with
    three columns that finds the least squares or nearly so.
    """
    table, wanted = np.array(rows, dtype=float), np.array(values, dtype=float)
    kept = list(range(table.shape[1]))
    while kept:
        found, *_ = np.linalg.lstsq(table[:, kept], wanted, rcond=None)
        if found.min() >= 0:
            break
        kept.pop(int(found.argmin()))
    coefficients = [0.0] * table.shape[1]
    for column, value in zip(kept, found if kept else [], strict=True):
        coefficients[column] = float(value)
    return coefficients
