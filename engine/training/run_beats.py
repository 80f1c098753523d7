"""Trains a small BEATs of our own on labelled sounds.

    python -m engine.training.run_beats --manifest FILE --set NAME… --steps N --out FILE

    filter bank ─▶ drawn excerpts (engine/training/spectra.py) ─▶ Beats ─▶ words

It learns the words for how a clip sounds (`engine.training.labels`), several at once,
as a released BEATs learned AudioSet's classes; it looks back only, so that it can be
streamed.  What is written is a file like a released one's, with the words, and with the
clips that it learned from: a measurement can tell what the weights were taught.  A run
keeps all spectra in memory, 51 kB for a second, and cannot be gone on with.
"""

import argparse
import random
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from engine.beats import Attention, Beats, BeatsConfig
from engine.checkpoint import BeatsCheckpoint, write_beats
from engine.data.audio import samples_of_clip
from engine.data.manifest import Clip, ManifestError, read_manifest
from engine.errors import EngineError
from engine.fbank import fbank
from engine.training.config import OptimiserConfig
from engine.training.labels import target
from engine.training.optimisation import groups, rate_at
from engine.training.spectra import excerpt, holed, together, varied

SHAPE: Final = BeatsConfig(
    embed_dim=128,
    encoder_layers=4,
    encoder_embed_dim=128,
    encoder_ffn_embed_dim=512,
    encoder_attention_heads=4,
    conv_pos=32,
    num_buckets=64,
    block_columns=4,
)
"""A million weights; a block is 0.64 s."""
OPTIMISER: Final = OptimiserConfig(
    peak_rate=1e-3, warm_up_steps=50, max_gradient_norm=1.0
)
TABLE_DEVIATION: Final = 0.02
"""Of a new table of distances; torch's, 1, would decide alone who attends to whom."""

