"""A stage on the tiny model as a process of its own, or one of several.

python -m tests.engine.training.run_tiny OUT CLIPS ACCUMULATION STEPS
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console

from engine.training.__main__ import run_to_end
from engine.training.config import (
    DataConfig,
    OptimiserConfig,
    RunConfig,
    StageConfig,
)
from engine.training.stage import prepare
from tests.engine.training.tiny import BRIDGE, tiny_parts


def main(out: str, clips: str, accumulation: str, steps: str) -> int:
    torch.set_num_threads(1)
    listed = (Path(clips),)
    config = StageConfig(
        name="tiny",
        out=Path(out),
        steps=int(steps),
        data=DataConfig(
            train=listed,
            dev=listed,
            batch=2,
            accumulation=int(accumulation),
            workers=0,
        ),
        optimiser=OptimiserConfig(
            peak_rate=2e-2, last_rate=1e-3, warm_up_steps=2, max_gradient_norm=1.0
        ),
        run=RunConfig(log_steps=1, validate_steps=1000, save_steps=1000),
    )
    parts = tiny_parts(bridge=replace(BRIDGE, dropout=0.1), lora_dropout=0.1)
    accelerator = Accelerator(cpu=True)
    trainer = prepare(config, parts, accelerator, Console(stderr=True, width=200))
    return run_to_end(trainer)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
