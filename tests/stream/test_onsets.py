"""When something begins and ends, by scores of passages that overlap."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.onsets import OnsetRules, OnsetTracker, Span

WINDOW, HOP = 50, 10
RULES = OnsetRules(threshold=0.7, release=0.5)


def told(scores, rules=RULES, *, hop=HOP):
    """Return the spans that scores of passages, a hop apart, make."""
    tracker = OnsetTracker(rules)
    spans = []
    for number, score in enumerate(scores, 1):
        end = number * hop
        spans.append(tracker.push(max(0, end - WINDOW), end, score))
    spans.append(tracker.flush())
    return [span for span in spans if span is not None]


def drawn(scores, **rules):
    """Return spans as `(start, end, complete)`, of scores in tenths."""
    rules = OnsetRules(threshold=0.7, release=0.5, **rules)
    found = told([int(digit) / 10 for digit in scores], rules)
    return [(span.start, span.end, span.complete) for span in found]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ("000000", []),
        ("0666666", []),  # above the release, never above the threshold
        # Heard from the third passage on, and not in the one that begins at 40: it is
        # taken to have begun behind the second, and ended before that.
        ("0088888800", [(20, 30, False), (20, 40, True)]),
        # A blow of no length is in one passage that begins before it, and no other.
        ("0000000800", [(70, 80, False), (70, 80, True)]),
        # A score that wavers above the release is one sound.
        ("0080656550", [(20, 30, False), (20, 30, True)]),
        ("0086656660", [(20, 30, False), (20, 50, True)]),
        # What goes on at the end ends where it was heard last.
        ("0000000888", [(70, 80, False), (70, 100, True)]),
        # From the very beginning.
        ("8888888888", [(0, 10, False), (0, 100, True)]),
    ],
)
def test_spans(scores, expected):
    assert drawn(scores) == expected


def test_the_score_of_the_end_is_the_highest():
    begun, over = told([0.0, 0.75, 0.9, 0.6, 0.1])
    assert (begun.score, over.score) == (0.75, 0.9)


def test_what_is_too_short_is_not_told():
    assert drawn("00880000", min_samples=30) == []
    assert drawn("00888000", min_samples=30) == [(20, 50, False), (20, 30, True)]


def test_after_its_end_nothing_begins_for_a_while():
    scores = "0080080080000000"
    assert len(drawn(scores)) == 6
    assert drawn(scores, cooldown_samples=35) == [
        *[(20, 30, False), (20, 30, True)],
        *[(80, 90, False), (80, 90, True)],
    ]
    # What is still heard when the pause is over begins there.
    assert drawn("0080088880", cooldown_samples=35)[2:] == [
        *[(65, 70, False), (65, 70, True)],
    ]


def test_passages_that_were_left_out_do_not_lengthen_what_is_told():
    tracker = OnsetTracker(RULES)
    assert tracker.push(0, 50, 0.1) is None
    begun = tracker.push(450, 500, 0.9)
    assert begun == Span(start=450, end=500, score=0.9, complete=False)
    over = tracker.push(950, 1_000, 0.1)
    assert over == Span(start=450, end=500, score=0.9, complete=True)


RULE_SETS = st.builds(
    lambda threshold, below, min_samples, cooldown: OnsetRules(
        threshold=threshold,
        release=threshold * below,
        min_samples=min_samples,
        cooldown_samples=cooldown,
    ),
    st.floats(0.05, 0.95),
    st.floats(0, 1),
    st.integers(0, 60),
    st.integers(0, 60),
)
SCORES = st.lists(st.floats(0, 1), max_size=60)


@given(scores=SCORES, rules=RULE_SETS, hop=st.integers(1, 80))
def test_whatever_the_scores_spans_come_in_pairs_and_in_order(scores, rules, hop):
    spans = told(scores, rules, hop=hop)
    assert len(spans) % 2 == 0
    last_end = None
    for begun, over in zip(spans[::2], spans[1::2], strict=True):
        assert not begun.complete
        assert over.complete
        assert begun.start == over.start < min(begun.end, over.end)
        assert rules.threshold <= begun.score <= over.score
        assert begun.end - begun.start >= rules.min_samples
        assert over.end <= len(scores) * hop
        if last_end is not None:
            assert begun.start >= last_end + rules.cooldown_samples
        last_end = over.end


@given(scores=SCORES, rules=RULE_SETS)
def test_nothing_is_told_of_scores_below_the_threshold(scores, rules):
    low = [min(score, rules.threshold * 0.999) for score in scores]
    assert told(low, rules) == []


@given(scores=SCORES, low=st.floats(0.1, 0.8), more=st.floats(0, 0.15))
def test_a_higher_threshold_begins_nothing_that_a_lower_one_does_not(scores, low, more):
    def passages(threshold):
        rules = OnsetRules(threshold=threshold, release=0.05)
        return {span.start for span in told(scores, rules)}

    def heard(threshold):
        return sum(score >= threshold for score in scores)

    assert bool(passages(low + more)) <= bool(passages(low))
    assert bool(passages(low)) == bool(heard(low))


@given(scores=SCORES)
def test_a_lower_release_makes_no_more_of_it(scores):
    counts = [
        len(told(scores, OnsetRules(threshold=0.7, release=release)))
        for release in (0.7, 0.5, 0.2, 0.0)
    ]
    assert all(less <= more for more, less in pairwise(counts))
