"""What frozen encoders alone tell: a linear probe, the floor of free answers.

    python -m engine.evaluation.probe --manifest FILE [--beats FILE] [--json FILE]

    frames of layers 2 to 6 ─▶ mean and deviation over time ─▶ ridge regression ─▶ label

Learned from clips of the train split, measured on those of dev.  How strong the penalty
is, leave-one-out over the train clips decides, in closed form.  Frames are read where
they were kept (`python -m engine.training.features`), else encoded now.  It stands
beside the table of `salmonn-eval`, whose rows have the same names.

With a BEATs it is measured three times on the same clips: with Whisper, with BEATs, and
with both, and how these two differ from Whisper alone is told clip by clip.  Clips that
the BEATs was taught are then not learned from, unless `--taught` asks for them: on them
it knows more than it will on others, and a probe trusts it too much.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from engine.data.manifest import Clip, ManifestError, read_manifest
from engine.errors import EngineError
from engine.evaluation import classes, facts
from engine.evaluation.asked import kind_of
from engine.evaluation.bootstrap import interval
from engine.evaluation.clip_options import add_clips
from engine.evaluation.facts import Facts
from engine.evaluation.listeners import BeatsListener, Vectors, WhisperListener
from engine.evaluation.metrics import pairs, share
from engine.evaluation.paired import Paired, paired

PENALTIES: Final = tuple(10.0**power for power in range(-4, 7))
"""Of the mean square of a feature, each of which has variance 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a probe is to tell."""

    row: str
    """Of the table of `salmonn-eval`."""
    label: Callable[[Facts], str]
    """Of a clip; empty where the task is not about it."""


def _first(read: Callable[[Facts], Sequence[str]], known: Facts) -> str:
    return next(iter(read(known)), "")


def _family(known: Facts) -> str:
    return classes.FAMILY_OF.get(_first(facts.label_of("instrument"), known), "")


def _tag(kind: str, known: Facts) -> str:
    return classes.strongest(kind, known.get("tags_estimated", {}))


TASKS: Final = (
    Task(row="Kind", label=kind_of),
    Task(row="Sound", label=partial(_first, facts.label_of("sound-event"))),
    Task(row="Instr", label=partial(_first, facts.label_of("instrument"))),
    Task(row="Family", label=_family),
    Task(row="Emotion", label=partial(_first, facts.label_of("emotion"))),
    Task(row="Tag-instr", label=partial(_tag, "leading instrument")),
    Task(row="Tag-style", label=partial(_tag, "style")),
    Task(row="Tag-tempo", label=partial(_tag, "tempo")),
)
TOGETHER: Final = {"Kind"}
"""Rows that are asked of all sets at once."""
MOST: Final = 150
"""Clips of each label and split, of all sets at once."""
EMPHASES: Final = (1.0, 4.0)
"""Of what BEATs hears beside Whisper, whose numbers are far more; which, leave-one-out
decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a probe told."""

    row: str
    set: str
    encoder: str
    """What heard: `whisper`, `beats` or `both`."""
    labels: int
    train: int
    n: int
    """Clips that it was measured on."""
    accuracy: float
    low: float | None
    high: float | None
    penalty: float
    right: tuple[bool, ...]
    """Of each dev clip."""
    beside_whisper: Paired | None = None
    """How it differs from Whisper alone on these clips."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear map from what is heard to labels."""

    labels: tuple[str, ...]
    penalty: float
    left_out: tuple[int, float]
    """Clips that it names when they are left out, and less its mean square error."""
    mean: Vectors
    scale: Vectors
    weights: Vectors
    """(F + 1, labels); the last row is added to all."""

    def name(self, heard: Vectors) -> list[str]:
        """Return the labels of what is heard, (n, F)."""
        scores = _with_one((heard - self.mean) / self.scale) @ self.weights
        return [self.labels[index] for index in scores.argmax(axis=1)]


