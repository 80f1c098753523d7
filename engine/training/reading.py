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

from engine.data.examples import Example
from engine.errors import EngineError
from engine.prompt import Tokenizer, beside, closing, opening, written
from engine.tasks import fill
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
    clip: object
    """What it is about, and when; examples that agree on it share its features."""
    seed: str
    """Of whatever is drawn for the clip on this visit."""
    closing: Tensor
    """Ids behind the audio, (n,); all ids of a prompt about a text."""
    target: Tensor
    """Ids to learn, end-of-text with them, (n,)."""
    features: Features
    """None of a text."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An example that could not be read."""

    key: str
    problem: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Some examples at once; the longest decides how much is padding."""

    keys: tuple[str, ...]
    clips: tuple[int, ...]
    """Which clip each example is about; -1 is none: a text."""
    closings: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    seeds: tuple[str, ...]
    """Of each clip."""
    features: Features
    """Each (C, T, …), zeros behind what is shorter."""
    lengths: dict[str, Tensor]
    """Of each clip's features, (C,)."""
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

    def written(self, question: str, text: str) -> Tensor:
        """Return the ids of a whole prompt about a text, (n,)."""
        return torch.tensor(written(self._tokenizer, question, text))

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
        self._heard: tuple[object, Features] = (None, {})  # on the last visit

    def __getitem__(self, visit: Visit) -> Item | Broken:
        """Return an example for one visit, or what is wrong with it."""
        example = self._examples[visit.example]
        question = self._question(example, visit)
        target = self._speller.target(example.text)
        if not example.files:
            asked = self._speller.written(question, example.read)
            return Item(example.key, None, "", asked, target, {})
        clip = (visit.epoch, example.files, example.start_s)
        seed = f"{self._seed} {visit.epoch} {example.key} {example.start_s}"
        try:
            if clip != self._heard[0]:
                heard = self._listener.hear(example, None if self._fixed else seed)
                self._heard = (clip, heard)
        except EngineError as exc:
            return Broken(example.key, str(exc))
        asked = self._speller.closing(beside(question, example.said))
        return Item(example.key, clip, seed, asked, target, self._heard[1])

    def _question(self, example: Example, visit: Visit) -> str:
        if self._fixed:
            return fill(WORDINGS[example.task][0], example.question)
        return choose(
            example.task,
            seed=self._seed,
            example=visit.number(len(self._examples)),
            about=example.question,
        )


def collate(read: Sequence[Item | Broken]) -> Batch:
    """Return a batch of what could be read; what has one clip shares it."""
    items = [item for item in read if isinstance(item, Item)]
    places: dict[object, int] = {}
    heard = list[Item]()
    for item in items:
        if item.features and item.clip not in places:
            places[item.clip] = len(heard)
            heard.append(item)
    names = heard[0].features if heard else {}
    return Batch(
        keys=tuple(item.key for item in items),
        clips=tuple(places.get(item.clip, -1) for item in items),
        seeds=tuple(item.seed for item in heard),
        closings=tuple(item.closing for item in items),
        targets=tuple(item.target for item in items),
        features={
            name: pad_sequence([item.features[name] for item in heard], True)
            for name in names
        },
        lengths={
            name: torch.tensor([len(item.features[name]) for item in heard])
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
