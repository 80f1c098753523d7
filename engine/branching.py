"""Several ends of one sequence in one pass, of which none is kept.

    its cache  |▒▒▒▒▒▒▒▒▒▒▒▒|  stem | branch 1 | branch 2 |…     one row, no padding
               └────── read ───────┘└─ each sees what is before it, and itself ─┘

A branch stands behind the stem wherever it lies in the row, so each gives what it would
alone, and cache and stem are computed once.  The model calls us for each layer
(`engine.attention.Row`).  Knows caches, and neither models nor tokens.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.cache import Cache
from engine.device import send


class Branches:
    """One run of the model over a stem and its branches."""

    def __init__(self, cache: Cache, stem: int, branches: Sequence[int]) -> None:
        """Begin.

        Args:
            cache: What came before; it is only read.
            stem: Positions that all branches have in common, perhaps none.
            branches: Positions of each, at least 1.
        """
        assert len(cache), "nothing is before the branches"
        assert min(branches) > 0, "a branch without positions"
        self._cache = cache
        counts, first = [stem, *branches], len(cache) + stem
        places = [torch.arange(len(cache), first)]
        places += [torch.arange(first, first + count) for count in branches]
        self._places = torch.cat(places)
        self._branch = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        """Of each new position; 0 is the stem."""
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
            branch = torch.cat([torch.zeros(before).long(), self._branch])
            back = self._places[:, None] - places[None]
            seen = back >= 0
            seen &= (branch == 0)[None] | (self._branch[:, None] == branch[None])
            if window is not None:
                seen &= back < window
            self._masks[window] = send(seen, device)
        return self._masks[window]
