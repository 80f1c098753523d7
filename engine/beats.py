"""BEATs: an encoder of audio events and music.

    fbank (M, 128) -> patches of 16 x 16 -> 8 tokens for each 160 ms -> 12 layers

Tokens are in order of time, and within 160 ms from low to high frequency.  The
names of the weights are the official checkpoint's.  Runs on whole clips; how it runs
while they are heard is next door (`engine.beats_streaming`).

Source:
    microsoft/unilm, beats/BEATs.py and backbone.py; arXiv:2212.09058.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.fbank import NUM_BINS

GUARD = 32.0  # scores are divided and multiplied by it against overflow in float16


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsConfig:
    """Shape of a BEATs, by the names of its checkpoint's `cfg`.

    Defaults are those of BEATs_iter3+ (AS2M), fine-tuned.
    """

    input_patch_size: int = 16
    embed_dim: int = 512
    conv_bias: bool = False
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    conv_pos: int = 128
    conv_pos_groups: int = 16
    num_buckets: int = 320
    max_distance: int = 800
    predictor_class: int = 527
    block_columns: int = 0
    """Columns (of 160 ms) in a block, for weights of our own that are to be streamed.

    A token attends to its own block and to those before, and positions look back only,
    so that later audio changes nothing.  0 looks at everything, as official weights do.
    """

    @classmethod
    def from_checkpoint(cls, cfg: Mapping[str, Any]) -> "BeatsConfig":
        """Return the shape that a checkpoint's `cfg` tells.

        Raises:
            ValueError: If it asks for what this module does not compute.
        """
        for name, expected in _REQUIRED.items():
            if cfg.get(name, expected) != expected:
                raise ValueError(f"cfg.{name} is {cfg[name]!r}; expected {expected!r}")
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in cfg.items() if name in names})

    @property
    def head_width(self) -> int:
        """Width of an attention head."""
        return self.encoder_embed_dim // self.encoder_attention_heads

    @property
    def patches_high(self) -> int:
        """Tokens for one column of 160 ms."""
        return NUM_BINS // self.input_patch_size

    @property
    def block_tokens(self) -> int:
        """Tokens in a block; 0 where there are no blocks."""
        return self.block_columns * self.patches_high

    @property
    def tokens_before(self) -> int:
        """How many tokens the positional convolution looks back."""
        return self.conv_pos - 1 if self.block_columns else self.conv_pos // 2

    @property
    def tokens_ahead(self) -> int:
        """How many tokens the positional convolution looks ahead."""
        return self.conv_pos - 1 - self.tokens_before


_REQUIRED = {
    "activation_fn": "gelu",
    "layer_norm_first": False,
    "deep_norm": True,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
    "finetuned_model": True,
}


class Attention(nn.Module):
    """Self-attention with a relative position bias that each query gates."""

    def __init__(self, config: BeatsConfig, table: nn.Embedding) -> None:
        super().__init__()
        width = config.encoder_embed_dim
        self._heads, self._head_width = (
            config.encoder_attention_heads,
            config.head_width,
        )
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.grep_linear = nn.Linear(self._head_width, 8)
        self.grep_a = nn.Parameter(torch.ones(1, self._heads, 1, 1))
        # One for all layers; the checkpoint repeats it under each.
        self.relative_attention_bias = table

    def forward(self, x: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, N, D); see `mix`."""
        return self.mix(*self.project(x), bias, mask)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each (B, H, N, K), of tokens (B, N, D)."""
        query, keys, values = (
            self._split(project(x))
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        return query, keys, values

    def mix(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        bias: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return what tokens gather from others, (B, N, D).

        Args:
            query: (B, H, N, K).
            keys: (B, H, T, K).
            values: (B, H, T, K).
            bias: Of the distances between tokens, (H, N, T).
            mask: True where a token is not attended to; broadcasts to (B, H, N, T).
        """
        scores = (query * self._head_width**-0.5 / GUARD) @ keys.transpose(-1, -2)
        scores = (scores - scores.amax(-1, keepdim=True)) * GUARD
        if mask is not None:
            scores = scores.masked_fill(mask, -torch.inf)
        scores = scores + self._gate(query) * bias
        mixed = scores.softmax(-1) @ values
        return self.out_proj(mixed.transpose(1, 2).flatten(2))

    def _gate(self, query: Tensor) -> Tensor:
        """Return how much of the bias each query takes, (B, H, N, 1)."""
        sums = self.grep_linear(query).unflatten(-1, (2, 4)).sum(-1)
        a, b = sums.sigmoid().chunk(2, -1)
        return a * (b * self.grep_a - 1.0) + 2.0

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self._heads, self._head_width)).transpose(1, 2)


