"""What a voice sounds like, as 256 numbers: an encoder trained to tell speakers apart.

    samples ─▶ mel power, 40 bins a 10 ms ─▶ 3 LSTMs ─▶ their last state ─▶ linear ─▶
    ReLU ─▶ length 1

Two stretches of one voice give numbers that point the same way.  Who is whom, and
where one voice gives way to another, it does not know (engine/speakers.py).

Source:
    resemble-ai/Resemblyzer 0.1.4, voice_encoder.py and audio.py, for the layout, the
    features and their level; the weights are those of its wheel (docs/weights.md).
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import Final

import torch
from torch import Tensor, nn

from engine import manifest
from engine.device import send
from engine.errors import WeightsError
from engine.features import mel_filters
from engine.geometry import HOP, N_FFT
from engine.presets import VOICES_FILE

NUM_BINS: Final = 40
WIDTH: Final = 256
"""Of the LSTMs, and of what comes out."""
NUM_LAYERS: Final = 3
LEVEL: Final = 10 ** (-30 / 20)
"""Root mean square, of full scale, to which quieter audio is raised: -30 dB.

The features are powers, not their logarithms, so how loud it is counts.
"""
SILENCE: Final = 1e-6
"""Root mean square below which nothing is raised: there is nothing to hear."""
UNUSED: Final = frozenset({"similarity_weight", "similarity_bias"})
"""What training compared voices with; the file has them, too."""


class VoiceEncoder(nn.Module):
    """Embeds stretches of audio of one length, each by itself.

    Names and shapes of its parameters are those of the file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(NUM_BINS, WIDTH, NUM_LAYERS, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)

    @torch.inference_mode()
    def embed(self, windows: Tensor) -> Tensor:
        """Return what is heard in each window.

        Args:
            windows: (B, S), in [-1, 1), on the CPU; training heard 1.6 s.

        Returns:
            (B, 256), none negative, each of length 1; zeros where it heard nothing.
        """
        features = send(mel_power(levelled(windows)), self.linear.weight.device)
        _, (hidden, _) = self.lstm(features)
        heard = self.linear(hidden[-1]).relu()
        return nn.functional.normalize(heard, dim=1)


def levelled(windows: Tensor) -> Tensor:
    """Return each window, (B, S), raised to -30 dB of full scale if it is quieter."""
    level = windows.square().mean(1, keepdim=True).sqrt()
    gain = (LEVEL / level.clamp(min=SILENCE)).clamp(min=1.0)
    return windows * torch.where(level > SILENCE, gain, 1.0)


def mel_power(windows: Tensor) -> Tensor:
    """Return the power in mel bins, (B, S / 160, 40).

    Frame m is centred at sample 160·m; there are zeros around each window.
    """
    window = torch.hann_window(N_FFT)
    padded = nn.functional.pad(windows, (N_FFT // 2, N_FFT // 2))
    frames = padded.unfold(1, N_FFT, HOP)[:, : windows.shape[1] // HOP]
    return torch.fft.rfft(frames * window).abs().square() @ mel_filters(NUM_BINS)


def load_voices(folder: Path) -> VoiceEncoder:
    """Return the encoder with the weights of a part's folder.

    Raises:
        WeightsError: If the file is missing or is not the pinned one.
    """
    path = folder / VOICES_FILE.name
    manifest.check(path, VOICES_FILE.size_bytes, VOICES_FILE.sha256)
    return read_voices(path)


def read_voices(path: Path) -> VoiceEncoder:
    """Return the encoder with the weights of a file, opened for plain tensors only.

    Raises:
        WeightsError: If it does not hold them.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        tensors = {
            name: tensor
            for name, tensor in found["model_state"].items()
            if name not in UNUSED
        }
        encoder = VoiceEncoder()
        encoder.load_state_dict(tensors)
    except (UnpicklingError, RuntimeError, KeyError, AttributeError, EOFError) as exc:
        raise WeightsError(f"{path} holds no voice encoder: {exc}") from exc
    return encoder.requires_grad_(False).eval()
