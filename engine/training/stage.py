"""One stage from its settings to its end: data, order, state, steps.

Puts the parts together; each of them is next door.  The models come in ready
(`engine.training.parts`), so that a tiny one does as well.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from rich.console import Console
from torch import nn

from engine import checkpoint
from engine.checkpoint import Checkpoint
from engine.checkpoint_sizes import Lora, Sizes
from engine.data.examples import Example
from engine.data.lists import read_examples
from engine.llm import LanguageModel
from engine.lora import adapter_state
from engine.skills import Skills
from engine.training import stories
from engine.training.config import StageConfig
from engine.training.journal import Journal
from engine.training.loop import Trainer
from engine.training.order import Order, Visit, gather
from engine.training.reading import Batches, Listener, Reader, Speller
from engine.training.sharding import ShardingError, is_sharded
from engine.training.state import read_state
from engine.training.student import Student, words_of
from engine.training.taught import taught

UNSEEN = (
    "name",
    "out",
    "run.",
    "data.train",  # what is in it counts, not where it lies
    "data.dev",
    "data.workers",
    "data.accumulation",  # together with the number of processes
)
"""Settings that may change while a run goes on: they decide nothing that is learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A model that is ready to be taught, and what prepares its examples."""

    student: Student
    llm: LanguageModel
    """That of the student."""
    lora: Lora
    speller: Speller
    listener: Listener
    skills: Skills = field(default_factory=Skills)
    """What it was taught, before and now; its checkpoints say so."""

    @property
    def module(self) -> nn.Module:
        """What returns a tally for a batch."""
        return self.student

    def learned(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the weights that learn, by name."""
        return self.student.learned()

    def write(self, path: Path) -> None:
        """Write a checkpoint of bridge and adapters in our own format."""
        bridge = self.student.bridge
        state = {name: value.cpu() for name, value in bridge.state_dict().items()}
        adapters = {
            name: value.cpu() for name, value in adapter_state(self.llm.model).items()
        }
        sizes = Sizes(bridge.config, self.lora)
        trained = Checkpoint(sizes, state, adapters, {}, skills=self.skills)
        checkpoint.write(trained, path)


def prepare(
    config: StageConfig, parts: Parts, accelerator: Accelerator, console: Console
) -> Trainer:
    """Return the run of a stage, where an earlier process left it.

    Raises:
        EngineError: If there is nothing to learn, or the folder holds another run.
    """
    told = console if accelerator.is_main_process else Console(quiet=True)
    out = config.out
    out.mkdir(parents=True, exist_ok=True)
    if config.stories is not None:
        are_written = (out / stories.FILE).exists()
        if is_sharded(parts.student) and not are_written:
            raise ShardingError(
                f"{out / stories.FILE} is not there, and one process alone writes "
                "stories: begin the stage with the language model whole"
            )
        if accelerator.is_main_process and not are_written:
            _write_stories(config, parts, told)
        accelerator.wait_for_everyone()
        data = replace(config.data, train=(out / stories.FILE,))
        config = replace(config, data=data, stories=None)
    data, groups = config.data, config.data.tasks
    examples = read_examples(data.train, "train", groups=groups)
    told.print(f"train: {examples}", markup=False, highlight=False)
    parts = replace(parts, skills=parts.skills | taught(examples.items))
    told.print(f"taught: {parts.skills.description}", markup=False, highlight=False)
    dev = _dev_examples(config, told)
    if config.loss_words == "seen":
        items = (*examples.items, *dev)
        targets = [parts.speller.target(item.text) for item in items]
        parts.student.choose_among(words_of(targets))
    members = gather(_subjects(examples.items), data.together)
    order = Order(
        members=members,
        lengths=tuple(examples.items[group[0]].duration_s or 0.0 for group in members),
        batch=data.batch,
        batches=data.accumulation * accelerator.num_processes,
        sort_steps=data.sort_steps,
        seed=config.seed,
    )
    settings = _settings(config, order, examples.items)
    state = read_state(out, settings)
    return Trainer(
        config=config,
        settings=settings,
        pupil=parts,
        order=order,
        train=_batches(config, parts, examples.items, fixed=False),
        dev=_batches(config, parts, dev, fixed=True) if dev else None,
        dev_plan=_plan(dev, data.batch),
        accelerator=accelerator,
        journal=Journal(
            out if accelerator.is_main_process else None,
            steps=config.steps,
            done=state.step if state else 0,
            console=told,
        ),
        state=state,
    )


def _subjects(examples: Sequence[Example]) -> list[object]:
    """Return what each example is about.

    A copy is about something of its own, so that the clips of a list that is given
    twice are heard twice as often, and not once with each question twice.
    """
    copies: Counter[Example] = Counter()
    subjects: list[object] = []
    for item in examples:
        subjects.append((item.files, item.start_s, item.read, copies[item]))
        copies[item] += 1
    return subjects


def _write_stories(config: StageConfig, parts: Parts, told: Console) -> None:
    assert config.stories is not None, "a stage of stories"
    clips = read_examples([config.stories.clips], "train", answered=False).items
    asked = Reader(
        stories.questions(clips),
        parts.listener,
        parts.speller,
        seed=config.seed,
        fixed=True,
    )
    stories.write_stories(
        parts.student,
        parts.llm,
        asked,
        clips,
        config=config.stories,
        trained_scale=parts.lora.scale,
        seed=config.seed,
        path=config.out / stories.FILE,
        tell=lambda line: told.print(line, markup=False, highlight=False),
    )


def _dev_examples(config: StageConfig, told: Console) -> tuple[Example, ...]:
    if not config.data.dev:
        return ()
    found = read_examples(config.data.dev, "dev", groups=config.data.tasks)
    told.print(f"dev: {found}", markup=False, highlight=False)
    items, most = found.items, config.run.max_dev_examples
    if len(items) > most:
        items = tuple(items[i * len(items) // most] for i in range(most))
    return items


def _batches(
    config: StageConfig, parts: Parts, examples: Sequence[Example], *, fixed: bool
) -> Batches:
    reader = Reader(
        examples, parts.listener, parts.speller, seed=config.seed, fixed=fixed
    )
    return Batches(reader, workers=config.data.workers)


def _plan(examples: Sequence[Example], batch: int) -> list[tuple[Visit, ...]]:
    """Return all examples in batches, the shortest first, those of a clip together."""
    visits = [Visit(0, index) for index in range(len(examples))]
    visits.sort(
        key=lambda visit: (
            examples[visit.example].duration_s or 0.0,
            examples[visit.example].key,
        )
    )
    return [tuple(visits[n : n + batch]) for n in range(0, len(visits), batch)]


def _settings(
    config: StageConfig, order: Order, examples: Sequence[Example]
) -> dict[str, str]:
    """Return what decides what is learned, as text, by name."""
    flat = dict(_flat(asdict(config), ""))
    kept = {
        name: json.dumps(value, default=str)
        for name, value in flat.items()
        if not name.startswith(UNSEEN)
    }
    return kept | {
        "data": _digest(examples),
        "batches of all processes": str(order.batches),
    }


def _digest(examples: Sequence[Example]) -> str:
    """Return a short name for what examples are about."""
    digest = hashlib.sha256()
    for item in examples:
        line = [item.key, *item.files[1:], item.task, item.question, item.text]
        line += [item.read, item.start_s]
        digest.update(json.dumps(line, default=str).encode())
    return f"{len(examples)} examples, {digest.hexdigest()[:12]}"


def _flat(table: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
