"""The model while it is taught: what of it learns, and what it loses on a batch.

    features ─ears─▶ frames ─mask─▶ bridge ─▶ embeddings ┐
    opening, question, answer ─────embed────▶ embeddings ┴▶ language model ─▶ loss

Ears and language model are frozen: they stay in eval mode, and only the bridge and the
language model's adapters have gradients.  An example's parts stand without a gap, and
what is padded stands behind them, so that no mask is needed: a causal model never sees
what follows.  (The original pads between question and answer.)  Knows no files.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from engine.geometry import window_count
from engine.qformer import Bridge
from engine.training.config import MaskConfig
from engine.training.masking import mask
from engine.training.reading import Batch

ADAPTER = ".lora_"  # in the names of peft's modules and weights


class Frames(NamedTuple):
    """What the encoders hear in a batch."""

    speech: Tensor
    """(B, T, D)."""
    audio: Tensor | None
    """(B, T', D'); None without a second encoder."""
    counts: Tensor
    """Of each clip's speech frames that are no padding, (B,)."""


class Ears(Protocol):
    """The frozen encoders, or what stands in for them where frames are kept."""

    def __call__(self, batch: Batch) -> Frames:
        """Return the frames of a batch."""


class Tally(NamedTuple):
    """What a batch cost; sums, so that batches and processes add up."""

    loss: Tensor
    """Over all tokens to learn, ()."""
    num_targets: int
    num_correct: Tensor
    """Tokens that were the likeliest, ()."""


class Student(nn.Module):
    """Bridge and adapters learn; the rest is as it was.

    Args:
        ears: Frozen.
        bridge: Learns.
        llm: A causal model of transformers with `engine.lora`'s adapters, which learn.
        opening: Ids before the audio, (n,).
        masks: SpecAugment while in training mode.
    """

    _opening: Tensor

    def __init__(
        self,
        ears: nn.Module,
        bridge: Bridge,
        llm: PreTrainedModel,
        *,
        opening: Tensor,
        masks: MaskConfig,
    ) -> None:
        super().__init__()
        self.ears, self.bridge, self.llm = ears, bridge, llm
        self._masks = masks
        self.register_buffer("_opening", opening, persistent=False)
        self._words: Tensor | None = None  # that the loss chooses among; None is all
        self.requires_grad_(False)
        for _, parameter in self.learned():
            parameter.requires_grad_(True)
        self.train()

    def choose_among(self, words: Tensor) -> None:
        """Let the loss choose among these ids only, (n,), sorted."""
        self._words = words.to(self._opening.device)

    def learned(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the weights that learn, by name."""
        for name, parameter in self.bridge.named_parameters():
            yield f"bridge.{name}", parameter
        for name, parameter in self.llm.named_parameters():
            if ADAPTER in name:
                yield f"llm.{name}", parameter

    def train(self, mode: bool = True) -> "Student":
        """Set the mode of what learns; frozen modules stay in eval mode."""
        super().train(False)
        self.training = mode
        self.bridge.train(mode)
        for name, module in self.llm.named_modules():
            if ADAPTER in name:
                module.train(mode)
        return self

    def forward(self, batch: Batch) -> Tally:
        """Return what a batch costs.

        Args:
            batch: On the model's device; it may be empty.
        """
        if not batch.keys:
            nothing = next(iter(self.learned()))[1].sum() * 0.0
            return Tally(nothing, 0, nothing.detach())
        rows = self._rows(batch, [target[:-1] for target in batch.targets])
        hidden = self.llm.base_model(
            inputs_embeds=pad_sequence(rows, True), use_cache=False
        ).last_hidden_state
        # The state before each token to learn; the last ones of each row.
        states = torch.cat(
            [
                states[len(row) - len(target) : len(row)]
                for states, row, target in zip(hidden, rows, batch.targets, strict=True)
            ]
        )
        targets = torch.cat(batch.targets)
        if self._words is not None:
            targets = torch.searchsorted(self._words, targets)
        logits = self._logits(states)
        return Tally(
            F.cross_entropy(logits, targets, reduction="sum"),
            len(targets),
            (logits.detach().argmax(-1) == targets).sum(),
        )

    def prefixes(self, batch: Batch) -> list[Tensor]:
        """Return the embeddings up to where each answer begins, each (N, D)."""
        return self._rows(batch, [target[:0] for target in batch.targets])

    def _logits(self, states: Tensor) -> Tensor:
        """Return the scores of the words that the loss chooses among, (n, V)."""
        table = self.llm.get_output_embeddings().weight
        if self._words is not None:
            table = table[self._words]
        logits = F.linear(states, table).float()
        if cap := getattr(self.llm.config, "final_logit_softcapping", None):
            logits = cap * torch.tanh(logits / cap)
        return logits

    def _rows(self, batch: Batch, answers: Sequence[Tensor]) -> list[Tensor]:
        """Return what the language model reads for each example, (N, D)."""
        heard = self._heard(batch)
        ids = [torch.cat(pair) for pair in zip(batch.closings, answers, strict=True)]
        embed = self.llm.get_input_embeddings()
        embedded = embed(torch.cat([self._opening, *ids]))
        opening, *behind = embedded.split([len(self._opening), *map(len, ids)])
        return [
            torch.cat([opening, audio.to(opening.dtype), words])
            for audio, words in zip(heard, behind, strict=True)
        ]

    def _heard(self, batch: Batch) -> list[Tensor]:
        """Return the embeddings of each clip, (W · queries, D)."""
        with torch.no_grad():
            speech, audio, counts = self.ears(batch)
        lengths = [int(count) for count in counts]
        if self.training:
            speech = self._masked(speech, lengths, batch.seeds)
            audio = None if audio is None else self._masked(audio, lengths, batch.seeds)
        embedded = self.bridge(speech, audio)
        config = self.bridge.config
        return [
            row[: config.queries * window_count(n, size=config.window, hop=config.hop)]
            for row, n in zip(embedded, lengths, strict=True)
        ]

    def _masked(
        self, frames: Tensor, lengths: Sequence[int], seeds: Sequence[str]
    ) -> Tensor:
        """Return frames (B, T, D) with each clip's holes in them."""
        if not (self._masks.time_masks or self._masks.channel_masks):
            return frames
        clips = zip(frames, lengths, seeds, strict=True)
        return torch.stack(
            [
                mask(clip, min(n, len(clip)), self._masks, seed)
                for clip, n, seed in clips
            ]
        )


def words_of(targets: Sequence[Tensor]) -> Tensor:
    """Return the ids that occur in targets, sorted, (n,)."""
    return torch.cat(list(targets)).unique()
