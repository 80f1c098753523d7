"""How often clips are visited, and with which of their lessons."""

import random
from collections import Counter

import pytest

from engine.training.mixture import LESSONS, PAIRED, check, of_visit, visits


@pytest.mark.parametrize("share", [0.3, 1.0, 2.5])
def test_a_share_says_how_often_clips_are_visited(share):
    clips = list(range(10))
    found = list(visits(clips, share, random.Random(0)))
    assert len(found) == round(share * 10)
    counts = Counter(clip for clip, _ in found)
    assert max(counts.values()) - min(counts[clip] for clip in clips) <= 1
    assert len(set(found)) == len(found)  # each visit of a clip has its number


def test_a_visit_has_a_lesson_that_names_and_others():
    for seed in range(20):
        found = of_visit("abcde", "de", [], random.Random(seed))
        assert len(found) == LESSONS
        assert len(set(found)) == LESSONS
        assert found[0] in "de"


def test_a_pair_is_asked_whole_or_not_at_all():
    whole = 0
    for seed in range(300):
        found = of_visit("abcdefyn", "de", ["yn"], random.Random(seed))
        assert found[0] in "de"
        assert ("y" in found) is ("n" in found)
        assert len(found) == len(set(found)) == LESSONS
        whole += "y" in found
    assert 0.5 * PAIRED < whole / 300 < 1.3 * PAIRED


def test_a_visit_has_what_there_is():
    rng = random.Random(0)
    assert of_visit("a", "", [], rng) == ["a"]
    assert of_visit("a", "a", [], rng) == ["a"]
    assert of_visit("", "", [], rng) == []


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
