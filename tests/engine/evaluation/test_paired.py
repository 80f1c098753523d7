"""Two ways on the same clips."""

import pytest

from engine.evaluation.paired import paired


def test_clips_are_counted_by_who_is_right():
    found = paired([True, True, False, False, False], [True, False, True, True, False])
    assert (found.both, found.only_first, found.only_second) == (1, 1, 2)
    assert found.difference == pytest.approx(0.2)
    assert found.low < 0 < found.high


def test_a_gain_on_many_clips_is_beyond_luck():
    found = paired([True] * 50 + [False] * 50, [True] * 70 + [False] * 30)
    assert found.difference == pytest.approx(0.2)
    assert 0.1 < found.low < 0.2 < found.high < 0.3


def test_ways_that_are_right_alike_differ_by_nothing():
    found = paired([True, False] * 20, [True, False] * 20)
    assert (found.difference, found.low, found.high) == (0, 0, 0)


def test_one_clip_has_no_interval():
    found = paired([False], [True])
    assert (found.difference, found.low, found.high) == (1, None, None)


def test_other_clips_are_refused():
    with pytest.raises(ValueError, match="longer"):
        paired([True], [True, False])