def learn(
    heard: Vectors, labels: Sequence[str], emphasis: Vectors | float = 1.0
) -> Probe:
    """Return the probe that tells labels best on clips that it did not learn from.

    Args:
        heard: Of each clip, (n, F).
        labels: Of each clip.
        emphasis: Deviation of what is heard as the penalty sees it, (F,).
    """
    names = tuple(sorted(set(labels)))
    targets = np.array([[one == name for name in names] for one in labels], float)
    mean = heard.mean(axis=0)
    scale = heard.std(axis=0)
    scale[scale == 0] = 1.0
    scale /= emphasis
    features = _with_one((heard - mean) / scale)
    # By way of clips, not of features: there are fewer of them.
    values, basis = np.linalg.eigh(features @ features.T / features.shape[1])
    values = np.clip(values, 0.0, None)
    turned = basis.T @ targets
    best = (-1, 0.0, 0.0)
    for penalty in PENALTIES:
        kept = values / (values + penalty)
        told = basis @ (kept[:, None] * turned)
        own = (basis**2) @ kept  # how much of a clip's score is its own label
        others = targets - (targets - told) / np.maximum(1e-12, 1 - own)[:, None]
        right = int((others.argmax(axis=1) == targets.argmax(axis=1)).sum())
        error = float(np.square(others - targets).mean())
        best = max(best, (right, -error, penalty))
    right, less_error, penalty = best
    dual = basis @ (turned / (values + penalty)[:, None])
    weights = features.T @ dual / features.shape[1]
    return Probe(names, penalty, (right, less_error), mean, scale, weights)


def _with_one(features: Vectors) -> Vectors:
    return np.hstack([features, np.ones((len(features), 1))])


Hear = Callable[[Clip], Vectors]
Labelled = list[tuple[Clip, str]]


def sets_of(task: Task, clips: Sequence[Clip]) -> Iterator[tuple[str, Labelled]]:
    """Yield the labelled clips of each set that has both splits."""
    found: dict[str, Labelled] = {}
    for clip in clips:
        if label := task.label(clip.facts):
            is_one = task.row in TOGETHER
            name = "all sets" if is_one else str(clip.facts.get("set", "clips"))
            found.setdefault(name, []).append((clip, label))
    for name, each in sorted(found.items()):
        splits = {clip.facts.get("split") for clip, _ in each}
        if {"train", "dev"} <= splits:
            yield name, _fewer(each) if task.row in TOGETHER else each


