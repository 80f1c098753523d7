import pytest

from engine.guards import misplaced, repetition, restated


@pytest.mark.parametrize(
    ("tokens", "cut"),
    [
        ([1, 2, 3], 0),
        ([7] * 11, 0),  # may be meant
        ([7] * 12, 11),
        ([1, 2, 3, 4] * 2, 0),
        ([9, *[1, 2, 3, 4] * 3], 8),
        (list(range(24)) * 3, 48),
    ],
)
def test_a_loop_is_cut_to_its_first_saying(tokens, cut):
    assert repetition(tokens) == cut


@pytest.mark.parametrize(
    ("tokens", "held"),
    [
        ([], 0),
        ([7, 7], 0),
        ([7, 7, 7], 1),
        ([7, 7, 7, 8], 0),
        ([9, *[1, 2, 3, 4] * 2], 0),
        ([9, *[1, 2, 3, 4] * 2, 1, 2], 2),
        ([1, 2, 1, 2, 1, 3], 0),
    ],
)
def test_the_beginning_of_a_third_saying_is_held_back(tokens, held):
    assert restated(tokens) == held


@pytest.mark.parametrize(
    ("frames", "wrong"),
    [
        ([], None),
        ([10, 30, 60, 90], None),
        ([10, 30, 25, 60], None),  # neighbours may change places
        ([10, 60, 12, 90], 2),  # goes back to what was said
        ([10, 60, 99, 111], 3),  # hears a word in the silence
    ],
)
def test_a_token_out_of_place_is_found(frames, wrong):
    assert misplaced(frames, heard=100) == wrong
