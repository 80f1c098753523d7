"""The next seat goes to the replica that holds fewest."""

from collections import Counter

import pytest

from engine.placement import Placement


def nothing_said(replica):
    return None


def wanted():
    return False


def give(placement, seat, replicas="abc", said=nothing_said):
    """Give a seat out; return where."""
    first = placement.rank(replicas, said)[0]
    placement.aim(seat, first, wanted)
    return first


def test_seats_that_are_still_on_their_way_count():
    placement = Placement()
    given = Counter(give(placement, f"seat {n}") for n in range(9))
    assert given == {"a": 3, "b": 3, "c": 3}
    assert [placement.held(replica) for replica in "abcd"] == [3, 3, 3, 0]


def test_seats_of_others_count_as_a_replica_said():
    said = {"a": 4, "b": 2, "c": 3}.get
    placement = Placement()
    assert placement.rank("abc", said) == ["b", "c", "a"]
    for n in range(3):
        assert give(placement, f"seat {n}", "b", said) == "b"
    # All that b was given, b says; with one more it has more than c.
    assert placement.rank("bc", {"b": 3, "c": 3}.get)[0] in "bc"
    give(placement, "one more", "b")
    assert placement.rank("bc", {"b": 3, "c": 3}.get) == ["c", "b"]


def test_of_equals_one_is_drawn():
    drawn = iter([0.5, 0.1, 0.9])
    assert Placement(lambda: next(drawn)).rank("abc", nothing_said) == ["b", "a", "c"]


def test_a_seat_that_another_replica_took_counts_there():
    placement = Placement()
    placement.aim("seat", "a", wanted)
    placement.move("seat", "b")
    assert placement.rank("ab", nothing_said) == ["a", "b"]


@pytest.mark.parametrize("is_late", [False, True])
def test_a_seat_that_is_freed_counts_nowhere(is_late):
    placement = Placement()
    placement.aim("seat", "a", wanted)
    placement.aim("other", "b", wanted)
    placement.free("seat")
    if is_late:  # it was taken and over before anybody heard of it
        placement.move("seat", "a")
    assert placement.rank("ab", nothing_said) == ["a", "b"]


def test_a_seat_that_nobody_wants_any_more_counts_nowhere():
    placement = Placement()
    given_up = []
    placement.aim("seat", "a", lambda: bool(given_up))
    assert placement.rank("ab", nothing_said) == ["b", "a"]
    placement.aim("other", "b", wanted)
    given_up.append(True)
    assert placement.rank("ab", nothing_said) == ["a", "b"]
