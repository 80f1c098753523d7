"""Clips as turns that a server with a given configuration would hear in them."""

import os
from collections.abc import Sequence
from pathlib import Path

from stream.__main__ import detector_of
from stream.capacity.costs import Costs
from stream.capacity.priced import STANDING, TASK, info_of
from stream.capacity.speech import Turn, record
from stream.config import read_config


def recorded(
    clips: Sequence[bytes],
    config: Path | None,
    costs: Costs,
    *,
    describes: bool = False,
) -> list[Turn]:
    """Let a session hear each clip, s16le at 16 kHz, as the server would.

    Args:
        clips: Speech, with silence behind it that ends a segment.
        config: The server's TOML file: its detector, and where segments end.
        costs: Whether a language model answers.
        describes: Whether it is asked about each segment.

    Raises:
        ValueError: If there is no speech in a clip, or the file is wrong.
        WeightsError: If the detector's weights cannot be had.
        OSError: If the file cannot be read.
    """
    server = read_config(config, os.environ)
    detector = detector_of(server)
    tasks = (TASK, STANDING) if describes else (TASK,)
    info = info_of(costs)
    return [
        record(clip, detector(), server.segmenter, info, tasks=tasks) for clip in clips
    ]
