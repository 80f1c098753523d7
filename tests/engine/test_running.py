import pytest
import torch

from engine.running import RunningStatistics


@pytest.mark.parametrize("cuts", [[7], [1, 6], [3, 1, 3], [1] * 7])
def test_statistics_do_not_depend_on_how_a_stream_was_cut(cuts):
    windows = torch.randn(2, 7, 17, 5)
    expected = RunningStatistics().push(windows)
    stream = RunningStatistics()
    pieces = [stream.push(piece) for piece in windows.split(cuts, 1)]
    assert torch.equal(torch.cat(pieces, 1), expected)


def test_statistics_are_those_of_all_frames_so_far():
    windows = torch.randn(2, 4, 17, 5) * 3 + 10
    found = RunningStatistics().push(windows)
    for index in range(4):
        frames = windows[:, : index + 1].flatten(1, 2)
        mean, deviation = found[:, index].chunk(2, -1)
        assert torch.allclose(mean, frames.mean(1), atol=1e-4)
        assert torch.allclose(deviation, frames.std(1, correction=0), atol=1e-3)


def test_frames_that_never_change_have_no_deviation():
    found = RunningStatistics().push(torch.full((1, 3, 17, 2), 0.1))
    assert torch.allclose(found[..., 2:], torch.zeros(1, 3, 2), atol=1e-3)


def test_frames_to_come_change_nothing():
    windows = torch.randn(1, 5, 17, 3)
    early = RunningStatistics().push(windows[:, :3])
    assert torch.equal(RunningStatistics().push(windows)[:, :3], early)
