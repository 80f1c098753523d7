"""Many examples in one row: no padding, and one copy of a clip for all about it.

    positions   | opening audio 1 | question answer | question answer | opening audio …
                └─ a clip's stem ─┘└─────────── its branches ─────────┘

A branch attends to its stem and to itself, and stands behind the stem wherever it lies
in the row: each example costs and counts what it would alone.  So a pass has as many
positions as there is to read, and audio is read once however much is asked about it.
The model calls us for each layer (`engine.attention`).  Knows no tokens and no caches.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Tree(NamedTuple):
    """How many positions a clip's stem and each of its branches have."""

    stem: int
    branches: tuple[int, ...]

    @property
    def size(self) -> int:
        """All positions."""
        return self.stem + sum(self.branches)


class Packed:
    """One run of the model over trees, as `engine.attention` runs it."""

    def __init__(self, trees: Sequence[Tree]) -> None:
        self._trees = tuple(trees)
        self._masks: dict[tuple[Tree, int | None], Tensor] = {}

    def positions(self, device: torch.device) -> Tensor:
        """Return where each position stands in its example, (1, N)."""
        runs = [_places(tree)[0] for tree in self._trees]
        return torch.cat(runs).to(device)[None]

    def attend(
        self,
        layer: int,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        scale: float | None,
        window: int | None,
    ) -> Tensor:
        """Return what each position attends to; see `engine.attention.Row`."""
        sizes = [tree.size for tree in self._trees]
        parts = zip(
            self._trees,
            queries.split(sizes, 2),
            keys.split(sizes, 2),
            values.split(sizes, 2),
            strict=True,
        )
        attended = [
            F.scaled_dot_product_attention(
                q,
                k,
                v,
                self._mask(tree, window, q.device),
                scale=scale,
                enable_gqa=True,
            )
            for tree, q, k, v in parts
        ]
        return torch.cat(attended, 2).transpose(1, 2)

    def _mask(self, tree: Tree, window: int | None, device: torch.device) -> Tensor:
        """Return which positions of a tree each of them may see, (n, n)."""
        key = (tree, window)
        if key not in self._masks:
            places, branch = _places(tree)
            back = places[:, None] - places[None]
            seen = (back >= 0) & ((branch == 0)[None] | (branch[:, None] == branch))
            if window is not None:
                seen &= back < window
            self._masks[key] = seen.to(device)
        return self._masks[key]


def _places(tree: Tree) -> tuple[Tensor, Tensor]:
    """Return where positions stand in their example, and in which branch; 0 is none."""
    places, branch = [torch.arange(tree.stem)], [torch.zeros(tree.stem)]
    for number, size in enumerate(tree.branches, 1):
        places.append(torch.arange(tree.stem, tree.stem + size))
        branch.append(torch.full((size,), float(number)))
    return torch.cat(places), torch.cat(branch)
