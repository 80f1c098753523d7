"""Examples as tensors: read, put into words and tokens, and padded to a batch.

    Example ─▶ clip ─▶ Listener ─▶ features ┐
            └▶ wording ─▶ tokens ───────────┴▶ Item ─▶ Batch

What features are, the listener and the model agree on; nothing here runs a model.
An example that cannot be read becomes a `Broken`, which the batch carries along to be
told.
"""

import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from engine.errors import EngineError
from engine.prompt import Tokenizer, closing, opening
from engine.tasks import fill
from engine.training.examples import Example
from engine.training.order import Visit
from engine.wordings import WORDINGS, choose

Features = dict[str, Tensor]
"""What was computed from a clip, by name; the first dimension is time."""


class Listener(Protocol):
    """What turns a clip into features, in a process that reads data."""

    def hear(self, example: Example, seed: str | None) -> Features:
        """Return the features of an example's clip.

        Args:
            example: Whose files, or whose key in a cache, to use.
            seed: Of whatever is drawn; None hears it as it is served.

        Raises:
            EngineError: If the clip cannot be heard.
        """


@dataclass(frozen=True, slots=True)
class Item:
    """One example as tensors."""

    key: str
    seed: str
    """Of whatever the model draws for this visit."""
    closing: Tensor
    """Ids behind the audio, (n,)."""
    target: Tensor
    """Ids to learn, end-of-text with them, (n,)."""
    features: Features


@dataclass(frozen=True, slots=True)
class Broken:
    """An example that could not be read."""

    key: str
    problem: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Some examples at once; the longest decides how much is padding."""

    keys: tuple[str, ...]
    seeds: tuple[str, ...]
    closings: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    features: Features
    """Each (B, T, …), zeros behind what is shorter."""
    lengths: dict[str, Tensor]
    """Of each clip's features, (B,)."""
    broken: tuple[Broken, ...] = ()

    @property
    def num_targets(self) -> int:
        """Tokens to learn."""
        return sum(len(target) for target in self.targets)

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return replace(
            self,
            closings=tuple(ids.to(device, non_blocking=True) for ids in self.closings),
            targets=tuple(ids.to(device, non_blocking=True) for ids in self.targets),
            features={
                name: value.to(device, non_blocking=True)
                for name, value in self.features.items()
            },
            lengths={name: value.to(device) for name, value in self.lengths.items()},
        )


class Speller:
    """Puts examples into the model's tokens."""

    def __init__(
        self, tokenizer: Tokenizer, end: int, *, max_target_tokens: int
    ) -> None:
        self._tokenizer, self._end = tokenizer, end
        self._max = max_target_tokens

    @property
    def opening(self) -> Tensor:
        """Ids before the audio, (n,)."""
        return torch.tensor(opening(self._tokenizer))

    def closing(self, question: str) -> Tensor:
        """Return the ids behind the audio, (n,)."""
        return torch.tensor(closing(self._tokenizer, question))

    def target(self, text: str) -> Tensor:
        """Return the ids to learn; a text that is cut does not end."""
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        return torch.tensor([*ids, self._end][: self._max])


class Reader:
    """Examples by their visits, as PyTorch's loader wants them."""

    def __init__(
        self,
        examples: Sequence[Example],
        listener: Listener,
        speller: Speller,
        *,
        seed: int,
        fixed: bool = False,
    ) -> None:
        """Keep what reads.

        Args:
            examples: All of them.
            listener: Hears their clips.
            speller: Tokenises their words.
            seed: Of the run.
            fixed: Hear and ask as the model is served, so that scores compare.
        """
        self._examples, self._listener, self._speller = examples, listener, speller
        self._seed, self._fixed = seed, fixed

    def __getitem__(self, visit: Visit) -> Item | Broken:
        """Return an example for one visit, or what is wrong with it."""
        example = self._examples[visit.example]
        seed = f"{self._seed} {visit.number(len(self._examples))}"
        try:
            features = self._listener.hear(example, None if self._fixed else seed)
        except EngineError as exc:
            return Broken(example.key, str(exc))
        return Item(
            example.key,
            seed,
            self._speller.closing(self._question(example, visit)),
            self._speller.target(example.target),
            features,
        )

    def _question(self, example: Example, visit: Visit) -> str:
        if self._fixed:
            return fill(WORDINGS[example.group][0], example.about)
        return choose(
            example.group,
            seed=self._seed,
            example=visit.number(len(self._examples)),
            about=example.about,
        )


def collate(read: Sequence[Item | Broken]) -> Batch:
    """Return a batch of what could be read."""
    items = [item for item in read if isinstance(item, Item)]
    names = items[0].features if items else {}
    return Batch(
        keys=tuple(item.key for item in items),
        seeds=tuple(item.seed for item in items),
        closings=tuple(item.closing for item in items),
        targets=tuple(item.target for item in items),
        features={
            name: pad_sequence([item.features[name] for item in items], True)
            for name in names
        },
        lengths={
            name: torch.tensor([len(item.features[name]) for item in items])
            for name in names
        },
        broken=tuple(item for item in read if isinstance(item, Broken)),
    )


class Batches:
    """The batches of a process, read ahead by other processes if there are any."""

    def __init__(self, reader: Reader, *, workers: int) -> None:
        self._reader, self._workers = reader, workers

    def read(self, plan: Iterable[Sequence[Visit]]) -> Iterator[Batch]:
        """Yield the planned batches in their order."""
        loader: torch.utils.data.DataLoader[Batch] = torch.utils.data.DataLoader(
            self._reader,  # type: ignore[arg-type]  # visits stand for indices
            batch_sampler=plan,  # type: ignore[arg-type]
            num_workers=self._workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_leave_signals_alone,
            # Of its own: a loader draws from PyTorch's generator otherwise.
            generator=torch.Generator(),
        )
        yield from loader


def _leave_signals_alone(worker: int) -> None:
    """Let the training process decide when to stop; it misses workers that die."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