RARE: Final = -3.0
"""Of the head's new biases, as a logit: most words are not those of a clip."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A clip and what it sounds like."""

    path: str
    set: str
    spectrum: Tensor
    """(M, 128)."""
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a BEATs is trained."""

    steps: int
    seed: int = 0
    batch: int = 32
    frames: int = 192
    """Of an excerpt, 10 ms each."""
    beside: float = 0.5
    """Of the excerpts, so many have another sound beside them, and its words."""
    optimiser: OptimiserConfig = OPTIMISER


def is_in(path: str, part: tuple[int, int]) -> bool:
    """Return whether a clip belongs to a part of all clips.

    Args:
        path: Of the clip; it alone decides, whatever other clips there are.
        part: Which, counted from 1, of how many.
    """
    which, count = part
    return zlib.crc32(path.encode()) % count == which - 1


def lesson_of(clip: Clip, *, least_frames: int) -> Lesson | None:
    """Return what is learned from a clip; None if it is too short or has no words.

    Raises:
        ManifestError: If it is no audio.
    """
    known = target(clip.facts)
    if known is None or not known.labels:
        return None
    spectrum = fbank(torch.from_numpy(samples_of_clip(clip)))
    if len(spectrum) < least_frames:
        return None
    return Lesson(clip.path, str(clip.facts.get("set", "")), spectrum, known.labels)


def new_beats(shape: BeatsConfig, seed: int) -> Beats:
    """Return a BEATs that has learned nothing."""
    torch.manual_seed(seed)
    beats = Beats(shape)
    attention = beats.encoder.layers[0].self_attn
    assert isinstance(attention, Attention), "layers attend"
    nn.init.normal_(attention.relative_attention_bias.weight, std=TABLE_DEVIATION)
    nn.init.constant_(beats.predictor.bias, RARE)
    return beats


def words_of(lessons: Sequence[Lesson]) -> tuple[str, ...]:
    """Return the words that clips teach, each once."""
    return tuple(sorted({word for lesson in lessons for word in lesson.words}))


@dataclass(frozen=True, slots=True)
class School:
    """Draws batches of lessons; a step's are the same in every run of a seed."""

    lessons: Sequence[Lesson]
    words: tuple[str, ...]
    course: Course

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return spectra, (B, M, 128), and which words each sounds like, (B, words)."""
        drawn = random.Random(f"{self.course.seed} {step}")
        sizes = Counter(lesson.set for lesson in self.lessons)
        # A set counts by the root of its size: large ones more, but not as much more.
        shares = [sizes[lesson.set] ** -0.5 for lesson in self.lessons]
        chosen = drawn.choices(self.lessons, shares, k=2 * self.course.batch)
        pairs = zip(chosen[::2], chosen[1::2], strict=True)
        spectra, told = zip(*(self._heard(*pair, drawn) for pair in pairs), strict=True)
        return torch.stack(spectra), torch.stack(told)

    def _heard(
        self, lesson: Lesson, other: Lesson, drawn: random.Random
    ) -> tuple[Tensor, Tensor]:
        frames = self.course.frames
        spectrum = varied(excerpt(lesson.spectrum, frames, drawn), drawn)
        words = set(lesson.words)
        if drawn.random() < self.course.beside:
            beside = varied(excerpt(other.spectrum, frames, drawn), drawn)
            spectrum = together(spectrum, beside)
            words |= set(other.words)
        told = torch.tensor([float(word in words) for word in self.words])
        return holed(spectrum, drawn), told


def train(beats: Beats, school: School, notify: Callable[[int, float], None]) -> None:
    """Teach a BEATs the words of clips.

    Args:
        beats: With a class for each word; it is changed.
        school: What it is taught.
        notify: Told the number of steps done and the loss of each.
    """
    course, optimiser = school.course, school.course.optimiser
    beats.train()
    learned = torch.optim.AdamW(
        groups(beats.named_parameters(), optimiser.weight_decay),
        betas=(optimiser.betas[0], optimiser.betas[1]),
        eps=optimiser.eps,
    )
    for step in range(course.steps):
        for group in learned.param_groups:
            group["lr"] = rate_at(step, course.steps, optimiser)
        spectra, told = school.batch(step)
        loss = F.binary_cross_entropy(beats.classify(spectra), told)
        learned.zero_grad()
        loss.backward()
        if most := optimiser.max_gradient_norm:
            nn.utils.clip_grad_norm_(beats.parameters(), most)
        learned.step()
        notify(step + 1, loss.item())
    beats.eval()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    notes = Console(stderr=True)
    try:
        clips = read_manifest(*options.manifest, sets=tuple(options.set), split="train")
        chosen = [clip for clip in clips if is_in(clip.path, options.part)]
        bar = track(chosen, "hear", console=notes, disable=not notes.is_terminal)
        heard = [lesson_of(clip, least_frames=SHAPE.input_patch_size) for clip in bar]
        lessons = [lesson for lesson in heard if lesson is not None]
        if not lessons:
            raise ManifestError("no clip of the train split says what it sounds like")
        _teach(lessons, options, notes)
    except (EngineError, OSError) as exc:
        notes.print(f"engine.training.run_beats: {exc}", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        notes.print("interrupted; nothing was written")
        return 130
    return 0


def _teach(
    lessons: Sequence[Lesson], options: argparse.Namespace, notes: Console
) -> None:
    words = words_of(lessons)
    course = Course(steps=options.steps, seed=options.seed)
    beats = new_beats(replace(SHAPE, predictor_class=len(words)), options.seed)
    size = sum(parameter.numel() for parameter in beats.parameters())
    notes.print(f"{len(lessons)} clips, {len(words)} words, {size:,} weights")
    losses: list[float] = []

    def notify(step: int, loss: float) -> None:
        losses.append(loss)
        if step % options.log_every == 0 or step == course.steps:
            notes.print(f"step {step}: loss {sum(losses) / len(losses):.4f}")
            losses.clear()

    train(beats, School(lessons, words, course), notify)
    taught = frozenset(lesson.path for lesson in lessons)
    write_beats(BeatsCheckpoint(beats, dict(enumerate(words)), taught), options.out)


def _part(text: str) -> tuple[int, int]:
    which, _, count = text.partition("/")
    if not 1 <= int(which) <= int(count):
        raise ValueError(text)
    return int(which), int(count)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine.training.run_beats", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--manifest", type=Path, action="append", required=True, metavar="FILE")
    add("--set", action="append", default=[], help="only this set; repeatable")
    add("--steps", type=int, required=True, help="of 32 excerpts each")
    add("--out", type=Path, required=True, metavar="FILE", help="what is written")
    add(
        "--part",
        type=_part,
        default=(1, 1),
        metavar="N/OF",
        help="learn from this part of the clips only, as 1/2, and leave the others to "
        "a probe (default: from all)",
    )
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--log-every", type=int, default=25, metavar="STEPS", help="%(default)s")
    add("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
