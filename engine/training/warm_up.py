"""The warm-up of a bridge: CTC against a language model's words, on kept frames.

One `WarmUp` is a run that can be stopped at any step: its state holds weights,
optimizer, place in the data and random numbers, and a run that goes on from it is the
run that was never stopped.  Frames and targets come from outside; files and commands it
leaves to `engine.training.run_warm_up`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from engine.geometry import ENCODER_RATE, window_count
from engine.qformer import Bridge
from engine.running import RunningStatistics
from engine.training.batches import cut_batches, pad_frames
from engine.training.ctc import BLANK, TokenHead, ctc_loss, greedy_places
from engine.training.frame_store import Rows
from engine.windows import cut_windows

LEAST_DEVIATION = 1e-3  # of a channel that hardly varies
MASK_FRAMES = 12  # the longest span that is hidden
LISTENED_WINDOWS = 2  # before a window is to say what the clip sounds like
NAMING_WINDOWS = 3  # of a clip that are to say so, at each visit


class Frames(Protocol):
    """Where frames come from: `engine.training.frame_store.FrameReader`."""

    def read(self, key: str) -> Rows:
        """Return the frames of a clip, (T, D)."""


@dataclass(frozen=True, slots=True)
class Example:
    """A clip and what is heard in it."""

    key: str
    num_frames: int
    places: tuple[int, ...]
    """Of its tokens in the head."""
    in_each_window: bool = False
    """Whether any window alone is to say all of it, a token a query; or else all
    windows together, in order.

    What a clip sounds like is heard in all of it, and needs no alignment to be learnt.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUpConfig:
    """How a warm-up runs."""

    seed: int = 0
    batch_frames: int = 2_500
    """In a batch, padding included: 50 s."""
    peak_lr: float = 5e-4
    rising_steps: int = 200
    """Until the peak; from there the rate falls with the root of the steps."""
    weight_decay: float = 0.01
    max_norm: float = 1.0
    """Of the gradient; a larger one is scaled down."""
    masks_per_s: float = 0.5
    """Spans of frames that are hidden while training."""

    def lr(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        done = (step + 1) / self.rising_steps
        return self.peak_lr * min(done, done**-0.5)


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did."""

    step: int
    """How many steps the run has done with it."""
    epoch: int
    loss: float
    """For a token, all clips alike."""
    lr: float
    num_frames: int


class WarmUp:
    """A run.

    Args:
        bridge: What is trained.
        head: Its own parameters are trained, too.
        config: How.
    """

    def __init__(self, bridge: Bridge, head: TokenHead, config: WarmUpConfig) -> None:
        assert bridge.config.speech_layers, "what is hidden needs an average frame"
        self.bridge, self.head, self.config = bridge, head, config
        self.num_steps = 0
        self._epoch, self._place = 0, 0
        self._trained = [*bridge.parameters(), *head.parameters()]
        self._optimizer = torch.optim.AdamW(
            self._trained, lr=config.peak_lr, weight_decay=config.weight_decay
        )
        self._random = torch.Generator().manual_seed(config.seed)
        self._batches: list[list[int]] = []

    @property
    def at_epoch_start(self) -> bool:
        """Whether the next step begins an epoch, so that its examples may change."""
        return self._place == 0

    def step(self, examples: Sequence[Example], frames: Frames) -> Step:
        """Train on the next batch.

        Args:
            examples: All of the epoch; the same in each of its steps.
            frames: Of the clips.
        """
        if not self._batches:
            self._batches = cut_batches(
                [example.num_frames for example in examples],
                max_frames=self.config.batch_frames,
                seed=self.config.seed,
                epoch=self._epoch,
            )
        batch = [examples[index] for index in self._batches[self._place]]
        lr = self.config.lr(self.num_steps)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self.bridge.train()
        rows = [frames.read(example.key) for example in batch]
        speech = self._hide(pad_frames(rows, least=self.bridge.config.window))
        loss = self._loss(speech, batch)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._trained, self.config.max_norm)
        self._optimizer.step()
        done = Step(
            self.num_steps + 1, self._epoch, loss.item(), lr, sum(map(len, rows))
        )
        self._advance()
        return done

    @torch.inference_mode()
    def hear(self, clips: Sequence[Rows]) -> list[list[int]]:
        """Return the places that clips say, each as if alone."""
        self.bridge.eval()
        speech = pad_frames(clips, least=self.bridge.config.window)
        logprobs = self.head(self.bridge(speech))
        return [
            greedy_places(row, self._num_embeddings(len(clip)))
            for row, clip in zip(logprobs, clips, strict=True)
        ]

    @torch.inference_mode()
    def name(self, clip: Rows) -> list[int]:
        """Return the places that the last window of a clip says."""
        self.bridge.eval()
        speech = pad_frames([clip], least=self.bridge.config.window)
        end = self._num_embeddings(len(clip))
        last = self.bridge(speech)[:, end - self.bridge.config.queries : end]
        said = self.head(last)[0].argmax(-1).tolist()
        return [place for place in said if place != BLANK]

    def state(self) -> dict[str, Any]:
        """Return all that a run needs to go on, for `torch.save`."""
        return {
            "bridge": self.bridge.state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "steps": self.num_steps,
            "epoch": self._epoch,
            "place": self._place,
            "random": self._random.get_state(),
            "dropout": torch.get_rng_state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; random numbers of the process, too."""
        self.bridge.load_state_dict(state["bridge"])
        self.head.load_state_dict(state["head"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.num_steps = state["steps"]
        self._epoch, self._place = state["epoch"], state["place"]
        self._batches = []
        self._random.set_state(state["random"])
        torch.set_rng_state(state["dropout"])

    def _advance(self) -> None:
        self.num_steps += 1
        self._place += 1
        if self._place == len(self._batches):
            self._epoch, self._place, self._batches = self._epoch + 1, 0, []

    def _loss(self, speech: Tensor, batch: Sequence[Example]) -> Tensor:
        """Return the loss for a token, all clips alike, of frames (B, T, D)."""
        named = [n for n, example in enumerate(batch) if example.in_each_window]
        spoken = [n for n, example in enumerate(batch) if not example.in_each_window]
        loss = speech.new_zeros(())
        if named:
            clips = [batch[n] for n in named]
            loss = loss + len(named) * self._naming_loss(speech[named], clips)
        if spoken:
            clips = [batch[n] for n in spoken]
            loss = loss + len(spoken) * self._spelling_loss(speech[spoken], clips)
        return loss / len(batch)

    def _spelling_loss(self, speech: Tensor, batch: Sequence[Example]) -> Tensor:
        """Return the loss of clips whose tokens are said in order."""
        lengths = [self._num_embeddings(example.num_frames) for example in batch]
        rows = [
            row[:length]
            for row, length in zip(self.bridge(speech), lengths, strict=True)
        ]
        return ctc_loss(
            self.head(pad_sequence(rows, batch_first=True)),
            lengths,
            [example.places for example in batch],
        )

    def _naming_loss(self, speech: Tensor, batch: Sequence[Example]) -> Tensor:
        """Return the loss of clips whose tokens some windows of each say, drawn anew.

        What a window is told of all frames before it costs little; the Q-Former is
        run for the drawn windows alone.
        """
        config = self.bridge.config
        how = {"size": config.window, "hop": config.hop}
        speech = self.bridge.standardise(speech)
        told = self.bridge.told(cut_windows(speech, **how), RunningStatistics())
        windows = cut_windows(self.bridge.fuse(speech), **how, context=config.context)
        chosen = torch.stack([self._draw(example) for example in batch])
        clip = torch.arange(len(batch))[:, None]
        embedded = self.bridge.embed(
            windows[clip, chosen], None if told is None else told[clip, chosen]
        )
        said = torch.tensor([self._said(example) for example in batch])
        return F.cross_entropy(
            self.head(embedded).flatten(0, 1),
            said.repeat(1, NAMING_WINDOWS).flatten(),
        )

    def _draw(self, example: Example) -> Tensor:
        """Return which windows of a clip are to name it, (n,)."""
        config = self.bridge.config
        count = window_count(example.num_frames, size=config.window, hop=config.hop)
        first = min(LISTENED_WINDOWS, count - 1)
        return torch.randint(first, count, (NAMING_WINDOWS,), generator=self._random)

    def _said(self, example: Example) -> list[int]:
        """Return the place that each query of a window is to say."""
        queries = self.bridge.config.queries
        return [*example.places, *[BLANK] * queries][:queries]

    def _num_embeddings(self, num_frames: int) -> int:
        config = self.bridge.config
        windows = window_count(num_frames, size=config.window, hop=config.hop)
        return windows * config.queries

    def _hide(self, speech: Tensor) -> Tensor:
        """Hide spans of frames behind the average one."""
        length = speech.shape[1]
        count = round(self.config.masks_per_s * length / ENCODER_RATE)
        sizes = torch.randint(
            1, MASK_FRAMES + 1, (len(speech), count), generator=self._random
        )
        starts = torch.randint(0, length, (len(speech), count), generator=self._random)
        at = torch.arange(length)
        hidden = ((at >= starts[..., None]) & (at < (starts + sizes)[..., None])).any(1)
        return torch.where(hidden[..., None], self.bridge.speech_layers.mean, speech)


def standardise_by(bridge: Bridge, clips: Sequence[Rows]) -> None:
    """Let a bridge standardise its frames by the mean and deviation of clips."""
    frames = torch.cat([torch.from_numpy(clip) for clip in clips]).float()
    bridge.speech_layers.mean.copy_(frames.mean(0))
    deviation = frames.std(0).clamp(min=LEAST_DEVIATION)
    bridge.speech_layers.deviation.copy_(deviation)
