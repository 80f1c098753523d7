"""Trees of examples in one row."""

import pytest
import torch
import torch.nn.functional as F

from engine.training.packing import Packed, Tree

TREES = [Tree(3, (4, 1, 2)), Tree(0, (5,)), Tree(6, (2,))]
HEADS, GROUP, WIDTH = 2, 2, 4


def row(heads, seed):
    drawn = torch.Generator().manual_seed(seed)
    size = sum(tree.size for tree in TREES)
    return torch.randn(1, heads, size, WIDTH, generator=drawn)


@pytest.mark.parametrize("window", [None, 3])
def test_a_branch_attends_as_if_it_stood_behind_its_stem_alone(window):
    queries, keys, values = row(HEADS * GROUP, 0), row(HEADS, 1), row(HEADS, 2)
    packed = Packed(TREES)
    attended = packed.attend(0, queries, keys, values, scale=0.7, window=window)
    assert attended.shape == (1, queries.shape[2], HEADS * GROUP, WIDTH)
    first = 0
    for tree in TREES:
        stem = list(range(first, first + tree.stem))
        begin = first + tree.stem
        for size in tree.branches:
            alone = stem + list(range(begin, begin + size))
            places = torch.arange(len(alone))
            back = places[:, None] - places
            seen = (back >= 0) & (back < (window or len(alone)))
            expected = F.scaled_dot_product_attention(
                queries[:, :, alone],
                keys[:, :, alone].repeat_interleave(GROUP, 1),
                values[:, :, alone].repeat_interleave(GROUP, 1),
                seen,
                scale=0.7,
            )
            torch.testing.assert_close(
                attended[:, alone], expected.transpose(1, 2), atol=1e-6, rtol=1e-5
            )
            begin += size
        first += tree.size


def test_every_branch_counts_on_from_its_stem():
    positions = Packed([Tree(3, (2, 1)), Tree(0, (2,))]).positions(torch.device("cpu"))
    assert positions.tolist() == [[0, 1, 2, 3, 4, 3, 0, 1]]
