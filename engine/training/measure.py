"""How fast a stage trains here, beside the least that its arithmetic can take.

    floor = operations of a step / rate of a large matrix product

Operations are counted by PyTorch while the steps run for the first time: products of
forward and backward, nothing else.  Then the same steps are timed; their numbers decide
what they are.  The rate is the better of float32 and the stage's precision, each
measured on this machine.  Nothing is kept.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from engine.benchmarks.floor import multiply_add_rate
from engine.training.config import StageConfig
from engine.training.loop import Trainer
from engine.training.reading import Batch
from engine.training.stage import Parts, prepare

MEBI = 2**20
GIGA = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured."""

    steps: int
    step_s: float
    """Mean of all steps."""
    examples: float
    """In a step, on average."""
    reading_s: float
    """Of that, waiting for data."""
    operations: float
    """Multiply-adds of a step, on average."""
    rate: float
    """Multiply-adds a second of a large product."""
    peak_mib: float
    """Memory of the process, at most; of the GPU, where there is one."""
    threads: int

    @property
    def floor_s(self) -> float:
        """The least that a step's products can take."""
        return self.operations / self.rate

    def __str__(self) -> str:
        return (
            f"{1 / self.step_s:.3f} steps/s ({self.step_s:.2f} s a step, "
            f"{self.reading_s:.2f} s of it waiting for data, mean of {self.steps}), "
            f"{self.examples / self.step_s:.1f} examples/s\n"
            f"floor {self.floor_s:.2f} s: {self.operations / GIGA:.1f} G multiply-adds "
            f"at {self.rate / GIGA:.1f} G/s; a step takes "
            f"{self.step_s / self.floor_s:.1f} times that\n"
            f"peak memory {self.peak_mib:.0f} MiB, {self.threads} threads"
        )


def measure(
    config: StageConfig, parts: Parts, accelerator: Accelerator, *, steps: int
) -> Figures:
    """Time some steps of a stage as it would run them.

    Raises:
        EngineError: As for a run.
    """
    dtypes = {torch.float32, getattr(torch, config.model.precision)}
    rate = max(multiply_add_rate(dtype) for dtype in dtypes)
    with tempfile.TemporaryDirectory() as folder:
        stage = replace(
            config,
            out=Path(folder),
            steps=max(config.steps, steps),
            data=replace(config.data, dev=()),
        )
        trainer = prepare(stage, parts, accelerator, Console(quiet=True))
        first = trainer.batches(0)
        operations = sum(_count(trainer, step, first) for step in range(steps))
        again, taken_s = _Waited(trainer.batches(0)), 0.0
        for step in range(steps):
            begin = time.perf_counter()
            trainer.step(step, again)
            if accelerator.device.type == "cuda":
                torch.cuda.synchronize()
            taken_s += time.perf_counter() - begin
    return Figures(
        steps=steps,
        step_s=taken_s / steps,
        examples=again.examples / steps,
        reading_s=again.seconds / steps,
        operations=operations / steps,
        rate=rate,
        peak_mib=_peak_mib(accelerator),
        threads=torch.get_num_threads(),
    )


class _Waited:
    """Batches, and how long one waited for them."""

    def __init__(self, batches: Iterator[Batch]) -> None:
        self._batches = batches
        self.seconds, self.examples = 0.0, 0

    def __iter__(self) -> "_Waited":
        return self

    def __next__(self) -> Batch:
        begin = time.perf_counter()
        batch = next(self._batches)
        self.seconds += time.perf_counter() - begin
        self.examples += len(batch.keys)
        return batch


def _count(trainer: Trainer, step: int, batches: Iterator[Batch]) -> float:
    """Return the multiply-adds of a step, which is done."""
    with FlopCounterMode(display=False) as counter:
        trainer.step(step, batches)
    return counter.get_total_flops() / 2


def _peak_mib(accelerator: Accelerator) -> float:
    if accelerator.device.type == "cuda":
        return torch.cuda.max_memory_allocated() / MEBI
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (MEBI if sys.platform == "darwin" else 1024)
