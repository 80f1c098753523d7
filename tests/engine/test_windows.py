import pytest
import torch

from engine.geometry import WINDOW, window_count
from engine.windows import cut_windows, join_longest


def upstream(frames, size, hop):
    """As the original cuts them: unfold over an image of height 1."""
    image = frames.transpose(1, 2).unsqueeze(2)
    columns = torch.nn.functional.unfold(image, kernel_size=(1, size), stride=(1, hop))
    windows = columns.view(len(frames), -1, size, columns.shape[-1])
    return windows.permute(0, 3, 2, 1)


@pytest.mark.parametrize("T", [17, 18, 33, 34, 1500])
def test_windows_are_upstream_ones(T):
    frames = torch.randn(2, T, 8)
    assert torch.equal(cut_windows(frames), upstream(frames, WINDOW, WINDOW))


@pytest.mark.parametrize("T", [17, 40, 51])
def test_context_stands_on_either_side_of_a_window(T):
    frames = torch.randn(2, T, 8)
    seen = cut_windows(frames, context=5)
    assert seen.shape == (2, window_count(T), 27, 8)
    assert torch.equal(seen[:, :, 5:-5], cut_windows(frames))
    assert not seen[:, 0, :5].any()
    for w in range(1, window_count(T)):
        assert torch.equal(seen[:, w, :5], frames[:, 17 * w - 5 : 17 * w])
        assert torch.equal(seen[:, w - 1, -5:], frames[:, 17 * w : 17 * w + 5])


def test_frames_behind_the_last_window_are_its_context():
    frames = torch.randn(1, 20, 2)
    (seen,) = cut_windows(frames, context=5)[0]
    assert torch.equal(seen[22:25], frames[0, 17:])
    assert not seen[25:].any()


def test_the_shorter_of_two_streams_ends_in_zeros():
    one, other = torch.randn(2, 5, 3), torch.randn(2, 7, 4)
    joined = join_longest(one, other)
    assert torch.equal(joined[:, :5, :3], one)
    assert torch.equal(joined[..., 3:], other)
    assert not joined[:, 5:, :3].any()
