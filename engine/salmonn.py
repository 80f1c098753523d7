"""SALMONN whole: two encoders, the bridge, a language model; as the original runs it.

    samples ─┬─ log-mel of 30 s ─ Whisper's encoder ─┐
             │                                       ├─ bridge ─▶ (W·queries, D)
             └─ filter bank ───── BEATs ─────────────┘
                      opening │ audio │ question ─▶ language model ─▶ text

This is the exact mode: a clip of up to 30 s, whole and padded.  What is heard while
it is spoken goes another way.  Knows no files: `engine.salmonn_files` has them.

Source:
    bytedance/SALMONN@a58bba7, models/salmonn.py, dataset.py; arXiv:2310.13289.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from engine.api import Samples
from engine.beats import Beats
from engine.fbank import fbank
from engine.features import of_clip
from engine.geometry import FRAME_SAMPLES, MAX_FRAMES, SAMPLE_RATE
from engine.qformer import Bridge

MIN_SAMPLES = SAMPLE_RATE  # what is shorter is continued with zeros
MAX_SAMPLES = MAX_FRAMES * FRAME_SAMPLES  # what is longer is cut off


class AudioTower(nn.Module):
    """From samples to embeddings for the language model."""

    def __init__(self, speech: WhisperEncoder, audio: Beats, bridge: Bridge) -> None:
        super().__init__()
        self.speech, self.audio, self.bridge = speech, audio, bridge

    @torch.inference_mode()
    def forward(self, samples: Samples) -> Tensor:
        """Return the embeddings of a clip, (W · queries, D), float32.

        The official shape gives 88, whatever the clip's length: Whisper hears 30 s of
        sound and silence.  BEATs hears the clip alone.

        Args:
            samples: Of a clip longer than 30 s, only these are heard.
        """
        clip = fit(torch.from_numpy(samples))
        device = self.bridge.speech_query_tokens.device
        padded = F.pad(clip.float(), (0, MAX_SAMPLES - len(clip)))
        features = of_clip(padded).T[None].to(device)
        speech = self.speech(features).last_hidden_state
        audio, _ = self.audio(fbank(clip)[None].to(device))
        embeddings: Tensor = self.bridge(speech, audio)[0]
        return embeddings


def fit(samples: Tensor) -> Tensor:
    """Return samples (S,) as long as the original takes them: 1 s to 30 s."""
    samples = samples[:MAX_SAMPLES]
    return F.pad(samples, (0, max(0, MIN_SAMPLES - len(samples))))
