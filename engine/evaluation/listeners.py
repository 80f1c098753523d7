"""What frozen encoders hear in a clip: mean and deviation of their frames over time.

    clip ─▶ Whisper's layers 2 to 6, as they are served ─▶ summary
         └▶ a BEATs, on the whole clip                  ─▶ summary

Frames of Whisper are read where they were kept, else encoded now.  Knows no labels.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from engine.api import Samples
from engine.beats import Beats
from engine.checkpoint import read_beats
from engine.config import EngineConfig
from engine.data.audio import samples_of_clip
from engine.data.manifest import Clip
from engine.fbank import HOP_SAMPLES, WINDOW_SAMPLES, fbank
from engine.geometry import ENCODER_RATE
from engine.training.features import (
    FeatureSettings,
    load_encoder,
    open_features,
    settings_of,
    stream_frames,
)
from engine.training.frame_store import FrameReader
from engine.weights import cache_folder, resolve
from engine.whisper_encoder import BlockEncoder

Vectors = NDArray[np.float64]


def summary(frames: NDArray[np.float16] | NDArray[np.float32]) -> Vectors:
    """Return mean and deviation over time of frames (T, W), (2 · W,)."""
    exact = frames.astype(np.float64)
    return np.concatenate([exact.mean(axis=0), exact.std(axis=0)])


@dataclass(slots=True)
class WhisperListener:
    """Gives what the frozen encoder hears in a clip; keeps nothing but sums."""

    settings: FeatureSettings
    kept: FrameReader
    _encoder: BlockEncoder | None = field(default=None, repr=False)

    @classmethod
    def open(cls) -> "WhisperListener":
        """Return one for the Whisper of the cache folder.

        Raises:
            EngineError: If weights or index are missing or damaged.
        """
        settings = settings_of(resolve("whisper", EngineConfig()))
        return cls(settings, open_features(cache_folder(), settings))

    def hear(self, clip: Clip) -> Vectors:
        """Return mean and deviation of a clip's frames, without what closes them.

        Raises:
            EngineError: If it is no audio.
        """
        count = max(1, round(clip.duration_s * ENCODER_RATE))
        if clip.path in self.kept and clip.start_s is None and not clip.expand:
            return summary(self.kept.read(clip.path)[:count])
        return summary(self._frames(clip, samples_of_clip(clip))[:count])

    def _frames(self, clip: Clip, samples: Samples) -> NDArray[np.float32]:
        if self._encoder is None:
            _, whisper = load_encoder()
            left = round(self.settings.left_context_s * ENCODER_RATE)
            self._encoder = BlockEncoder(
                whisper.model.model.encoder,
                left_frames=left,
                layers=self.settings.layers,
            )
        frames: NDArray[np.float32] = stream_frames(
            self._encoder,
            torch.from_numpy(samples),
            self.settings.encoding(clip),
            closing_silence_s=self.settings.closing_silence_s,
        ).numpy()
        return frames


@dataclass(frozen=True, slots=True)
class BeatsListener:
    """Gives what a BEATs hears in a clip, whole."""

    beats: Beats
    taught: frozenset[str] = frozenset()
    """Clips whose labels it learned, by their paths."""

    @classmethod
    def open(cls, path: Path) -> "BeatsListener":
        """Return one for a file of weights, released or our own.

        Raises:
            WeightsError: If it is missing, or no BEATs.
        """
        found = read_beats(path)
        return cls(found.model, found.taught)

    @torch.inference_mode()
    def hear(self, clip: Clip) -> Vectors:
        """Return mean and deviation of a clip's tokens.

        What is too short for a token is followed by silence.

        Raises:
            ManifestError: If it is no audio.
        """
        samples = torch.from_numpy(samples_of_clip(clip))
        frames = self.beats.config.input_patch_size
        least = WINDOW_SAMPLES + (frames - 1) * HOP_SAMPLES
        samples = F.pad(samples, (0, max(0, least - len(samples))))
        tokens, _ = self.beats(fbank(samples)[None])
        return summary(tokens[0].numpy())
