"""How often clips are visited, and with which of their lessons."""

import random
from collections import Counter

import pytest

from engine.training.mixture import LESSONS, check, of_visit, visits


@pytest.mark.parametrize("share", [0.3, 1.0, 2.5])
def test_a_share_says_how_often_clips_are_visited(share):
    clips = list(range(10))
    found = list(visits(clips, share, random.Random(0)))
    assert len(found) == round(share * 10)
    counts = Counter(clip for clip, _ in found)
    assert max(counts.values()) - min(counts[clip] for clip in clips) <= 1
    assert len(set(found)) == len(found)  # each visit of a clip has its number


def test_a_visit_has_a_lesson_that_names_and_another():
    for seed in range(20):
        found = of_visit("abcde", "de", random.Random(seed))
        assert len(found) == LESSONS
        assert len(set(found)) == LESSONS
        assert found[0] in "de"


def test_a_visit_has_what_there_is():
    rng = random.Random(0)
    assert of_visit("a", "", rng) == ["a"]
    assert of_visit("a", "a", rng) == ["a"]
    assert of_visit("", "", rng) == []


@pytest.mark.parametrize(
    ("shares", "problem"),
    [
        ({"esc10": 0}, "share of esc10 is 0; expected 0 to 100"),
        ({"esc10": 1.0, "rain": 1.0}, "no clips of set rain; there are those of esc10"),
    ],
)
def test_shares_that_cannot_be_followed_are_refused(shares, problem):
    with pytest.raises(ValueError, match=problem):
        check(shares, {"esc10"})
