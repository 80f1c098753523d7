"""Attention of several sequences in one pass, each over its own KV cache.

    positions of a pass   | a a a a | b | c c |       one row, no padding
    keys of a             |▒▒▒▒▒▒▒▒▒▒▒▒|a a a a|      what its cache keeps, and new ones
    keys of b             |▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒|b|

The linear layers of the model see one row of positions and read their weights once for
all sequences; only here are they told apart.  Prefill, decode and any mixture are the
same pass.  transformers calls us for each layer under the name `NAME`; without a pass
it gets its own attention.  Knows caches, and neither models nor tokens.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from engine.cache import Cache

NAME = "salmonn_packed"


def register() -> None:
    """Let transformers know our attention; a model is then loaded with `NAME`."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


class Row(Protocol):
    """One run of the model over a row in which several sequences stand."""

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
        """Return what each position attends to, in its own sequence.

        Args:
            layer: Number of the layer.
            queries: (1, G·H, N, D): G heads share the keys of each of H.
            keys: (1, H, N, D).
            values: (1, H, N, D).
            scale: Of the products; None means D^-½.
            window: How many positions back one attends, itself included; None
                means to all.

        Returns:
            (1, N, G·H, D).
        """


class Pass:
    """One run of the model over new positions of several sequences."""

    def __init__(self, counts: Sequence[int], caches: Sequence[Cache]) -> None:
        """Make room in the caches.

        Args:
            counts: How many new positions each sequence has, at least 1.
            caches: A cache for each, all different.
        """
        assert len({id(cache) for cache in caches}) == len(caches), "a cache twice"
        assert min(counts) > 0, "a sequence without new positions"
        self._counts, self._caches = list(counts), list(caches)
        self._masks: dict[tuple[int, int, int | None], Tensor] = {}
        for count, cache in zip(counts, caches, strict=True):
            cache.claim(count)

    def positions(self, device: torch.device) -> Tensor:
        """Return where the new positions stand in their sequences, (1, N)."""
        runs = zip(self._counts, self._caches, strict=True)
        ranges = [torch.arange(len(c), len(c) + n, device=device) for n, c in runs]
        return torch.cat(ranges)[None]

    def finish(self) -> None:
        """Let the caches keep the new positions."""
        for cache in self._caches:
            cache.advance()

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
        """Add keys and values to the caches; see `Row`."""
        heads = keys.shape[1]
        group = queries.shape[1] // heads
        out = []
        rows = zip(
            self._caches,
            queries[0].split(self._counts, 1),
            keys[0].split(self._counts, 1),
            values[0].split(self._counts, 1),
            strict=True,
        )
        for row, (cache, q, k, v) in enumerate(rows):
            kept_k, kept_v = cache.append(layer, k, v)
            count, length = k.shape[1], kept_k.shape[1]
            first = 0 if window is None else max(0, length - count - window + 1)
            attended = F.scaled_dot_product_attention(
                q.reshape(1, heads, group * count, -1),
                kept_k[None, :, first:],
                kept_v[None, :, first:],
                self._mask(row, length - first, group, window, q.device),
                scale=scale,
            )
            out.append(attended.reshape(heads * group, count, -1))
        return torch.cat(out, 1).transpose(0, 1)[None]

    def _mask(
        self,
        row: int,
        length: int,
        group: int,
        window: int | None,
        device: torch.device,
    ) -> Tensor | None:
        """Return which of the last keys a row's positions may see, (G·n, length)."""
        count = self._counts[row]
        if count == 1:
            return None
        key = (row, group, window)
        if key not in self._masks:
            steps = torch.arange(length, device=device)
            back = steps[length - count :, None] - steps[None]
            seen = back >= 0 if window is None else (back >= 0) & (back < window)
            self._masks[key] = seen.repeat(group, 1)
        return self._masks[key]


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    packed: Row | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers asks, or within a row of ours."""
    if packed is None:
        out: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **kwargs
        )
        return out
    layer: Any = module.layer_idx
    window, scale = kwargs.get("sliding_window"), kwargs.get("scaling")
    return packed.attend(layer, query, key, value, scale=scale, window=window), None
