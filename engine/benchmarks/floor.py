"""The least that an encoder can take: its multiplications at the machine's best rate.

Knows the shape of a Whisper encoder, not its weights.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.config import EncodingConfig
from engine.errors import WeightsError
from engine.geometry import ENCODER_RATE, ENCODER_STRIDE, WINDOW

KERNEL = 3  # width of both convolutions
SIDE = 1024  # of the matrices whose product measures the machine
TRIALS = 20  # products; the fastest counts


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """What decides how much an encoder multiplies."""

    layers: int
    width: int
    hidden: int
    """Width of the feed-forward layers."""
    mels: int

    @classmethod
    def read(cls, folder: Path) -> "EncoderShape":
        """Return the shape that a checkpoint says it has.

        Raises:
            WeightsError: If its `config.json` does not say it.
        """
        file = folder / "config.json"
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
            return cls(
                layers=int(facts["encoder_layers"]),
                width=int(facts["d_model"]),
                hidden=int(facts["encoder_ffn_dim"]),
                mels=int(facts["num_mel_bins"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise WeightsError(f"{file} does not describe an encoder: {exc!r}") from exc

    def multiply_adds(self, encoding: EncodingConfig, *, at_s: float) -> float:
        """Return the multiply-adds that a second of audio takes.

        Right context counts each time it is computed.

        Args:
            encoding: Blocks and contexts.
            at_s: Where in the segment: there is no more left context than that.
        """
        new = encoding.block_windows * WINDOW
        rows = new + encoding.right_windows * WINDOW
        attended = rows + min(at_s, encoding.left_context_s) * ENCODER_RATE
        linear = 4 * self.width**2 + 2 * self.width * self.hidden
        convolutions = KERNEL * self.width * (ENCODER_STRIDE * self.mels + self.width)
        row = self.layers * (linear + 2 * attended * self.width) + convolutions
        return rows * row * ENCODER_RATE / new


def multiply_add_rate(dtype: torch.dtype) -> float:
    """Measure the multiply-adds a second of a large product."""
    left, right = torch.randn(2, SIDE, SIDE).to(dtype)
    taken_s = []
    for _ in range(TRIALS):
        begin = time.perf_counter()
        torch.mm(left, right)
        taken_s.append(time.perf_counter() - begin)
    return SIDE**3 / min(taken_s)