class Layer(nn.Module):
    """Attention and feed-forward, each with a scaled residual (DeepNorm)."""

    def __init__(self, config: BeatsConfig, table: nn.Embedding) -> None:
        super().__init__()
        width = config.encoder_embed_dim
        self._alpha = (2.0 * config.encoder_layers) ** 0.25
        self.self_attn = Attention(config, table)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.encoder_ffn_embed_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_embed_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, bias: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B, N, D); arguments as for `Attention`."""
        return self.add(x, self.self_attn(x, bias, mask))

    def add(self, x: Tensor, attended: Tensor) -> Tensor:
        """Return the output, (B, N, D), for the input and what it gathered."""
        x = self.self_attn_layer_norm(self._alpha * x + attended)
        hidden = F.gelu(self.fc1(x).float()).type_as(x)
        return self.final_layer_norm(self._alpha * x + self.fc2(hidden))


class PositionalConv(nn.Module):
    """A grouped convolution over tokens; its weights normalised along their width."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width, size = config.encoder_embed_dim, config.conv_pos
        self._groups = config.conv_pos_groups
        self._before, self._ahead = config.tokens_before, config.tokens_ahead
        self.bias = nn.Parameter(torch.zeros(width))
        self.weight_g = nn.Parameter(torch.ones(1, 1, size))
        self.weight_v = nn.Parameter(torch.randn(width, width // self._groups, size))

    def forward(self, x: Tensor, past: Tensor | None = None) -> Tensor:
        """Return (B, N, D) for (B, N, D).

        Args:
            x: Tokens; zeros stand behind them.
            past: The tokens before them, (B, P, D); before those stand zeros.
        """
        norm = self.weight_v.norm(dim=(0, 1), keepdim=True)
        weight = self.weight_v * (self.weight_g / norm)
        known = 0
        if past is not None:
            past = past[:, max(0, past.shape[1] - self._before) :]
            known = past.shape[1]
            x = torch.cat([past, x], 1)
        x = F.pad(x.transpose(1, 2), (self._before - known, self._ahead))
        x = F.conv1d(x, weight, self.bias, groups=self._groups)
        return F.gelu(x).transpose(1, 2)


class Encoder(nn.Module):
    """Positions, then the layers."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self._config = config
        self.pos_conv = nn.ModuleList([PositionalConv(config)])
        table = nn.Embedding(config.num_buckets, config.encoder_attention_heads)
        self.layers = nn.ModuleList(
            Layer(config, table) for _ in range(config.encoder_layers)
        )
        self.layer_norm = nn.LayerNorm(config.encoder_embed_dim)

    def forward(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """Return (B, N, D) for (B, N, D); padding is True where a token is none."""
        if padding is not None:
            x = x.masked_fill(padding[..., None], 0.0)
        x = self.place(x)
        position = torch.arange(x.shape[1], device=x.device)
        bias = self.bias(position, position)
        mask = None if padding is None else padding[:, None, None]
        if size := self._config.block_tokens:
            later = position[None] // size > position[:, None] // size
            mask = later if mask is None else mask | later
        for layer in self.layers:
            x = layer(x, bias, mask)
        return x

    def place(self, x: Tensor, past: Tensor | None = None) -> Tensor:
        """Return tokens (B, N, D) with their places; see `PositionalConv`."""
        placed: Tensor = self.layer_norm(x + self.pos_conv[0](x, past))
        return placed

    def bias(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return the bias of each key's distance to each query, (H, N, T).

        Args:
            queries: Positions, (N,).
            keys: Positions, (T,).
        """
        buckets = bucket_of(
            keys[None, :] - queries[:, None],
            num_buckets=self._config.num_buckets,
            max_distance=self._config.max_distance,
        )
        first = self.layers[0]
        assert isinstance(first, Layer), "layers are layers"
        bias: Tensor = first.self_attn.relative_attention_bias(buckets)
        return bias.permute(2, 0, 1)


def bucket_of(distance: Tensor, *, num_buckets: int, max_distance: int) -> Tensor:
    """Return the row of the bias table for distances, key minus query.

    Half of the rows are for keys that come later.  Of each half, half stand for a
    distance each, the others for ranges that grow with the logarithm.
    """
    half = num_buckets // 2
    exact = half // 2
    size = distance.abs()
    growth = (size.clamp(min=1).float() / exact).log() / math.log(max_distance / exact)
    far = (exact + (growth * (half - exact)).long()).clamp(max=half - 1)
    return torch.where(size < exact, size, far) + half * (distance > 0)


class Beats(nn.Module):
    """The whole network, with the head for AudioSet's classes."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.config = config
        self.post_extract_proj = nn.Linear(config.embed_dim, config.encoder_embed_dim)
        self.patch_embedding = nn.Conv2d(
            1,
            config.embed_dim,
            kernel_size=config.input_patch_size,
            stride=config.input_patch_size,
            bias=config.conv_bias,
        )
        self.encoder = Encoder(config)
        self.layer_norm = nn.LayerNorm(config.embed_dim)
        self.predictor = nn.Linear(config.encoder_embed_dim, config.predictor_class)

    def patches(self, features: Tensor) -> Tensor:
        """Return normalised patches, (B, N, 512), for a filter bank, (B, M, 128)."""
        embedded = self.patch_embedding(features[:, None])
        return self.layer_norm(embedded.flatten(2).transpose(1, 2))

    def forward(
        self, features: Tensor, padding: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the tokens of clips, and which of them are none.

        Args:
            features: Filter banks, (B, M, 128).
            padding: True where a sample of the waveforms is none, (B, S).

        Returns:
            Tokens, (B, N, 768), N = 8 · (M // 16), and their padding, (B, N).
        """
        patches = self.patches(features)
        if padding is not None:
            padding = shrink_padding(padding, features.shape[1])
            padding = shrink_padding(padding, patches.shape[1])
        return self.encoder(self.post_extract_proj(patches), padding), padding

    def classify(self, features: Tensor, padding: Tensor | None = None) -> Tensor:
        """Return the probabilities of AudioSet's classes, (B, 527)."""
        tokens, padding = self(features, padding)
        logits = self.predictor(tokens)
        if padding is None:
            return logits.mean(1).sigmoid()
        heard = (~padding).sum(1, keepdim=True)
        return (logits.masked_fill(padding[..., None], 0.0).sum(1) / heard).sigmoid()


def shrink_padding(padding: Tensor, length: int) -> Tensor:
    """Return a mask for fewer positions: none is, where all that it covers is none."""
    whole = padding.shape[1] - padding.shape[1] % length
    return padding[:, :whole].unflatten(1, (length, -1)).all(-1)
