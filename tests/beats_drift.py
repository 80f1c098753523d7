"""How far BEATs' streamed tokens are from those of the whole clip.

    python -m tests.beats_drift WAV…

With the official shape and the fill of `tests.golden`: it says what streaming leaves
out, not what that costs an answer.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from engine.beats import Beats
from engine.beats_streaming import BlockBeats, StreamingBeats
from engine.fbank import fbank
from tests.golden import RATE, golden_beats


def streamed(beats: Beats, samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return the settled tokens of a clip, and those guessed behind them."""
    stream = StreamingBeats(BlockBeats(beats))
    return stream.push(samples), stream.rest()


def drift(found: Tensor, exact: Tensor) -> float:
    """Return the root mean square of a difference, as a share of what is exact."""
    return float((found - exact).square().mean().sqrt() / exact.square().mean().sqrt())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.beats_drift")
    parser.add_argument("waves", nargs="+", type=Path, metavar="WAV")
    options = parser.parse_args(arguments)
    beats = golden_beats()
    for path in options.waves:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        assert rate == RATE, f"{path} has {rate} samples a second; expected {RATE}"
        clip = torch.from_numpy(samples[:, 0].copy())
        with torch.inference_mode():
            exact = beats(fbank(clip)[None])[0][0]
        settled, rest = streamed(beats, clip)
        count = len(settled)
        sys.stdout.write(
            f"{path}: {count} tokens settled, {drift(settled, exact[:count]):.4f}; "
            f"{len(rest)} at the end, {drift(rest, exact[count:]):.4f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
