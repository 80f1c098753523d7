"""An event loop as a resource: what waits for it, and what it slows."""

import pytest

from stream.capacity.costs import LoopCosts
from stream.capacity.loop import EventLoop, stretch

ALONE = LoopCosts(silent_s=0.01, speech_s=0.03)


def loop_of(costs, *, silent=0, speaking=0):
    loop = EventLoop(costs)
    loop.follow(0.0, silent=silent, speaking=speaking)
    return loop


def test_its_load_follows_from_who_is_there_and_who_speaks():
    loop = loop_of(ALONE, silent=10, speaking=5)
    assert loop.load == pytest.approx(0.25)
    loop.follow(1.0, silent=-1, speaking=1)
    assert loop.load == pytest.approx(0.27)


def test_within_its_time_nothing_waits():
    loop = loop_of(ALONE, silent=99)
    assert loop.delay_s(10.0) == 0.0


def test_what_it_does_not_manage_waits_for_all_that_came_before():
    loop = loop_of(ALONE, silent=150)  # 1.5 s of work each second
    assert loop.delay_s(2.0) == pytest.approx(1.0)
    loop.follow(2.0, silent=-100)  # and now 0.5 s, so that it catches up
    assert loop.delay_s(3.0) == pytest.approx(0.5)
    assert loop.delay_s(9.0) == 0.0


def test_pieces_of_work_are_told_one_by_one_and_in_their_order():
    loop = loop_of(LoopCosts(piece_s=0.2))
    loop.tell(1.0)
    loop.tell(1.0)
    assert loop.delay_s(1.0) == pytest.approx(0.4)
    assert loop.delay_s(1.1) == pytest.approx(0.3)
    assert loop.delay_s(2.0) == 0.0


@pytest.mark.parametrize("load", [0.0, 0.7, 3.0])
def test_an_engine_that_shares_nothing_is_slowed_by_nothing(load):
    assert stretch(0.0, load) == 1.0


def test_an_engine_is_slowed_by_how_much_the_loop_computes_at_most_always():
    assert stretch(2.0, 0.25) == pytest.approx(1.5)
    assert stretch(2.0, 1.0) == stretch(2.0, 3.0) == pytest.approx(3.0)


def test_costs_of_less_than_nothing_are_refused():
    with pytest.raises(ValueError, match="below 0"):
        LoopCosts(speech_s=-0.1)
