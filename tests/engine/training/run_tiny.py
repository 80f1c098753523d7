"""A stage on the tiny model as a process of its own, or one of several.

python -m tests.engine.training.run_tiny OUT CLIPS ACCUMULATION STEPS
    [--sharded] [--stop-after STEP]
"""

import argparse
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
from engine.training.loop import Trainer
from engine.training.sharding import shard
from engine.training.stage import prepare
from tests.engine.training.tiny import BRIDGE, tiny_parts


def main(argv: list[str]) -> int:
    options = parsed(argv)
    torch.set_num_threads(1)
    listed = (options.clips,)
    config = StageConfig(
        name="tiny",
        out=options.out,
        steps=options.steps,
        data=DataConfig(
            train=listed,
            dev=listed,
            batch=2,
            accumulation=options.accumulation,
            workers=0,
        ),
        optimiser=OptimiserConfig(
            peak_rate=2e-2, last_rate=1e-3, warm_up_steps=2, max_gradient_norm=1.0
        ),
        run=RunConfig(log_steps=1, validate_steps=1000, save_steps=1000),
    )
    parts = tiny_parts(bridge=replace(BRIDGE, dropout=0.1), lora_dropout=0.1)
    accelerator = Accelerator(cpu=True)
    if options.sharded:
        shard(parts.student, accelerator)
        tell_share(parts.student.llm)
    empty = []
    parts.student.register_forward_pre_hook(
        lambda _module, args: empty.append(1) if not args[0].keys else None
    )
    trainer = prepare(config, parts, accelerator, Console(stderr=True, width=200))
    if options.stop_after is not None and accelerator.process_index == 1:
        stop_after(trainer, options.stop_after)
    code = run_to_end(trainer)
    sys.stderr.write(f"batches of nothing: {len(empty)}\n")
    return code


def parsed(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("accumulation", type=int)
    parser.add_argument("steps", type=int)
    parser.add_argument("--sharded", action="store_true")
    parser.add_argument(
        "--stop-after", type=int, help="of two processes, let the second be told to"
    )
    return parser.parse_args(argv)


def tell_share(llm: torch.nn.Module) -> None:
    """Say how many of the numbers of what is spread are here."""
    spread = [p for p in llm.parameters() if hasattr(p, "to_local")]
    here = sum(p.to_local().numel() for p in spread)
    sys.stderr.write(f"here: {here} of {sum(p.numel() for p in spread)} numbers\n")


def stop_after(trainer: Trainer, step: int) -> None:
    """Have a run told to stop, as a signal does, in the step that follows another."""
    advance = trainer.journal.advance

    def stop(done: int) -> None:
        advance(done)
        trainer.stop = done >= step - 1

    trainer.journal.advance = stop  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
