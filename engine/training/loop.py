"""The steps of a stage: read, learn, tell, validate, save; stop when told to.

    step ─▶ batches of this process ─▶ sums of losses ─▶ gradients of sums
         ─▶ summed over processes ─▶ divided by all tokens ─▶ clipped ─▶ AdamW

A token counts the same wherever it was learned: the loss of a step is the sum over its
tokens divided by their number, over all batches and processes.  So accelerate moves
sums, and nothing is wrapped (docs/adr/0016).  Before each batch chance begins anew,
from the seed, the step and the batch's place; so the same steps give the same weights,
cut in two or not, on however many processes.  Knows neither what a model is made of nor
what is in a batch.
"""

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from engine.errors import EngineError
from engine.training.config import StageConfig
from engine.training.journal import Journal
from engine.training.optimisation import groups, rate_at
from engine.training.order import Order, Visit
from engine.training.reading import Batch, Batches, Broken
from engine.training.state import State, replace_file, write_state
from engine.training.student import Tally

LAST, BEST = "last.safetensors", "best.safetensors"
MOST_TOLD = 20  # broken examples that are told one by one; the rest is counted


class TrainingError(EngineError):
    """Raised when there is no sense in going on."""


class Pupil(Protocol):
    """What is taught: a module that says what of it learns, and keeps it in a file."""

    @property
    def module(self) -> nn.Module:
        """Returns a `Tally` for a `Batch`."""

    def learned(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the weights that learn, by name, always in the same order."""

    def write(self, path: Path) -> None:
        """Write what has been learned, for the next stage and for use."""


@dataclass(slots=True)
class Sums:
    """What some batches cost together."""

    loss: float = 0.0
    targets: int = 0
    correct: int = 0
    skipped: int = 0
    stopping: int = 0
    """Processes that were told to stop."""

    def add(self, other: "Sums") -> None:
        """Add others."""
        self.loss += other.loss
        self.targets += other.targets
        self.correct += other.correct
        self.skipped += other.skipped

    @property
    def numbers(self) -> dict[str, float]:
        """What people want to know of it."""
        tokens = max(self.targets, 1)
        return {"loss": self.loss / tokens, "accuracy": self.correct / tokens}


class Trainer:
    """One run of one stage.

    Args:
        config: The stage.
        settings: What decides what is learned, by name.
        pupil: What learns.
        order: Of the training examples.
        train: Reads them.
        dev: Reads the dev examples; None if there are none.
        dev_plan: All batches of the dev examples.
        accelerator: The processes.
        journal: Is told how it goes.
        state: Where an earlier run of these settings had come to.
    """

    def __init__(
        self,
        *,
        config: StageConfig,
        settings: dict[str, str],
        pupil: Pupil,
        order: Order,
        train: Batches,
        dev: Batches | None,
        dev_plan: Sequence[tuple[Visit, ...]],
        accelerator: Accelerator,
        journal: Journal,
        state: State | None,
    ) -> None:
        self.config, self.settings, self.pupil = config, settings, pupil
        self.order, self.train = order, train
        self.dev, self.dev_plan = dev, dev_plan
        self.accelerator, self.journal, self.state = accelerator, journal, state
        self.stop = False
        """Set it from outside: the run saves and returns after its step."""
        self.was_stopped = False
        """Whether any of the processes was told to stop."""
        self._skipped, self._best = 0, None if state is None else state.best
        self._told = set[str]()
        self._learned = list(self.pupil.learned())
        optimiser = self.config.optimiser
        first, second = optimiser.betas
        self._optimiser = torch.optim.AdamW(
            groups(self._learned, optimiser.weight_decay),
            lr=optimiser.first_rate,
            betas=(first, second),
            eps=optimiser.eps,
        )
        if self.state is not None:
            self._go_on_from(self.state)

    def run(self) -> float | None:
        """Do the steps that are left; return the best dev accuracy.

        Returns after the step at which it was stopped, having saved.

        Raises:
            TrainingError: If the loss is no number, or nothing of a step can be read.
        """
        with self.journal:
            self._run()
        return self._best

    def _run(self) -> None:
        begin = self.state.step if self.state else 0
        run, steps = self.config.run, self.config.steps
        batches = self.batches(begin)
        since, seen, at = Sums(), 0, time.perf_counter()
        for step in range(begin, steps):
            sums, norm = self.step(step, batches)
            since.add(sums)
            seen, done = seen + 1, step + 1
            self.journal.advance(done)
            if done % run.log_steps == 0 or done == steps:
                elapsed, at = time.perf_counter() - at, time.perf_counter()
                numbers = since.numbers | {
                    "rate": rate_at(step, steps, self.config.optimiser),
                    "gradient": norm,
                    "tokens": float(since.targets),
                    "skipped": float(self._skipped),
                    "steps_per_s": seen / elapsed,
                }
                if self.accelerator.is_main_process:
                    self.journal.record(done, "train", numbers)
                since, seen = Sums(), 0
            if done % run.validate_steps == 0 or done == steps:
                self._validate(done)
                at = time.perf_counter()
            if done % run.save_steps == 0 or done == steps or sums.stopping:
                self._save(done)
            if sums.stopping:
                self.was_stopped = done < steps
                return

    def batches(self, begin: int) -> Iterator[Batch]:
        """Yield this process' batches of all steps from one on."""
        return self.train.read(self._plan(begin))

    def _plan(self, begin: int) -> Iterator[tuple[Visit, ...]]:
        """Yield this process' batches of all steps that are left."""
        for step in range(begin, self.config.steps):
            first, every = (
                self.accelerator.process_index,
                self.accelerator.num_processes,
            )
            yield from self.order.step(step)[first::every]

    def step(self, step: int, batches: Iterator[Batch]) -> tuple[Sums, float]:
        """Do a step; return what it cost everyone, and the gradient's norm."""
        config, mine = self.config, Sums()
        self.pupil.module.train()
        for group in self._optimiser.param_groups:
            group["lr"] = rate_at(step, config.steps, config.optimiser)
        self._optimiser.zero_grad(set_to_none=False)
        world = self.accelerator.num_processes
        for turn in range(config.data.accumulation):
            batch = next(batches)
            place = turn * world + self.accelerator.process_index
            _begin_chance_anew(f"{config.seed} {step} {place}")
            tally = self._cost(batch)
            self.accelerator.backward(tally.loss)
            mine.add(_sums(tally))
            mine.skipped += self._tell(batch.broken)
        sums = self._everyones(mine)
        if not sums.targets:
            raise TrainingError(f"no example of step {step + 1} could be read")
        if not abs(sums.loss) < float("inf"):
            raise TrainingError(f"the loss of step {step + 1} is {sums.loss}")
        self._skipped += sums.skipped
        norm = self._average_gradients(sums.targets)
        self._optimiser.step()
        return sums, norm

    def _cost(self, batch: Batch) -> Tally:
        with self.accelerator.autocast():
            tally: Tally = self.pupil.module(batch.to(self.accelerator.device))
        return tally

    def _everyones(self, mine: Sums) -> Sums:
        """Return the sums of all processes."""
        row = [mine.loss, mine.targets, mine.correct, mine.skipped, int(self.stop)]
        summed = self._reduced(torch.tensor(row, dtype=torch.float64)).tolist()
        return Sums(summed[0], *map(round, summed[1:]))

    def _average_gradients(self, tokens: int) -> float:
        """Turn every process' sums into the mean over all tokens; return its norm."""
        gradients = []
        for _, parameter in self._learned:
            if parameter.grad is None:  # nothing of this process' batches led there
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        if self.accelerator.num_processes > 1:
            flat = self._reduced(torch.cat([g.flatten() for g in gradients]))
            sizes = [gradient.numel() for gradient in gradients]
            for gradient, summed in zip(gradients, flat.split(sizes), strict=True):
                gradient.copy_(summed.view_as(gradient))
        for gradient in gradients:
            gradient.div_(tokens)
        limit = self.config.optimiser.max_gradient_norm
        parameters = [parameter for _, parameter in self._learned]
        return float(torch.nn.utils.clip_grad_norm_(parameters, limit or float("inf")))

    def _reduced(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes."""
        if self.accelerator.num_processes == 1:
            return values
        summed = self.accelerator.reduce(values.to(self.accelerator.device), "sum")
        assert isinstance(summed, Tensor), "a tensor's sum is one"
        return summed

    @torch.no_grad()
    def _validate(self, step: int) -> None:
        """Score the dev examples; keep the weights if no earlier ones were better."""
        if self.dev is None:
            return
        self.pupil.module.eval()
        first, every = self.accelerator.process_index, self.accelerator.num_processes
        # All processes have as many, some of them empty: see engine.training.sharding.
        plan = [*self.dev_plan, *[()] * (-len(self.dev_plan) % every)]
        mine = Sums()
        for batch in self.dev.read(plan[first::every]):
            mine.add(_sums(self._cost(batch)))
            mine.skipped += self._tell(batch.broken)
        sums = self._everyones(mine)
        if not sums.targets:
            raise TrainingError("no dev example could be read")
        numbers = sums.numbers
        is_best = self._best is None or numbers["accuracy"] > self._best
        if is_best:
            self._best = numbers["accuracy"]
        if self.accelerator.is_main_process:
            self.journal.record(step, "dev", numbers | {"skipped": float(sums.skipped)})
            if is_best:
                replace_file(self.config.out / BEST, self.pupil.write)

    def _tell(self, broken: Sequence[Broken]) -> int:
        """Tell what could not be read, each once; return how many they are."""
        for example in broken:
            if example.key not in self._told and len(self._told) < MOST_TOLD:
                self._told.add(example.key)
                self.journal.say(f"skipped: {example.problem}")
        return len(broken)

    def _save(self, step: int) -> None:
        if self.accelerator.is_main_process:
            learned = {name: p.detach().cpu() for name, p in self._learned}
            state = State(
                step=step,
                settings=self.settings,
                learned=learned,
                optimiser=self._optimiser.state_dict(),
                best=self._best,
                skipped=self._skipped,
            )
            replace_file(self.config.out / LAST, self.pupil.write)
            write_state(state, self.config.out)
        self.accelerator.wait_for_everyone()

    def _go_on_from(self, state: State) -> None:
        with torch.no_grad():
            for name, parameter in self._learned:
                parameter.copy_(state.learned[name])
        self._optimiser.load_state_dict(state.optimiser)
        self._skipped = state.skipped


def _sums(tally: Tally) -> Sums:
    return Sums(float(tally.loss.detach()), tally.num_targets, int(tally.num_correct))


def _begin_chance_anew(seed: str) -> None:
    """Have PyTorch draw, on all devices, what belongs to a seed."""
    torch.manual_seed(random.Random(seed).getrandbits(63))
