import numpy as np
import pytest

from engine.evaluation.offline import MAX_SAMPLES, cut_long


def test_a_clip_that_fits_is_left_whole():
    clip = np.ones(MAX_SAMPLES, np.float32)
    assert [len(part) for part in cut_long(clip)] == [MAX_SAMPLES]


@pytest.mark.parametrize("seconds", [31, 75])
def test_the_parts_of_a_long_clip_fit_and_are_all_of_it(seconds):
    clip = np.random.default_rng(0).normal(size=seconds * 16_000).astype(np.float32)
    parts = cut_long(clip)
    assert all(len(part) <= MAX_SAMPLES for part in parts)
    assert np.array_equal(np.concatenate(parts), clip)


def test_a_long_clip_is_cut_where_it_is_quiet():
    clip = np.ones(40 * 16_000, np.float32)
    pause = slice(27 * 16_000, 27 * 16_000 + 3_200)
    clip[pause] = 0.0
    first, _ = cut_long(clip)
    assert pause.start <= len(first) <= pause.stop
