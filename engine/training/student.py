"""The model while it is taught: what of it learns, and what it loses on a batch.

    features ─ears─▶ frames ─mask─▶ bridge ─▶ embeddings ┐
    opening, question, answer ─────embed────▶ embeddings ┴▶ language model ─▶ loss

Ears and language model are frozen: they stay in eval mode, and only the bridge and the
language model's adapters have gradients.  All examples stand in one row without a gap,
those about one clip behind one copy of it (`engine.training.packing`).  (The original
pads between question and answer.)  Knows no files.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from engine.geometry import window_count
from engine.qformer import Bridge
from engine.training.config import MaskConfig
from engine.training.masking import mask
from engine.training.packing import Packed, Tree
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
            return self._nothing()
        order = sorted(range(len(batch.keys)), key=lambda n: batch.clips[n])
        trees, row = self._trees(batch, order)
        hidden = self._read(trees, row)
        # The state before each token to learn; the last ones of each branch.
        branches = [
            branch
            for tree, states in zip(
                trees, hidden.split([tree.size for tree in trees]), strict=True
            )
            for branch in states.split([tree.stem, *tree.branches])[1:]
        ]
        wanted = [batch.targets[n] for n in order]
        states = torch.cat(
            [
                branch[len(branch) - len(target) :]
                for branch, target in zip(branches, wanted, strict=True)
            ]
        )
        targets = torch.cat(wanted)
        if self._words is not None:
            targets = torch.searchsorted(self._words, targets)
        logits = self._logits(states)
        return Tally(
            F.cross_entropy(logits, targets, reduction="sum"),
            len(targets),
            (logits.detach().argmax(-1) == targets).sum(),
        )

    def _nothing(self) -> Tally:
        """Return what an empty batch costs.

        The language model reads something all the same: where it is spread over
        processes (engine.training.sharding), each calls it as often as the others.
        """
        row = self.llm.get_input_embeddings()(self._opening)
        nothing = self._read([Tree(0, (len(row),))], row).float().sum() * 0.0
        return Tally(nothing, 0, nothing.detach())

    def _read(self, trees: Sequence[Tree], row: Tensor) -> Tensor:
        """Return the language model's last states over a row, (N, D)."""
        packed = Packed(trees)
        states: Tensor = self.llm.base_model(
            inputs_embeds=row[None],
            position_ids=packed.positions(row.device),
            # Four dimensions say that the mask is ready; packing makes its own.
            attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=row.device),
            use_cache=False,
            packed=packed,
        ).last_hidden_state[0]
        return states

    def prefixes(self, batch: Batch) -> list[Tensor]:
        """Return the embeddings up to where each answer begins, each (N, D)."""
        stems, embed = self._stems(batch), self.llm.get_input_embeddings()
        return [
            torch.cat([stems[clip], embed(closing)]) if clip >= 0 else embed(closing)
            for clip, closing in zip(batch.clips, batch.closings, strict=True)
        ]

    def _logits(self, states: Tensor) -> Tensor:
        """Return the scores of the words that the loss chooses among, (n, V)."""
        table = self.llm.get_output_embeddings().weight
        if self._words is not None:
            table = table[self._words]
        logits = F.linear(states, table).float()
        if cap := getattr(self.llm.config, "final_logit_softcapping", None):
            logits = cap * torch.tanh(logits / cap)
        return logits

    def _trees(self, batch: Batch, order: Sequence[int]) -> tuple[list[Tree], Tensor]:
        """Return what the language model reads, (N, D), examples in an order."""
        stems = self._stems(batch)
        ids = [torch.cat([batch.closings[n], batch.targets[n][:-1]]) for n in order]
        sizes = [len(branch) for branch in ids]
        embedded = self.llm.get_input_embeddings()(torch.cat(ids)).split(sizes)
        trees, pieces = list[Tree](), list[Tensor]()
        clips = zip((batch.clips[n] for n in order), embedded, strict=True)
        for clip, group in groupby(clips, key=itemgetter(0)):
            branches = [branch for _, branch in group]
            if clip < 0:  # texts, each for itself
                trees += [Tree(0, (len(branch),)) for branch in branches]
                pieces += branches
            else:
                lengths = tuple(len(branch) for branch in branches)
                trees.append(Tree(len(stems[clip]), lengths))
                pieces += [stems[clip], *branches]
        return trees, torch.cat(pieces)

    def _stems(self, batch: Batch) -> list[Tensor]:
        """Return the embeddings of each clip with what stands before it, (N, D)."""
        if not batch.features:
            return []
        opening = self.llm.get_input_embeddings()(self._opening)
        return [
            torch.cat([opening, audio.to(opening.dtype)])
            for audio in self._heard(batch)
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
