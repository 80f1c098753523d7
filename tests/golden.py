"""Weights and waveforms without randomness, to compare implementations by.

    python -m tests.golden --salt N WAV… --out FILE.npz

writes the filter bank, BEATs' tokens and the bridge's embeddings of files under a fill
that depends on N only, so that another implementation can be held to the same numbers.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.beats import Beats, BeatsConfig
from engine.fbank import fbank
from engine.qformer import Bridge, BridgeConfig

M = TypeVar("M", bound=nn.Module)
RATE = 16_000
SPEECH_INDEX = 999  # second argument of the hash for the bridge's Whisper features
BRIDGE_FRAMES = 1500


def uniform(count: int, j: int) -> NDArray[np.float64]:
    """Return the hashes of (0, j) … (count - 1, j), in [0, 1)."""
    i = np.arange(1, count + 1, dtype=np.uint32)
    h = i * np.uint32(2654435761) + np.uint32((j + 1) * 40503 % 2**32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(2246822519)
    h ^= h >> np.uint32(13)
    h *= np.uint32(3266489917)
    h ^= h >> np.uint32(16)
    return h / 2.0**32


def fill(model: nn.Module, *, salt: int = 0) -> None:
    """Give every float weight of a model the value that its name and place ask for."""
    state = model.state_dict()
    names = sorted(name for name in state if state[name].is_floating_point())
    index = {name: j for j, name in enumerate(names)}
    for name in names:
        # The table of relative positions is one, under the name of its first layer.
        source = name
        if "relative_attention_bias" in name:
            source = next(n for n in names if "relative_attention_bias" in n)
        weight = state[name]
        c = uniform(weight.numel(), index[source] + salt) - 0.5
        values = _scaled(name, c, weight, model)
        weight.copy_(torch.from_numpy(values.astype(np.float32)).view(weight.shape))


def _scaled(
    name: str, c: NDArray[np.float64], weight: Tensor, model: nn.Module
) -> NDArray[np.float64]:
    owner = model.get_submodule(name.rpartition(".")[0])
    is_norm = isinstance(owner, nn.LayerNorm) and name.endswith("weight")
    if is_norm or name.endswith(("weight_g", "grep_a")):
        return 1.0 + 0.4 * c
    if "relative_attention_bias" in name:
        return 4.0 * c
    if name == "speech_query_tokens":
        return 2.0 * c
    if weight.ndim < 2:
        return 0.2 * c
    return c * 2.0 * math.sqrt(3.0 / math.prod(weight.shape[1:]))


def waveform(samples: int) -> Tensor:
    """Return two tones and a buzz, (S,), float64."""
    n = np.arange(samples)
    t = n / RATE
    tones = 0.3 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 1234.5 * t)
    return torch.from_numpy(tones + 0.05 * ((7919 * n % 1000) / 1000 - 0.5))


def golden_beats(*, salt: int = 0) -> Beats:
    """Return the official BEATs, filled."""
    return _filled(Beats(BeatsConfig()), salt)


def golden_bridge(*, salt: int = 0) -> Bridge:
    """Return the official 13B's bridge, filled."""
    return _filled(Bridge(BridgeConfig()), salt)


def speech_features(files: int, *, salt: int = 0) -> Tensor:
    """Return what stands for Whisper's frames, (files, 1500, 1280)."""
    width = BridgeConfig().speech_width
    values = uniform(files * BRIDGE_FRAMES * width, SPEECH_INDEX + salt)
    return torch.from_numpy((values - 0.5) * 2.0).float().view(files, -1, width)


def pad_together(waves: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return waveforms continued with zeros to the longest, and where they are none."""
    longest = max(map(len, waves))
    padded = torch.stack([nn.functional.pad(w, (0, longest - len(w))) for w in waves])
    lengths = torch.tensor([len(wave) for wave in waves])
    return padded, torch.arange(longest)[None] >= lengths[:, None]


def arrays_of(waves: Sequence[Tensor], *, salt: int) -> Mapping[str, Tensor]:
    """Return all outputs for some waveforms, by the names that the file has."""
    beats, bridge = golden_beats(salt=salt), golden_bridge(salt=salt)
    found: dict[str, Tensor] = {}
    with torch.inference_mode():
        for number, wave in enumerate(waves):
            features = fbank(wave)[None]
            found[f"{number}.fbank"] = features
            found[f"{number}.beats"], _ = beats(features)
        padded, padding = pad_together(waves)
        banks = torch.stack([fbank(row) for row in padded])
        found["batch.beats"], _ = beats(banks, padding)
        speech = speech_features(len(waves), salt=salt)
        found["batch.bridge"] = bridge(speech, found["batch.beats"])
    return found


def _filled(model: M, salt: int) -> M:
    fill(model, salt=salt)
    return model.eval().requires_grad_(False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden")
    parser.add_argument("waves", nargs="+", type=Path, metavar="WAV")
    parser.add_argument("--salt", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    waves = []
    for path in options.waves:
        samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
        if rate != RATE:
            parser.error(f"{path} has {rate} samples a second; expected {RATE}")
        waves.append(torch.from_numpy(samples[:, 0].copy()))
    arrays = arrays_of(waves, salt=options.salt)
    np.savez(options.out, **{name: array.numpy() for name, array in arrays.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
