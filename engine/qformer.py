"""SALMONN's bridge: windows of encoder frames to embeddings for the language model.

    Whisper frames -ln_speech-┐
                              ├─ windows of 17 ─ Q-Former ─ speech_llama_proj ─▶
    BEATs frames ----ln_audio-┘

The Q-Former is BERT's encoder without words: learned queries attend to themselves and,
in every layer, to the frames of one window.  Each window stands for itself, so a
window's embeddings never change once its frames have settled.  The names of the weights
are the official checkpoint's.  Knows neither encoders nor language model.

A bridge of our own training may do more, each by an option that official checkpoints
leave off (docs/adr/0015): frames beside the window, a mix of the encoder's layers, and,
for what takes seconds to hear, the mean and deviation of all frames so far.

Source:
    bytedance/SALMONN@a58bba7, models/salmonn.py, models/Qformer.py; arXiv:2310.13289.
"""

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.geometry import WINDOW
from engine.layer_mix import LayerMix
from engine.running import RunningStatistics
from engine.windows import cut_windows, join_longest


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """Shape of the bridge; defaults are the official 13B's."""

    speech_width: int = 1280
    """Of one layer of the encoder."""
    audio_width: int = 768
    """0: there is no second encoder."""
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
    speech_layers: int = 0
    """Layers of the speech encoder that stand beside each other in its frames, to be
    standardised and mixed; 0: the last layer alone, as it is."""
    context: int = 0
    """Frames on either side of a window that its queries see, too."""
    positions: bool = False
    """Whether queries can tell where in their window a frame stands."""
    running: bool = False
    """Whether queries are told the mean and deviation of all speech frames so far."""
    output_rms: float = 0.0
    """What the root mean square of embeddings begins at; 0: they are as they come."""

    def __post_init__(self) -> None:
        if self.running and self.hop != self.window:
            raise ValueError(
                f"bridge.running needs windows without overlap; hop is {self.hop}, "
                f"window {self.window}"
            )

    @property
    def speech_frame_width(self) -> int:
        """Width of the speech encoder's frames, all of its layers."""
        return max(1, self.speech_layers) * self.speech_width

    @property
    def frame_width(self) -> int:
        """Width of the joined frames."""
        return self.speech_width + self.audio_width


BRIDGE_OPTIONS = ("speech_layers", "context", "positions", "running", "output_rms")
"""Fields that no official checkpoint has other than by default."""


MINI_BRIDGE: Final = BridgeConfig(
    speech_width=512,
    audio_width=0,
    width=512,
    heads=8,
    ffn_width=2048,
    queries=4,
    speech_layers=5,
    context=8,
    positions=True,
    running=True,
    llm_width=640,
    output_rms=1.03,  # of Gemma's embeddings times the root of their width
)
"""The embedded model's: Whisper-base before it, Gemma 3 270M behind it."""


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

    def forward(
        self, queries: Tensor, frames: Tensor, told: Tensor | None = None
    ) -> Tensor:
        """Return (B, Q, D).

        Args:
            queries: (B, Q, D).
            frames: (B, T, D').
            told: What all queries of a window are told beforehand, (B, D).
        """
        x = self._dropout(self.embeddings["LayerNorm"](queries))
        if told is not None:
            x = x + told[:, None]
        return self.encoder(x, frames)


class Bridge(nn.Module):
    """From both encoders' frames to the language model's embeddings."""

    def __init__(self, config: BridgeConfig) -> None:
        super().__init__()
        self.config = config
        self.ln_speech = nn.LayerNorm(config.speech_width)
        if config.audio_width:
            self.ln_audio = nn.LayerNorm(config.audio_width)
        self.speech_query_tokens = nn.Parameter(
            torch.empty(1, config.queries, config.width).normal_(std=0.02)
        )
        self.speech_Qformer = nn.ModuleDict({"bert": Bert(config)})
        self.speech_llama_proj = nn.Linear(config.width, config.llm_width)
        self._add_options(config)

    def _add_options(self, config: BridgeConfig) -> None:
        if config.speech_layers:
            self.speech_layers = LayerMix(config.speech_layers, config.speech_width)
        if config.positions:
            seen = config.window + 2 * config.context
            self.speech_positions = nn.Parameter(
                torch.empty(seen, config.frame_width).normal_(std=0.02)
            )
        if config.running:
            self.speech_running = nn.Linear(2 * config.speech_frame_width, config.width)
            nn.init.zeros_(self.speech_running.weight)
        if config.output_rms:
            self.speech_llama_norm = nn.RMSNorm(config.llm_width, eps=1e-6)
            nn.init.constant_(self.speech_llama_norm.weight, config.output_rms)

    def standardise(self, speech: Tensor) -> Tensor:
        """Return the speech encoder's frames as `fuse` and `told` expect them."""
        if self.config.speech_layers:
            return self.speech_layers.standardise(speech)
        return speech

    def fuse(self, speech: Tensor, audio: Tensor | None = None) -> Tensor:
        """Return the frames of both encoders beside each other.

        Args:
            speech: Whisper's, standardised, (B, T, speech_frame_width).
            audio: BEATs', (B, T', audio_width); None where there is no second encoder.

        Returns:
            (B, max(T, T'), frame_width); the shorter one ends in zeros.
        """
        if self.config.speech_layers:
            speech = self.speech_layers(speech)
        speech = self.ln_speech(speech)
        assert (audio is None) == (self.config.audio_width == 0), "two encoders or one"
        return speech if audio is None else join_longest(speech, self.ln_audio(audio))

    def told(self, windows: Tensor, so_far: RunningStatistics) -> Tensor | None:
        """Return what the queries of each window are told, (B, W, width).

        Args:
            windows: Standardised speech frames, (B, W, window, speech_frame_width).
            so_far: Statistics of the windows before; these are added.
        """
        if not self.config.running:
            return None
        return self.speech_running(so_far.push(windows))

    def embed(self, windows: Tensor, told: Tensor | None = None) -> Tensor:
        """Return the embeddings of windows of fused frames.

        Args:
            windows: (B, W, context + window + context, frame_width).
            told: What `told` returned for them.

        Returns:
            (B, W · queries, llm_width).
        """
        batch = windows.flatten(0, 1)
        if self.config.positions:
            batch = batch + self.speech_positions
        queries = self.speech_query_tokens.expand(len(batch), -1, -1)
        embedded = self.speech_Qformer["bert"](
            queries, batch, None if told is None else told.flatten(0, 1)
        )
        projected = self.speech_llama_proj(embedded)
        if self.config.output_rms:
            projected = self.speech_llama_norm(projected)
        return projected.unflatten(0, windows.shape[:2]).flatten(1, 2)

    def forward(self, speech: Tensor, audio: Tensor | None = None) -> Tensor:
        """Return the embeddings of whole clips, (B, W · queries, llm_width).

        Args:
            speech: Whisper's frames, (B, T, speech_frame_width).
            audio: BEATs' frames, (B, T', audio_width); None without a second encoder.
        """
        size, hop, context = self.config.window, self.config.hop, self.config.context
        speech = self.standardise(speech)
        told = self.told(cut_windows(speech, size=size, hop=hop), RunningStatistics())
        fused = self.fuse(speech, audio)
        return self.embed(cut_windows(fused, size=size, hop=hop, context=context), told)
