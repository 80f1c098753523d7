"""Whisper's decoder over encoder frames that are still growing.

Keys and values of the cross attention are computed once for each settled frame and
shared by all tasks; a pass over tokens may add provisional frames behind them.
The library's own decoder computes them from a finished clip only (docs/adr/0004);
its modules hold the weights here, too.  Knows neither which token to choose nor
what a token means.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.whisper.modeling_whisper import (
    WhisperAttention,
    WhisperDecoder,
    WhisperForConditionalGeneration,
)

from engine.device import send

FRAMES = 64  # that there is room for at first


class CrossKeys:
    """Keys and values of the cross attention, of every layer, as frames settle."""

    def __init__(self, room: Tensor) -> None:
        """Begin with room for some frames, (layers, 2, H, T, K)."""
        self._buffer = room
        self._settled = 0

    @property
    def settled(self) -> int:
        """Encoder frames that are in for good."""
        return self._settled

    def write(self, fresh: Tensor, *, settle: int) -> Tensor:
        """Put frames behind the settled ones; the first `settle` of them for good.

        Args:
            fresh: Keys and values, (layers, 2, H, T, K).
            settle: How many of the T to keep.

        Returns:
            All of them up to the last fresh one, (layers, 2, H, T, K): a view that
            holds until the next write.
        """
        assert settle <= fresh.shape[3], "more frames settle than came"
        end = self._settled + fresh.shape[3]
        self._grow(end)
        self._buffer[:, :, :, self._settled : end] = fresh
        self._settled += settle
        return self._buffer[:, :, :, :end]

    def _grow(self, frames: int) -> None:
        layers, two, heads, room, width = self._buffer.shape
        if frames > room:
            larger = self._buffer.new_empty(
                layers, two, heads, max(frames, 2 * room), width
            )
            larger[:, :, :, : self._settled] = self._buffer[:, :, :, : self._settled]
            self._buffer = larger


@dataclass(slots=True)
class Pass:
    """One pass of tokens over a fixed stretch of encoder frames."""

    cross: Tensor
    """Keys and values of the frames, (layers, 2, H, T, K)."""
    past: list[tuple[Tensor, Tensor]]
    """Keys and values of the tokens so far, a pair a layer, each (B, H, N, K)."""
    num_tokens: int = 0
    watched: dict[int, Tensor] = field(default_factory=dict)
    """Heads of the cross attention to watch, by layer, where the frames lie."""
    looks: list[Tensor] = field(default_factory=list)
    """Where the tokens of each call looked: (A, N, T), A the watched heads."""

    def crop(self, tokens: int) -> None:
        """Forget all but the first tokens."""
        self.past = [(k[:, :, :tokens], v[:, :, :tokens]) for k, v in self.past]
        if self.watched:
            self.looks = [self.attention[:, :tokens]]
        self.num_tokens = tokens

    @property
    def attention(self) -> Tensor:
        """How much each token looked at each frame, by watched head: (A, N, T)."""
        return torch.cat(self.looks, 1)

    def select(self, rows: Tensor) -> None:
        """Keep the rows of a batch, (B,), in that order; a row may come twice."""
        rows = send(rows, self.cross.device)
        self.past = [(k[rows], v[rows]) for k, v in self.past]


class TokenDecoder:
    """Runs a Whisper decoder on tokens, a few at a time."""

    def __init__(self, model: WhisperForConditionalGeneration) -> None:
        self._decoder: WhisperDecoder = model.model.decoder
        self._head = model.proj_out
        config = model.config
        self._heads = config.decoder_attention_heads
        self.width: int = config.d_model
        """Of the encoder frames that it reads."""
        self._head_width = self.width // self._heads
        self.max_tokens: int = config.max_target_positions
        """Positions: prompt and answer together may not be longer."""

    def new_cross(self) -> CrossKeys:
        """Return the cross attention's store of an utterance that has not begun."""
        weight: Tensor = self._decoder.embed_positions.weight
        shape = (len(self._decoder.layers), 2, self._heads, FRAMES, self._head_width)
        return CrossKeys(weight.new_empty(shape))

    @torch.inference_mode()
    def project(self, frames: Tensor) -> Tensor:
        """Return the cross attention's keys and values of encoder frames.

        Args:
            frames: (T, D).

        Returns:
            (layers, 2, H, T, K).
        """
        projected = [
            torch.stack([attention.k_proj(frames), attention.v_proj(frames)])
            for attention in (layer.encoder_attn for layer in self._decoder.layers)
        ]
        stacked = torch.stack(projected)
        return stacked.unflatten(-1, (self._heads, self._head_width)).transpose(2, 3)

    def begin(self, cross: Tensor, *, watch: Tensor | None = None) -> Pass:
        """Return a pass without tokens over frames' keys and values.

        Args:
            cross: (layers, 2, H, T, K).
            watch: Pairs of layer and head, (A, 2), on the CPU, whose attention to
                note; only for batches of one.
        """
        heads: dict[int, list[int]] = {}
        for layer, head in watch.tolist() if watch is not None else ():
            heads.setdefault(layer, []).append(head)
        watched = {
            layer: send(torch.tensor(some), cross.device)
            for layer, some in heads.items()
        }
        return Pass(cross, [], watched=watched)

    @torch.inference_mode()
    def hidden(self, tokens: Tensor, state: Pass) -> Tensor:
        """Append tokens to a pass.

        Args:
            tokens: (B, N), int64, on the CPU.
            state: The pass; it grows by N tokens.

        Returns:
            What the head reads, (B, N, D).
        """
        count = tokens.shape[1]
        start = state.num_tokens
        positions = self._decoder.embed_positions.weight[start : start + count]
        x = self._decoder.embed_tokens(send(tokens, positions.device)) + positions
        first = not state.past
        looks: list[Tensor] = []
        for index, layer in enumerate(self._decoder.layers):
            past = None if first else state.past[index]
            mixed, pair = self._attend_tokens(
                layer.self_attn, layer.self_attn_layer_norm(x), past
            )
            if first:
                state.past.append(pair)
            else:
                state.past[index] = pair
            x = x + mixed
            keys, values = state.cross[index]
            query = self._split(
                layer.encoder_attn.q_proj(layer.encoder_attn_layer_norm(x))
            )
            if (heads := state.watched.get(index)) is not None:
                looks.append(_attention(query[0, heads], keys[heads]))
            x = x + self._attend_frames(layer.encoder_attn, query, keys, values)
            x = x + layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(x))))
        if looks:
            state.looks.append(torch.cat(looks))
        state.num_tokens += count
        return self._decoder.layer_norm(x)

    @torch.inference_mode()
    def logits(self, hidden: Tensor) -> Tensor:
        """Return the logits of hidden states (…, D): (…, V), float32."""
        logits: Tensor = self._head(hidden).float()
        return logits

    def _split(self, x: Tensor) -> Tensor:
        """Return (B, N, D) as (B, H, N, K)."""
        return x.unflatten(-1, (self._heads, self._head_width)).transpose(1, 2)

    def _attend_tokens(
        self,
        attention: WhisperAttention,
        x: Tensor,
        past: tuple[Tensor, Tensor] | None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        query = self._split(attention.q_proj(x))
        keys = self._split(attention.k_proj(x))
        values = self._split(attention.v_proj(x))
        mask = None
        if past:
            keys = torch.cat([past[0], keys], 2)
            values = torch.cat([past[1], values], 2)
        N, total = query.shape[2], keys.shape[2]
        if N > 1:
            mask = x.new_ones(N, total, dtype=torch.bool).tril(total - N)
        mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        return attention.out_proj(mixed.transpose(1, 2).flatten(2)), (keys, values)

    @staticmethod
    def _attend_frames(
        attention: WhisperAttention, query: Tensor, keys: Tensor, values: Tensor
    ) -> Tensor:
        shape = (len(query), *keys.shape)
        mixed = F.scaled_dot_product_attention(
            query, keys.expand(shape), values.expand(shape)
        )
        return attention.out_proj(mixed.transpose(1, 2).flatten(2))


def _attention(query: Tensor, keys: Tensor) -> Tensor:
    """Return the probabilities (H, N, T) of queries (H, N, K) over keys (H, T, K)."""
    scores = (query @ keys.transpose(1, 2)).float() * query.shape[-1] ** -0.5
    return scores.softmax(-1)
