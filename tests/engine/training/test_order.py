"""What each step sees."""

from hypothesis import given
from hypothesis import strategies as st

from engine.training.order import Order, Visit, gather


def an_order(size=10, *, batch=2, batches=2, sort_steps=1, seed=0):
    lengths = tuple(float(n * 7 % 5) for n in range(size))
    members = tuple((n,) for n in range(size))
    return Order(members, lengths, batch, batches, sort_steps, seed)


def visits(order, steps):
    return [v for step in range(steps) for batch in order.step(step) for v in batch]


@given(
    size=st.integers(1, 30),
    batch=st.integers(1, 5),
    batches=st.integers(1, 4),
    sort_steps=st.integers(1, 5),
)
def test_every_example_is_seen_once_an_epoch(size, batch, batches, sort_steps):
    order = an_order(size, batch=batch, batches=batches, sort_steps=sort_steps)
    # Whole pools, and at least two epochs.
    pool = batch * batches * sort_steps
    steps = sort_steps * (2 * size // pool + 1)
    seen = visits(order, steps)
    whole_epochs = len(seen) // size
    counted = [visit for visit in seen if visit.epoch < whole_epochs]
    assert sorted(counted) == [
        Visit(epoch, index) for epoch in range(whole_epochs) for index in range(size)
    ]


def test_a_step_is_the_same_whatever_came_before():
    order = an_order(sort_steps=3)
    expected = [order.step(step) for step in range(12)]
    assert [order.step(step) for step in (7, 2, 11, 7)] == [
        expected[step] for step in (7, 2, 11, 7)
    ]


def test_epochs_and_seeds_differ_in_their_order():
    order = an_order(batch=5, batches=2)
    first, second = order.step(0), order.step(1)
    assert [v.example for b in first for v in b] != [
        v.example for b in second for v in b
    ]
    assert order.step(0) != an_order(batch=5, batches=2, seed=1).step(0)


def test_sorted_together_batches_hold_clips_of_similar_length():
    order = an_order(40, batch=4, batches=2, sort_steps=5)
    spans = []
    for step in range(5):
        for batch in order.step(step):
            lengths = [order.lengths[visit.example] for visit in batch]
            spans.append(max(lengths) - min(lengths))
    assert max(spans) <= 1.0
    mixed = an_order(40, batch=4, batches=2)
    unsorted = [
        max(order.lengths[v.example] for v in b)
        - min(order.lengths[v.example] for v in b)
        for step in range(5)
        for b in mixed.step(step)
    ]
    assert sum(unsorted) > sum(spans)


def test_a_batch_cut_in_two_holds_the_same_examples():
    whole, cut = an_order(batch=4, batches=1), an_order(batch=2, batches=2)
    for step in range(6):
        (one,) = whole.step(step)
        assert one == tuple(v for batch in cut.step(step) for v in batch)


def test_visits_are_numbered_through_all_epochs():
    assert Visit(0, 3).number(10) == 3
    assert Visit(2, 3).number(10) == 23


def test_what_is_about_one_clip_is_gathered_up_to_a_number():
    assert gather("abaacb", 2) == ((0, 2), (1, 5), (3,), (4,))


def test_examples_about_one_clip_are_visited_together():
    order = Order(((0, 2), (1, 3), (4,)), (1.0, 1.0, 1.0), 1, 3, 1, seed=0)
    batches = order.step(0)
    assert {tuple(v.example for v in b) for b in batches} == {(0, 2), (1, 3), (4,)}
