"""BEATs while a clip is heard: blocks of whole columns of 160 ms.

    columns   ─────────────────────────────────────────▶
    attended  [ left context ][   new   ][    right    ]
    kept                      [   new   ]

A block attends to the past, whose keys and values are kept, to itself and to a right
context that is computed again with the next block.  The official weights place tokens
by a convolution that looks 1.28 s to either side: their right context is so long that
every settled token is placed as offline, and what they lack is that tokens attend to
what comes later still.  Weights whose shape has `block_columns` lack nothing: they look
back only, and streamed they give what they give offline.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.beats import Beats, Layer
from engine.device import send
from engine.fbank import NUM_BINS, StreamingFbank
from engine.geometry import ENCODER_RATE
from engine.whisper_encoder import SlidingKeys

BLOCK_COLUMNS = 8  # of weights that look ahead; as much as they look, so cost is double
LEFT_CONTEXT_S = 30.0  # all of an utterance


@dataclass(slots=True)
class BeatsState:
    """What the blocks of one clip leave behind."""

    layers: list[SlidingKeys]
    unplaced: Tensor
    """The last tokens as the positional convolution sees them, (1, P, D)."""
    num_tokens: int = 0
    """Tokens kept so far: the position of the next block."""


class BlockBeats:
    """Runs a BEATs block by block.

    Args:
        beats: The weights.
        left_context_s: How far back a block attends, 50 tokens a second; at least to
            the block before.
    """

    def __init__(self, beats: Beats, *, left_context_s: float = LEFT_CONTEXT_S) -> None:
        self._beats = beats
        config = beats.config
        self.tokens_high = config.patches_high
        """Tokens in a column."""
        self.column_frames = config.input_patch_size
        """Frames of the filter bank in a column."""
        self.block_columns = config.block_columns or BLOCK_COLUMNS
        """New columns in a block."""
        block_tokens = self.block_columns * self.tokens_high
        self._left_tokens = max(block_tokens, round(left_context_s * ENCODER_RATE))
        self.right_columns = -(-config.tokens_ahead // self.tokens_high)
        """Columns of right context."""

    def new_state(self) -> BeatsState:
        """Return the state of a clip that has not begun."""
        config = self._beats.config
        heads, width = config.encoder_attention_heads, config.head_width
        like = self._beats.post_extract_proj.weight
        return BeatsState(
            [
                SlidingKeys(heads, width, self._left_tokens, like)
                for _ in self._beats.encoder.layers
            ],
            self.no_tokens()[None],
        )

    def no_tokens(self) -> Tensor:
        """Return the tokens of nothing, (0, D)."""
        return self._beats.post_extract_proj.weight.new_empty(
            0, self._beats.config.encoder_embed_dim
        )

    @torch.inference_mode()
    def encode(self, features: Tensor, state: BeatsState, *, keep: int = 0) -> Tensor:
        """Encode a block.

        Args:
            features: Of the filter bank, (M, 128), on the CPU; what is no whole column
                is dropped.
            state: What came before.
            keep: How many of the first new columns to keep in the state.

        Returns:
            Tokens of the block, (N, D), 8 a column; those of the first `keep` columns
            are settled.
        """
        if len(features) < self.column_frames:
            return self.no_tokens()
        beats, encoder, kept = self._beats, self._beats.encoder, keep * self.tokens_high
        weight = beats.post_extract_proj.weight
        patches = beats.patches(send(features, weight.device, weight.dtype)[None])
        unplaced = beats.post_extract_proj(patches)
        x = encoder.place(unplaced, state.unplaced)
        reach = state.layers[0].view.shape[2]
        position = torch.arange(
            state.num_tokens - reach, state.num_tokens + x.shape[1], device=x.device
        )
        bias = encoder.bias(position[reach:], position)
        for layer, cache in zip(encoder.layers, state.layers, strict=True):
            assert isinstance(layer, Layer), "layers are layers"
            query, keys, values = layer.self_attn.project(x)
            past = cache.view[:, None]
            attended = layer.self_attn.mix(
                query,
                torch.cat([past[0], keys], 2),
                torch.cat([past[1], values], 2),
                bias,
            )
            if kept:
                cache.append(keys[0, :, :kept], values[0, :, :kept])
            x = layer.add(x, attended)
        if kept:
            state.num_tokens += kept
            seen = torch.cat([state.unplaced, unplaced[:, :kept]], 1)
            state.unplaced = seen[:, -beats.config.tokens_before :]
        return x[0]


class StreamingBeats:
    """Encode one clip block by block.

    `push` returns tokens that settle; `rest` guesses the ones that have not, as if the
    clip ended here, and leaves no trace.
    """

    def __init__(self, beats: BlockBeats) -> None:
        self._beats = beats
        self._fbank = StreamingFbank()
        self._features = torch.empty(0, NUM_BINS)  # behind the settled columns
        self._state = beats.new_state()

    def push(self, samples: Tensor) -> Tensor:
        """Add samples, (S,); return the tokens that settle, (N, D)."""
        self._features = torch.cat([self._features, self._fbank.push(samples)])
        beats, settled = self._beats, [self._beats.no_tokens()]
        kept = beats.block_columns * beats.column_frames
        block = kept + beats.right_columns * beats.column_frames
        while len(self._features) >= block:
            tokens = beats.encode(
                self._features[:block], self._state, keep=beats.block_columns
            )
            settled.append(tokens[: beats.block_columns * beats.tokens_high])
            self._features = self._features[kept:]
        return torch.cat(settled)

    def rest(self) -> Tensor:
        """Return the tokens behind the settled ones, (N, D)."""
        return self._beats.encode(self._features, self._state)
