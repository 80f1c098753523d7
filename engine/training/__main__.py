"""Train a stage: `salmonn-train STAGE`.

STAGE is a TOML file, or the name of one that comes with the package.  A run that was
interrupted goes on when the same command is given again; so does one that was stopped
(SIGTERM, Ctrl-C), which saves first.  On several GPUs, with a FILE that `--accelerate`
names (docs/training.md):

    accelerate launch --config_file FILE -m engine.training STAGE
"""

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console

from engine.errors import EngineError
from engine.training.stages import find_stage, launches, shipped

if TYPE_CHECKING:
    from engine.training.config import StageConfig
    from engine.training.loop import Trainer

STOPPED = 128  # and the number of the signal: what shells expect


def main(argv: Sequence[str] | None = None) -> int:
    """Run `salmonn-train`; return its exit code."""
    options = _parser().parse_args(argv)
    if options.list:
        sys.stdout.write("".join(f"{name}\n" for name in shipped()))
        return 0
    if options.accelerate:
        sys.stdout.write(f"{launches()[options.accelerate]}\n")
        return 0
    try:
        config = _config(options)
    except (ValueError, OSError) as exc:
        sys.stderr.write(f"salmonn-train: {exc}\n")
        return 2
    try:
        return _run(config, options)
    except (EngineError, OSError) as exc:
        sys.stderr.write(f"salmonn-train: {exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("salmonn-train: interrupted; it goes on from its last save\n")
        return STOPPED + signal.SIGINT


def _config(options: argparse.Namespace) -> "StageConfig":
    """Return the stage with what the command line says otherwise."""
    # Here, not above: `--help` must not wait for torch.
    from engine.config import read_toml
    from engine.training.config import StageConfig

    if not options.stage:
        raise ValueError(f"no STAGE; there are {', '.join(shipped())}, or a file")
    config = read_toml(StageConfig, find_stage(options.stage))
    data = config.data
    if options.data:
        if config.stories is not None:
            stories = replace(config.stories, clips=options.data[0])
            config = replace(config, stories=stories)
        else:
            data = replace(data, train=tuple(options.data))
    if options.dev:
        data = replace(data, dev=tuple(options.dev))
    config = replace(config, data=data)
    chosen = {
        name: value
        for name in ("out", "start", "steps", "seed")
        if (value := getattr(options, name)) is not None
    }
    return replace(config, **chosen)


def _run(config: "StageConfig", options: argparse.Namespace) -> int:
    import torch
    from accelerate import Accelerator

    from engine.training.measure import measure
    from engine.training.parts import load_parts
    from engine.training.sharding import asks_for_shards, shard
    from engine.training.stage import prepare

    precision = "bf16" if config.model.precision == "bfloat16" else "no"
    accelerator = Accelerator(mixed_precision=precision, cpu=options.cpu)
    console = Console(stderr=True, quiet=not accelerator.is_main_process)
    console.print(config, highlight=False, soft_wrap=True)
    if asks_for_shards(accelerator):  # no device holds all of it, not even at first
        parts = load_parts(config, torch.device("cpu"))
        shard(parts.student, accelerator)
    else:
        parts = load_parts(config, accelerator.device)
    if options.measure:
        figures = measure(config, parts, accelerator, steps=options.measure)
        sys.stdout.write(f"{figures}\n")
        return 0
    return run_to_end(prepare(config, parts, accelerator, console))


def run_to_end(trainer: "Trainer") -> int:
    """Do what is left of a run, or as much as signals allow; return an exit code."""
    with _stopping(trainer) as caught:
        best = trainer.run()
    if trainer.was_stopped:
        trainer.journal.say("stopped and saved; the same command goes on from here")
        return STOPPED + (caught[0] if caught else signal.SIGTERM)
    if trainer.accelerator.is_main_process:
        _tell_end(trainer.config.out, best)
    return 0


def _tell_end(out: Path, best: float | None) -> None:
    from engine.training.loop import BEST, LAST

    sys.stdout.write(f"last: {out / LAST}\n")
    if best is not None:
        sys.stdout.write(f"best: {out / BEST}, token accuracy {100 * best:.2f} %\n")


@contextmanager
def _stopping(trainer: "Trainer") -> Iterator[list[int]]:
    """Have signals end the run after its step; yield where they are noted."""
    caught: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if caught:  # asked twice: at once
            raise KeyboardInterrupt
        caught.append(number)
        trainer.stop = True

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="salmonn-train", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("stage", nargs="?", metavar="STAGE", help="a TOML file, or a name of --list")
    add(
        "--data",
        type=Path,
        action="append",
        metavar="FILE",
        help="in place of the "
        "stage's lists of examples (of clips, where stories are written); repeatable",
    )
    add("--dev", type=Path, action="append", metavar="FILE", help="likewise, to score")
    add("--start", type=Path, metavar="FILE", help="the last stage's checkpoint")
    add("--out", type=Path, metavar="DIR", help="folder for checkpoints and logs")
    add("--steps", type=int, metavar="N", help="of the whole run")
    add("--seed", type=int, metavar="N", help="of order and chance")
    add("--cpu", action="store_true", help="even if there is a GPU")
    add(
        "--measure",
        type=int,
        metavar="N",
        help="time N steps, and what they could take at least; keeps nothing",
    )
    add(
        "--accelerate",
        choices=launches(),
        help="name the file that `accelerate launch --config_file` is to read",
    )
    add("--list", action="store_true", help="name the stages that come with this")
    return parser


if __name__ == "__main__":
    sys.exit(main())
