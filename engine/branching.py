"""Several ends of one sequence in one pass, of which none is kept.

    its cache  |▒▒▒▒▒▒▒▒▒▒▒▒| branch 1 | branch 2 |…     one row, no padding
               └─── read ───┘└─ each sees the cache, and itself ─┘

A branch stands behind the cache wherever it lies in the row, so each gives what it
would alone, and the cache is read once.  The model calls us for each layer
(`engine.attention.Row`).  Knows caches, and neither models nor tokens.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.cache import Cache
from engine.device import send


class Branches:
    """One run of the model over some branches."""

    def __init__(self, cache: Cache, branches: Sequence[int]) -> None:
        """Begin.

        Args:
            cache: What came before; it is only read.
            branches: Positions of each, at least 1.
        """
        assert len(cache), "nothing is before the branches"
        assert min(branches) > 0, "a branch without positions"
        self._cache = cache
        first = len(cache)
        self._places = torch.cat(
            [torch.arange(first, first + count) for count in branches]
        )
        self._branch = torch.arange(len(branches)).repeat_interleave(
            torch.tensor(branches)
        )
        """Of each new position."""
        self._masks: dict[int | None, Tensor] = {}

    def positions(self, device: torch.device) -> Tensor:
        """Return where the new positions stand in their sequences, (1, N)."""
        return send(self._places, device)[None]

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
        kept_keys, kept_values = self._cache.read(layer)
        attended = F.scaled_dot_product_attention(
            queries,
            torch.cat([kept_keys[None], keys], 2),
            torch.cat([kept_values[None], values], 2),
            self._mask(window, queries.device),
            scale=scale,
            enable_gqa=True,
        )
        return attended.transpose(1, 2)

    def _mask(self, window: int | None, device: torch.device) -> Tensor:
        """Return which positions each new one may see, (N, L + N)."""
        if window not in self._masks:
            before = len(self._cache)
            places = torch.cat([torch.arange(before), self._places])
            back = self._places[:, None] - places[None]
            seen = back >= 0
            seen[:, before:] &= self._branch[:, None] == self._branch[None]
            if window is not None:
                seen &= back < window
            self._masks[window] = send(seen, device)
        return self._masks[window]
