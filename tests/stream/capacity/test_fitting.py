"""Lines through pieces of work that were measured."""

import itertools
from dataclasses import replace

import pytest

from stream.capacity.fitting import (
    MOST_FACTORS,
    Phase,
    fit_hearing,
    fit_loop,
    least_squares,
    spread_of,
)
from stream.capacity.worklog import PieceOfWork
from stream.jobs import Action

TURN_S = 0.002


def piece(action, heard_s, new_s, took_s, *, samples_s=0.3, is_ready=False):
    return PieceOfWork(
        action=action,
        samples_s=samples_s,
        heard_s=heard_s,
        new_s=new_s,
        is_ready=is_ready,
        took_s=took_s,
    )


def work(*, slower=1.0):
    """Return pieces that cost exactly what lines say."""
    found = [
        piece(Action.FINAL, 3.0, 0.2, TURN_S * slower, samples_s=0.0, is_ready=True)
    ]
    for samples_s in (0.2, 0.6, 1.0):
        took_s = TURN_S + 0.001 + 0.01 * samples_s
        found.append(piece(Action.HEAR, 4.0, 2.0, slower * took_s, samples_s=samples_s))
    for heard_s, new_s in itertools.product((1.0, 2.0, 5.0), (0.3, 0.5, 1.0)):
        hear_s = TURN_S + 0.001 + 0.01 * 0.3
        partial_s = hear_s + 0.05 + 0.004 * heard_s + 0.1 * new_s
        final_s = hear_s + 0.2 + 0.03 * heard_s + 0.15 * new_s
        found.append(piece(Action.PARTIAL, heard_s, new_s, slower * partial_s))
        found.append(piece(Action.EARLY_FINAL, heard_s, new_s, slower * final_s))
    return found


SILENT_S, SPEECH_S, PIECE_S = 0.004, 0.01, 0.003
"""Of the loop."""


def phase(pieces, *, company=1, speech=0.5):
    """Return 100 s of audio of so many sessions at once, in segments to some part."""
    per_s = SILENT_S * (1 - speech) + SPEECH_S * speech
    return Phase(
        pieces=pieces,
        loop_s=100.0 * per_s + PIECE_S * len(pieces),
        audio_s=100.0,
        speech_s=100.0 * speech,
        company=company,
    )


def load(company, *, speech=0.5):
    """Return what part of its time the loop computes for the audio of so many."""
    return company * (SILENT_S * (1 - speech) + SPEECH_S * speech)


def fitted(alone, beside=None, crowded=()):
    return fit_hearing(phase(alone), beside, phase(crowded, speech=0.9))


def test_pieces_that_lie_on_lines_give_these_lines():
    found = fitted(work())
    assert found.turn_s == pytest.approx(TURN_S)
    assert found.hear.fixed_s == pytest.approx(0.001)
    assert found.hear.per_new_s == pytest.approx(0.01)
    partial, final = found.partial, found.final
    assert (partial.fixed_s, partial.per_heard_s) == pytest.approx((0.05, 0.004))
    assert partial.per_new_s == pytest.approx(0.1)
    assert (final.fixed_s, final.per_heard_s) == pytest.approx((0.2, 0.03))
    assert final.per_new_s == pytest.approx(0.15)
    assert set(partial.spread) == set(final.spread) == {1.0}


def test_what_the_loop_takes_from_the_engine_is_taken_out_of_what_work_took():
    found = fit_hearing(
        phase(work(slower=1 + 2.0 * load(1)) * 3),
        phase(work(slower=1 + 2.0 * load(33, speech=0.02)), company=33, speech=0.02),
        phase(work(slower=1 + 2.0 * load(32, speech=0.7)), company=32, speech=0.7),
    )
    assert found.loop.contention == pytest.approx(2.0)
    assert found.partial.fixed_s == pytest.approx(0.05)
    assert found.turn_s == pytest.approx(TURN_S)
    assert set(found.final.spread) == {1.0}


def test_what_the_loop_takes_follows_from_phases_of_more_and_less_speech_and_work():
    found = fit_loop(
        phase(work() * 3, speech=0.7),
        phase(work(), company=33, speech=0.02),
        phase(work(), company=32, speech=0.7),
    )
    assert found.silent_s == pytest.approx(SILENT_S)
    assert found.speech_s == pytest.approx(SPEECH_S)
    assert found.piece_s == pytest.approx(PIECE_S)


def test_sessions_that_cost_nothing_do_not_make_work_faster():
    beside = phase(work(slower=0.9), company=20, speech=0.1)
    assert fitted(work(), beside).loop.contention == 0.0


def test_without_partials_there_are_no_costs():
    finals = [one for one in work() if one.action is not Action.PARTIAL]
    with pytest.raises(ValueError, match="no partial"):
        fitted(finals)


def test_pieces_off_the_line_are_its_spread_and_the_mean_stays():
    pieces = work()
    pieces += [replace(one, took_s=1.5 * one.took_s) for one in work()]
    found = fitted(pieces)
    spread = found.partial.spread
    assert sum(spread) / len(spread) == pytest.approx(1.0, abs=1e-3)
    assert spread[0] < 0.95
    assert spread[-1] > 1.05


def test_a_long_spread_is_told_by_its_quantiles():
    spread = spread_of([index / 500 for index in range(1, 1_000)])
    assert len(spread) == MOST_FACTORS
    assert spread == tuple(sorted(spread))
    assert sum(spread) / len(spread) == pytest.approx(1.0, abs=1e-3)


def test_no_coefficient_is_below_0():
    rows = [[1.0, float(x)] for x in range(5)]
    assert least_squares(rows, [5.0 - x for x in range(5)]) == pytest.approx([3.0, 0.0])
    assert least_squares(rows, [-1.0] * 5) == [0.0, 0.0]
