"""SALMONN's bridge: windows of encoder frames to embeddings for the language model.

    Whisper frames -ln_speech-┐
                              ├─ windows of 17 ─ Q-Former ─ speech_llama_proj ─▶
    BEATs frames ----ln_audio-┘

The Q-Former is BERT's encoder without words: learned queries attend to themselves and,
in every layer, to the frames of one window.  Each window stands for itself, so a
window's embeddings never change once its frames have settled.  The names of the weights
are the official checkpoint's.  Knows neither encoders nor language model.

Source:
    bytedance/SALMONN@a58bba7, models/salmonn.py, models/Qformer.py; arXiv:2310.13289.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.geometry import WINDOW
from engine.windows import cut_windows, join_longest


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """Shape of the bridge; defaults are the official 13B's."""

    speech_width: int = 1280
    audio_width: int = 768
    width: int = 768
    """Of the queries."""
    heads: int = 12
    ffn_width: int = 3072
    layers: int = 2
    queries: int = 1
    """Embeddings for a window."""
    window: int = WINDOW
    """Frames in a window."""
    hop: int = WINDOW
    """Frames between the starts of two windows."""
    llm_width: int = 5120
    dropout: float = 0.1

    @property
    def frame_width(self) -> int:
        """Width of the joined frames."""
        return self.speech_width + self.audio_width


class SelfAttention(nn.Module):
    """Projections of an attention; keys and values may come from elsewhere."""

    def __init__(self, config: BridgeConfig, key_width: int) -> None:
        super().__init__()
        self._heads, self._dropout = config.heads, config.dropout
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(key_width, config.width)
        self.value = nn.Linear(key_width, config.width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Return (B, Q, D) for queries (B, Q, D) over a context, (B, T, D')."""
        query, key, value = (
            projected.unflatten(-1, (self._heads, -1)).transpose(1, 2)
            for projected in (self.query(x), self.key(context), self.value(context))
        )
        dropout = self._dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return mixed.transpose(1, 2).flatten(2)


class Output(nn.Module):
    """A projection, its residual, and the norm of both."""

    def __init__(self, config: BridgeConfig, width_in: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width_in, config.width)
        self.LayerNorm = nn.LayerNorm(config.width, eps=1e-12)
        self._dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """Return (B, Q, D)."""
        return self.LayerNorm(self._dropout(self.dense(x)) + residual)


class Attention(nn.Module):
    """Attention with its output; `self` is the official name of the projections."""

    def __init__(self, config: BridgeConfig, key_width: int) -> None:
        super().__init__()
        self.self = SelfAttention(config, key_width)
        self.output = Output(config, config.width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Return (B, Q, D) for queries (B, Q, D) over a context, (B, T, D')."""
        return self.output(self.self(x, context), x)


class Intermediate(nn.Module):
    """The wide half of a feed-forward."""

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.width, config.ffn_width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, Q, ffn_width)."""
        return F.gelu(self.dense(x))


class Layer(nn.Module):
    """Queries attend to themselves, then to the frames, then think."""

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.attention = Attention(config, config.width)
        self.crossattention = Attention(config, config.frame_width)
        self.intermediate_query = Intermediate(config)
        self.output_query = Output(config, config.ffn_width)

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """Return (B, Q, D) for queries (B, Q, D) over frames (B, T, D')."""
        x = self.crossattention(self.attention(x, x), frames)
        return self.output_query(self.intermediate_query(x), x)


class Encoder(nn.Module):
    """The layers."""

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """Return (B, Q, D) for queries (B, Q, D) over frames (B, T, D')."""
        for layer in self.layer:
            x = layer(x, frames)
        return x


class Bert(nn.Module):
    """The Q-Former under BERT's names."""

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {"LayerNorm": nn.LayerNorm(config.width, eps=1e-12)}
        )
        self.encoder = Encoder(config)
        self._dropout = nn.Dropout(config.dropout)

    def forward(self, queries: Tensor, frames: Tensor) -> Tensor:
        """Return (B, Q, D) for queries (B, Q, D) over frames (B, T, D')."""
        x = self._dropout(self.embeddings["LayerNorm"](queries))
        return self.encoder(x, frames)


class Bridge(nn.Module):
    """From both encoders' frames to the language model's embeddings."""

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.config = config
        self.ln_speech = nn.LayerNorm(config.speech_width)
        self.ln_audio = nn.LayerNorm(config.audio_width)
        self.speech_query_tokens = nn.Parameter(
            torch.empty(1, config.queries, config.width).normal_(std=0.02)
        )
        self.speech_Qformer = nn.ModuleDict({"bert": Bert(config)})
        self.speech_llama_proj = nn.Linear(config.width, config.llm_width)

    def fuse(self, speech: Tensor, audio: Tensor) -> Tensor:
        """Return the frames of both encoders beside each other.

        Args:
            speech: Whisper's, (B, T, speech_width).
            audio: BEATs', (B, T', audio_width).

        Returns:
            (B, max(T, T'), frame_width); the shorter one ends in zeros.
        """
        return join_longest(self.ln_speech(speech), self.ln_audio(audio))

    def embed(self, windows: Tensor) -> Tensor:
        """Return the embeddings of windows of fused frames.

        Args:
            windows: (B, W, window, frame_width).

        Returns:
            (B, W · queries, llm_width).
        """
        batch = windows.flatten(0, 1)
        queries = self.speech_query_tokens.expand(len(batch), -1, -1)
        embedded = self.speech_Qformer["bert"](queries, batch)
        return (
            self.speech_llama_proj(embedded)
            .unflatten(0, windows.shape[:2])
            .flatten(1, 2)
        )

    def forward(self, speech: Tensor, audio: Tensor) -> Tensor:
        """Return the embeddings of whole clips, (B, W · queries, llm_width)."""
        fused = self.fuse(speech, audio)
        size, hop = self.config.window, self.config.hop
        return self.embed(cut_windows(fused, size=size, hop=hop))
