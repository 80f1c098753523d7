"""How clips are heard in training: whole, as the original does, or as they are served.

    exact       samples ─▶ log-mel of 30 s, filter bank ─┬▶ Whisper, BEATs ─▶ frames
                processes that read data ────────────────┘  with the model
    streaming   samples ─▶ blocks with a short right context ─▶ frames, or kept ones

Exact hearing leaves the encoders to the model's device, a batch at a time.  Streaming
goes block by block, so its frames are made where data is read, or were made once and
kept (`engine.training.features`).  Everything here is frozen.
"""

import random
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from engine.beats import Beats
from engine.config import EncodingConfig
from engine.data.examples import Example
from engine.fbank import fbank
from engine.features import LogMel, normalise
from engine.geometry import HOP
from engine.training.clips import MAX_SAMPLES, read_joined
from engine.training.features import BLOCKS, RIGHTS, FeatureSettings, stream_frames
from engine.training.frame_store import FrameReader
from engine.training.reading import Batch, Features
from engine.training.student import Frames
from engine.whisper_encoder import BlockEncoder


class ExactListener:
    """Log-mel of 30 s, and the filter bank of the clip itself."""

    def __init__(self, *, has_audio: bool) -> None:
        """Say whether there is a second encoder, which reads the filter bank."""
        self._has_audio = has_audio

    def hear(self, example: Example, seed: str | None) -> Features:
        """Return `mel`, (3000, 80), and `fbank`, (M, 128)."""
        samples = torch.from_numpy(read_joined(example))
        log_mel = LogMel()
        pieces = [log_mel.push(F.pad(samples, (0, MAX_SAMPLES - len(samples))))]
        mel = torch.cat([*pieces, log_mel.closing(0)])[: MAX_SAMPLES // HOP]
        features = {"mel": normalise(mel, float(mel.max()))}
        if self._has_audio:
            features["fbank"] = fbank(samples)
        return features


class ExactEars(nn.Module):
    """Both encoders, over whole clips.

    As in the original's batches, BEATs' frames behind the end of a shorter clip are
    whatever it makes of padding.
    """

    def __init__(self, speech: WhisperEncoder, audio: Beats | None) -> None:
        super().__init__()
        self.speech, self.audio = speech, audio

    def forward(self, batch: Batch) -> Frames:
        """Return the frames of `mel` and `fbank`."""
        mel = batch.features["mel"].transpose(1, 2)
        speech = self.speech(mel.to(self.speech.conv1.weight.dtype)).last_hidden_state
        counts = torch.full((len(speech),), speech.shape[1])
        if self.audio is None:
            return Frames(speech, None, counts)
        banks, lengths = batch.features["fbank"], batch.lengths["fbank"]
        at = torch.arange(banks.shape[1], device=banks.device)
        audio, _ = self.audio(banks, at >= lengths[:, None])
        return Frames(speech, audio, counts)


class StreamingListener:
    """Frames as a live utterance would have them; kept ones where there are any.

    Blocks and right context are drawn anew for each visit, so that the bridge does not
    lean on one choice; kept frames had theirs drawn when they were made.
    """

    def __init__(
        self,
        encoder: BlockEncoder,
        settings: FeatureSettings,
        kept: FrameReader | None,
    ) -> None:
        self._encoder, self._settings, self._kept = encoder, settings, kept

    def hear(self, example: Example, seed: str | None) -> Features:
        """Return `speech`, (T, L·D)."""
        is_whole = example.start_s is None and len(example.files) == 1
        if self._kept is not None and is_whole and example.key in self._kept:
            rows = self._kept.read(example.key)
            return {"speech": torch.from_numpy(rows).float()}
        encoding = EncodingConfig(left_context_s=self._settings.left_context_s)
        if seed is not None:
            drawn = random.Random(f"{seed} blocks")
            encoding = replace(
                encoding,
                block_windows=drawn.choice(BLOCKS),
                right_windows=drawn.choice(RIGHTS),
            )
        frames = stream_frames(
            self._encoder,
            torch.from_numpy(read_joined(example)),
            encoding,
            closing_silence_s=self._settings.closing_silence_s,
        )
        # Out of inference mode: what learns from them saves them for its gradient.
        return {"speech": frames.clone().float()}


class ReadyEars(nn.Module):
    """Ears whose work the listener did."""

    def forward(self, batch: Batch) -> Frames:
        """Return the frames of `speech`."""
        return Frames(batch.features["speech"], None, batch.lengths["speech"])
