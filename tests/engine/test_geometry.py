import pytest

from engine import geometry


def test_thirty_seconds_are_88_windows():
    assert geometry.MAX_FRAMES == 1500
    assert geometry.window_count(geometry.MAX_FRAMES) == 88


@pytest.mark.parametrize(
    ("frames", "windows"), [(0, 0), (16, 0), (17, 1), (33, 1), (34, 2)]
)
def test_a_last_partial_window_is_not_counted(frames, windows):
    assert geometry.window_count(frames) == windows


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 1), (320, 1), (321, 2)])
def test_frames_cover_all_samples(samples, frames):
    assert geometry.frames_of(samples) == frames