def _fewer(each: Labelled) -> Labelled:
    """Return at most `MOST` clips of each label and split, evenly spread."""
    groups: dict[tuple[str, object], Labelled] = {}
    for clip, label in each:
        groups.setdefault((label, clip.facts.get("split")), []).append((clip, label))
    return [
        group[place * len(group) // min(MOST, len(group))]
        for group in groups.values()
        for place in range(min(MOST, len(group)))
    ]


@dataclass(frozen=True, slots=True)
class Ear:
    """What hears a clip."""

    encoder: str
    """Its name among the figures."""
    parts: tuple[Hear, ...]
    """What it hears are their numbers, one behind the other."""

    def hear(self, each: Labelled) -> Vectors:
        """Return what is heard in clips, (n, F)."""
        return np.stack(
            [np.concatenate([hear(clip) for hear in self.parts]) for clip, _ in each]
        )

    def emphases(self, clip: Clip) -> list[Vectors]:
        """Return how much its numbers may count, each (F,): `EMPHASES` of the last."""
        *others, last = (np.ones(len(hear(clip))) for hear in self.parts)
        wanted = EMPHASES if others else (1.0,)
        return [np.concatenate([*others, emphasis * last]) for emphasis in wanted]


def probe(task: Task, name: str, each: Labelled, ear: Ear) -> Found:
    """Learn from the train clips of a set and measure on its dev clips."""
    train = [pair for pair in each if pair[0].facts.get("split") == "train"]
    dev = [pair for pair in each if pair[0].facts.get("split") == "dev"]
    heard, labels = ear.hear(train), [label for _, label in train]
    learned = max(
        (learn(heard, labels, one) for one in ear.emphases(train[0][0])),
        key=lambda one: one.left_out,
    )
    told = learned.name(ear.hear(dev))
    right = [one == label for one, (_, label) in zip(told, dev, strict=True)]
    counts = pairs([(float(one), 1.0) for one in right])
    bounds = interval(counts, share)
    return Found(
        row=task.row,
        set=name,
        encoder=ear.encoder,
        labels=len(learned.labels),
        train=len(train),
        n=len(dev),
        accuracy=share(counts.sum(axis=0)),
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        penalty=learned.penalty,
        right=tuple(right),
    )


def probe_each(
    task: Task, name: str, each: Labelled, ears: Sequence[Ear]
) -> list[Found]:
    """Probe a set with each ear; the others are set beside the first."""
    first, *others = (probe(task, name, each, ear) for ear in ears)
    return [
        first,
        *(replace(o, beside_whisper=paired(first.right, o.right)) for o in others),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    notes = Console(stderr=True)
    try:
        clips = read_manifest(*options.manifest, sets=tuple(options.set))
        found = _probe_all(clips, options, notes)
        if options.json:
            text = json.dumps([asdict(one) for one in found], indent=1)
            options.json.write_text(text + "\n", encoding="utf-8")
    except (EngineError, OSError) as exc:
        notes.print(f"engine.evaluation.probe: {exc}", markup=False, soft_wrap=True)
        return 1
    for one in found:
        sys.stdout.write(shown(one) + "\n")
    return 0


def _probe_all(
    clips: Sequence[Clip], options: argparse.Namespace, notes: Console
) -> list[Found]:
    beats = BeatsListener.open(options.beats) if options.beats else None
    if beats and not options.taught:
        clips = not_taught(clips, beats.taught)
    rows = {row.lower() for row in options.row}
    todo = [
        (task, name, each)
        for task in TASKS
        if not rows or task.row.lower() in rows
        for name, each in sets_of(task, clips)
    ]
    if not todo:
        raise ManifestError("no set has labels in both splits, train and dev")
    needed = {id(clip): clip for _, _, each in todo for clip, _ in each}
    whisper = _remember(needed, WhisperListener.open().hear, notes)
    ears = [Ear("whisper", (whisper,))]
    if beats:
        also = _remember(needed, beats.hear, notes)
        ears += [Ear("beats", (also,)), Ear("both", (whisper, also))]
    return [
        found
        for task, name, each in todo
        for found in probe_each(task, name, each, ears)
    ]


def not_taught(clips: Sequence[Clip], taught: frozenset[str]) -> list[Clip]:
    """Return clips without those of the train split that an encoder was taught."""
    return [
        clip
        for clip in clips
        if clip.facts.get("split") != "train" or clip.path not in taught
    ]


def _remember(needed: dict[int, Clip], hear: Hear, notes: Console) -> Hear:
    """Return what gives what was heard in clips, each heard once."""
    bar = track(needed.items(), "hear", console=notes, disable=not notes.is_terminal)
    heard = {key: hear(clip) for key, clip in bar}
    return lambda clip: heard[id(clip)]


def shown(found: Found) -> str:
    """Return a line for people."""
    bounds = ""
    if found.low is not None and found.high is not None:
        bounds = f" [{found.low:.3f}, {found.high:.3f}]"
    beside = ""
    if one := found.beside_whisper:
        beside = f"; beside whisper {one.difference:+.3f}"
        if one.low is not None and one.high is not None:
            beside += f" [{one.low:+.3f}, {one.high:+.3f}]"
        beside += f", alone right {one.only_second}, alone wrong {one.only_first}"
    return (
        f"{found.row:10} {found.set:16} {found.encoder:8} "
        f"accuracy {found.accuracy:.3f}{bounds}  n {found.n}, "
        f"{found.labels} labels learned from {found.train} clips, "
        f"penalty {found.penalty:g}{beside}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine.evaluation.probe", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add_clips(parser, needed="clips of both splits")
    add("--beats", type=Path, metavar="FILE", help="a BEATs that hears them, too")
    add(
        "--taught",
        action="store_true",
        help="learn from clips that the BEATs was taught, too",
    )
    add("--row", action="append", default=[], help="only this row; repeatable")
    add("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    add("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
