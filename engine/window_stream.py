"""Windows of fused frames to embeddings, each once, as both encoders' frames settle.

    speech frames ─┐ paired, as   ┌───────────────┐
                   ├────────────▶ │ windows       │ ─ Q-Former ─▶ embeddings
    audio frames ──┘ both settle  └───────────────┘

The offline way is the bridge's own `forward`: what is pushed here in pieces gives the
same embeddings.  Knows neither encoders nor language model.
"""

import copy

import torch
from torch import Tensor

from engine.geometry import window_count
from engine.qformer import Bridge
from engine.running import RunningStatistics
from engine.windows import cut_windows


class WindowStream:
    """Embed the windows of one utterance.

    `push` returns embeddings of windows that settle; `rest` guesses those of the ones
    that have not, and leaves no trace.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        config = bridge.config
        self._dtype = bridge.speech_query_tokens.dtype
        # Frames that wait for those of the other encoder.
        self._speech = self._zeros(0, config.speech_frame_width)
        self._audio = self._zeros(0, config.audio_width)
        # Frames from where the next window begins; zeros stand before the first.
        self._heard = self._zeros(0, config.speech_frame_width)
        self._fused = self._zeros(config.context, config.frame_width)
        self._so_far = RunningStatistics()

    @torch.inference_mode()
    def push(self, speech: Tensor, audio: Tensor | None) -> Tensor:
        """Add frames that have settled, as many of either as there are.

        Args:
            speech: Whisper's, (T, speech_frame_width).
            audio: BEATs', (T', audio_width); None where the bridge takes none.

        Returns:
            Embeddings of the windows that settle, (W · queries, llm_width).
        """
        speech, audio = self._behind(speech, audio)
        paired = len(speech) if audio is None else min(len(speech), len(audio))
        heard, fused = self._fuse(
            speech[:paired], None if audio is None else audio[:paired]
        )
        self._speech = speech[paired:]
        if audio is not None:
            self._audio = audio[paired:]
        self._heard = torch.cat([self._heard, heard])
        self._fused = torch.cat([self._fused, fused])
        config = self._bridge.config
        ahead = len(self._fused) - 2 * config.context
        count = window_count(ahead, size=config.window, hop=config.hop)
        embeddings = self._embed(self._heard, self._fused, count, self._so_far)
        self._heard = self._heard[count * config.hop :]
        self._fused = self._fused[count * config.hop :]
        return embeddings

    @torch.inference_mode()
    def rest(self, speech: Tensor, audio: Tensor | None) -> Tensor:
        """Return the embeddings of windows that have not settled, as if no more came.

        Args:
            speech: Frames behind those that were pushed, (T, speech_frame_width).
            audio: The same, (T', audio_width).  Zeros stand beside the end of the
                longer one.

        Returns:
            (W · queries, llm_width); what is no whole window is dropped.
        """
        config = self._bridge.config
        heard, fused = self._fuse(*self._behind(speech, audio))
        nothing = self._zeros(config.context, config.frame_width)
        return self._embed(
            torch.cat([self._heard, heard]),
            torch.cat([self._fused, fused, nothing]),
            window_count(
                len(self._fused) + len(fused) - config.context,
                size=config.window,
                hop=config.hop,
            ),
            copy.copy(self._so_far),  # its sums are replaced, never changed
        )

    def _behind(
        self, speech: Tensor, audio: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return frames behind those that wait."""
        speech = torch.cat([self._speech, speech.to(self._dtype)])
        if audio is not None:
            audio = torch.cat([self._audio, audio.to(self._dtype)])
        return speech, audio

    def _fuse(self, speech: Tensor, audio: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return standardised speech frames, and those of both encoders fused."""
        heard = self._bridge.standardise(speech[None])
        fused = self._bridge.fuse(heard, None if audio is None else audio[None])
        return heard[0], fused[0]

    def _embed(
        self, heard: Tensor, fused: Tensor, count: int, so_far: RunningStatistics
    ) -> Tensor:
        """Return the embeddings of the first windows, (W · queries, llm_width)."""
        config = self._bridge.config
        if not count:
            return self._zeros(0, config.llm_width)
        size, hop, context = config.window, config.hop, config.context
        stop = size + (count - 1) * hop
        windows = cut_windows(heard[None, :stop], size=size, hop=hop)
        told = self._bridge.told(windows, so_far)
        seen = fused[None, : stop + 2 * context].unfold(1, size + 2 * context, hop)
        return self._bridge.embed(seen.transpose(-1, -2), told)[0]

    def _zeros(self, frames: int, width: int) -> Tensor:
        device = self._bridge.speech_query_tokens.device
        return torch.zeros(frames, width, dtype=self._dtype, device=device)
