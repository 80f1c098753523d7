"""Samples to Whisper's encoder frames while an utterance is heard.

Owns the state of one utterance: features, the loudest moment so far, the encoder's
caches.  It says which frames are settled and which are only guessed, and knows
nothing of what is decoded from them.
"""

import torch
from torch import Tensor

from engine.config import EncodingConfig
from engine.features import LogMel, normalise
from engine.geometry import ENCODER_STRIDE, HOP, N_MELS, WINDOW, samples_of
from engine.whisper_encoder import BlockEncoder

CONTEXT = 2  # mel frames that the convolutions look back


class StreamingEncoder:
    """Encode one utterance block by block.

    `push` returns frames that settle, those of all blocks that are complete, however
    they were heard; `rest` guesses the ones that have not, as if
    silence followed, and leaves no trace.  `exact` encodes all of it at once.
    Frames are as wide as the encoder's: of all layers that it was asked for.
    """

    def __init__(self, encoder: BlockEncoder, config: EncodingConfig) -> None:
        self._encoder = encoder
        self._block = config.block_windows * WINDOW
        self._right = config.right_windows * WINDOW
        self._log_mel = LogMel()
        self._mel = torch.empty(0, N_MELS)  # all of the utterance, 1 MB for 30 s
        self._state = encoder.new_state()

    @property
    def num_settled(self) -> int:
        """Encoder frames that will not change."""
        return self._state.num_frames

    @property
    def _next_stop(self) -> int:
        """Mel frames that it takes to settle the next block."""
        return ENCODER_STRIDE * (self.num_settled + self._block + self._right)

    def push(self, samples: Tensor) -> Tensor:
        """Add samples, (S,); return the encoder frames that settle, (T, D)."""
        self.hear(samples)
        return self.settle()

    def hear(self, samples: Tensor) -> None:
        """Add samples, (S,), and encode nothing yet: `settle` does that."""
        self._mel = torch.cat([self._mel, self._log_mel.push(samples)])

    def settle(self) -> Tensor:
        """Encode all blocks that are complete; return their frames, (T, D)."""
        settled = []
        while len(self._mel) >= (stop := self._next_stop):
            # Up to where the block hears, however much was pushed at once.
            heard = self._mel[:stop]
            block = self._features(heard, float(heard.max()))
            frames = self._encoder.encode(block, self._state, keep=self._block)
            settled.append(frames[: self._block])
        return torch.cat(settled) if settled else self._encoder.no_frames()

    def rest(self, silence_s: float) -> Tensor:
        """Return the frames behind the settled ones, followed by silence, (T, D)."""
        mel, peak = self._closed(silence_s)
        block = self._features(mel, peak)
        if len(block) <= CONTEXT:
            return self._encoder.no_frames()
        return self._encoder.encode(block, self._state)

    def exact(self, silence_s: float) -> Tensor:
        """Return the frames of the whole utterance in one pass, (T, D)."""
        mel, peak = self._closed(silence_s)
        return self._encoder.encode(normalise(mel, peak))

    def _closed(self, silence_s: float) -> tuple[Tensor, float]:
        """Return all features, with silence behind them, and the peak of both."""
        ahead = self._log_mel.closing(samples_of(silence_s) // HOP * HOP)
        mel = torch.cat([self._mel, ahead])
        mel = mel[: len(mel) // ENCODER_STRIDE * ENCODER_STRIDE]
        return mel, float(mel.max())

    def _features(self, mel: Tensor, peak: float) -> Tensor:
        """Return what the encoder needs to go on from the settled frames."""
        first = ENCODER_STRIDE * self.num_settled
        return normalise(mel[max(0, first - CONTEXT) :], peak)
