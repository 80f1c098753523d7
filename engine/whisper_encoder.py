"""Whisper's encoder, a block of audio at a time.

The official encoder attends to the whole clip, so that each new second changes all
before it.  Here a block attends to what came before, whose keys and values are
kept, to itself, and to a short right context that is computed again with the next
block.  The cost of a second of audio is then the same however long the segment is.

    mel frames  ─────────────────────────────────────────▶
    attended    [   left context   ][ new ][ right ]
    kept                            [ new ]

One block over a whole clip, with nothing cached, is the official computation.  The
weights stay in transformers' own modules; this file only orders the work.  It knows
neither samples nor tokens.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.whisper.modeling_whisper import (
    WhisperAttention,
    WhisperEncoder,
)

from engine.device import send
from engine.geometry import ENCODER_STRIDE


class SlidingKeys:
    """Keys and values of one layer, of the last `limit` frames.

    A buffer of twice the limit is filled from the left; when it is full, its last
    `limit` frames move to the front.  So an append copies, on average, as much as
    it adds.
    """

    def __init__(self, heads: int, width: int, limit: int, like: Tensor) -> None:
        """Make room for the keys and values of `heads` heads, each `width` wide.

        Args:
            heads: H.
            width: K.
            limit: The most frames.
            like: A weight; keys and values are of its type, and lie where it does.
        """
        self._limit = limit
        self._buffer = like.new_empty(2, heads, 2 * limit, width)
        self._end = 0

    @property
    def view(self) -> Tensor:
        """Keys and values, (2, H, T, K), T at most `limit`."""
        return self._buffer[:, :, max(0, self._end - self._limit) : self._end]

    def append(self, keys: Tensor, values: Tensor) -> None:
        """Add frames, each (H, T, K); forget what is out of reach."""
        count = keys.shape[1]
        if self._end + count > self._buffer.shape[2]:
            kept = self.view.clone()
            self._end = kept.shape[2]
            self._buffer[:, :, : self._end] = kept
        span = slice(self._end, self._end + count)
        self._buffer[0, :, span], self._buffer[1, :, span] = keys, values
        self._end += count


@dataclass(slots=True)
class EncoderState:
    """What the blocks of one utterance leave behind."""

    layers: list[SlidingKeys]
    num_frames: int = 0
    """Encoder frames kept so far: the position of the next block."""


class BlockEncoder:
    """Runs a Whisper encoder block by block.

    Args:
        encoder: The weights.
        left_frames: How far back a block attends.
        layers: Layers whose frames are wanted, counted from 1, in rising order;
            empty means the last alone.  Frames of several stand beside each other:
            (T, L·D).  Only the last layer's are normalised, as the encoder does it.
    """

    def __init__(
        self,
        encoder: WhisperEncoder,
        *,
        left_frames: int,
        layers: tuple[int, ...] = (),
    ) -> None:
        last = len(encoder.layers)
        assert all(0 < layer <= last for layer in layers), "there is no such layer"
        self._encoder = encoder
        self._left_frames = left_frames
        self._layers = layers or (last,)
        self._heads = encoder.config.encoder_attention_heads
        self._head_width = encoder.config.d_model // self._heads

    @property
    def _weight(self) -> Tensor:
        """A weight: what is computed is of its type, and lies where it does."""
        weight: Tensor = self._encoder.conv1.weight
        return weight

    def new_state(self) -> EncoderState:
        """Return the state of an utterance that has not begun."""
        return EncoderState(
            [
                SlidingKeys(
                    self._heads, self._head_width, self._left_frames, self._weight
                )
                for _ in self._encoder.layers
            ]
        )

    def no_frames(self) -> Tensor:
        """Return encoder frames of nothing, (0, L·D)."""
        width = len(self._layers) * self._encoder.config.d_model
        return self._weight.new_empty(0, width)

    @torch.inference_mode()
    def encode(
        self, features: Tensor, state: EncoderState | None = None, *, keep: int = 0
    ) -> Tensor:
        """Encode a block.

        Args:
            features: Normalised log-mel, (M, 80), M even, on the CPU.  Where the
                state has frames before the block, the first two are the two mel
                frames before it, which the convolutions reach back to.
            state: What came before; None means nothing.
            keep: How many of the first new frames to keep in the state.

        Returns:
            Encoder frames of the block, (T, L·D); the first `keep` are settled.
        """
        first = state.num_frames if state else 0
        x = self._convolve(features, at_start=first == 0)
        x = x + self._encoder.embed_positions.weight[first : first + len(x)]
        wanted = []
        for index, layer in enumerate(self._encoder.layers):
            cache = state.layers[index] if state else None
            x = x + self._attend(
                layer.self_attn, layer.self_attn_layer_norm(x), cache, keep
            )
            hidden = F.gelu(layer.fc1(layer.final_layer_norm(x)))
            x = x + layer.fc2(hidden)
            if index + 1 in self._layers:
                is_last = index + 1 == len(self._encoder.layers)
                wanted.append(self._encoder.layer_norm(x) if is_last else x)
        if state:
            state.num_frames += keep
        return wanted[0] if len(wanted) == 1 else torch.cat(wanted, -1)

    def _convolve(self, features: Tensor, *, at_start: bool) -> Tensor:
        """Return (T, D): both convolutions, as if the past were still there.

        A convolution of width 3 looks one frame back: conv1 one mel frame, conv2
        one of conv1's.  At the start of a clip both see zeros instead.
        """
        x = send(features, self._weight.device, self._weight.dtype).T
        x = F.gelu(self._encoder.conv1(x))
        if not at_start:
            # The first of the two carried frames lacked its own left neighbour;
            # the second is what conv2 looks back to.
            x = x[:, 1:]
            conv2 = self._encoder.conv2
            x = F.conv1d(F.pad(x, (0, 1)), conv2.weight, conv2.bias, ENCODER_STRIDE)
        else:
            x = self._encoder.conv2(x)
        return F.gelu(x).T

    def _attend(
        self,
        attention: WhisperAttention,
        x: Tensor,
        cache: SlidingKeys | None,
        keep: int,
    ) -> Tensor:
        query, keys, values = (
            project(x).view(len(x), self._heads, -1).transpose(0, 1)
            for project in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        past = cache.view if cache else None
        if past is not None and past.shape[2]:
            all_keys = torch.cat([past[0], keys], 1)
            all_values = torch.cat([past[1], values], 1)
        else:
            all_keys, all_values = keys, values
        mixed = F.scaled_dot_product_attention(
            query[None], all_keys[None], all_values[None]
        )[0]
        if cache and keep:
            cache.append(keys[:, :keep], values[:, :keep])
        return attention.out_proj(mixed.transpose(0, 1).reshape(len(x), -1))
