"""What the frozen encoder alone tells: a linear probe, the floor of free answers.

    python -m engine.evaluation.probe --manifest FILE [--json FILE]

    frames of layers 2 to 6 ─▶ mean and deviation over time ─▶ ridge regression ─▶ label

Learned from clips of the train split, measured on those of dev.  How strong the penalty
is, leave-one-out over the train clips decides, in closed form.  Frames are read where
they were kept (`python -m engine.training.features`), else encoded now.  It stands
beside the table of `salmonn-eval`, whose rows have the same names.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from engine.api import Samples
from engine.config import EngineConfig
from engine.data.audio import samples_of_clip
from engine.data.manifest import Clip, ManifestError, read_manifest
from engine.errors import EngineError
from engine.evaluation import classes, facts
from engine.evaluation.asked import kind_of
from engine.evaluation.bootstrap import interval
from engine.evaluation.clip_options import add_clips
from engine.evaluation.facts import Facts
from engine.evaluation.metrics import pairs, share
from engine.geometry import ENCODER_RATE
from engine.training.features import (
    FeatureSettings,
    load_encoder,
    open_features,
    settings_of,
    stream_frames,
)
from engine.training.frame_store import FrameReader
from engine.weights import cache_folder, resolve
from engine.whisper_encoder import BlockEncoder

Vectors = NDArray[np.float64]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a probe told."""

    row: str
    set: str
    labels: int
    train: int
    n: int
    """Clips that it was measured on."""
    accuracy: float
    low: float | None
    high: float | None
    penalty: float


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear map from what is heard to labels."""

    labels: tuple[str, ...]
    penalty: float
    mean: Vectors
    scale: Vectors
    weights: Vectors
    """(F + 1, labels); the last row is added to all."""

    def name(self, heard: Vectors) -> list[str]:
        """Return the labels of what is heard, (n, F)."""
        scores = _with_one((heard - self.mean) / self.scale) @ self.weights
        return [self.labels[index] for index in scores.argmax(axis=1)]


def learn(heard: Vectors, labels: Sequence[str]) -> Probe:
    """Return the probe that tells labels best on clips that it did not learn from.

    Args:
        heard: Of each clip, (n, F).
        labels: Of each clip.
    """
    names = tuple(sorted(set(labels)))
    targets = np.array([[one == name for name in names] for one in labels], float)
    mean = heard.mean(axis=0)
    scale = heard.std(axis=0)
    scale[scale == 0] = 1.0
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
    *_, penalty = best
    dual = basis @ (turned / (values + penalty)[:, None])
    weights = features.T @ dual / features.shape[1]
    return Probe(names, penalty, mean, scale, weights)


def _with_one(features: Vectors) -> Vectors:
    return np.hstack([features, np.ones((len(features), 1))])


def summary(frames: NDArray[np.float16] | NDArray[np.float32]) -> Vectors:
    """Return mean and deviation over time of frames (T, W), (2 · W,)."""
    exact = frames.astype(np.float64)
    return np.concatenate([exact.mean(axis=0), exact.std(axis=0)])


@dataclass(slots=True)
class Listener:
    """Gives what the frozen encoder hears in a clip; keeps nothing but sums."""

    settings: FeatureSettings
    kept: FrameReader
    _encoder: BlockEncoder | None = field(default=None, repr=False)

    @classmethod
    def open(cls) -> "Listener":
        """Return one for the Whisper of the cache folder.

        Raises:
            EngineError: If weights or index are missing or damaged.
        """
        settings = settings_of(resolve("whisper", EngineConfig()))
        return cls(settings, open_features(cache_folder(), settings))

    def hear(self, clip: Clip) -> Vectors:
        """Return mean and deviation of a clip's frames, without what closes them.

        Raises:
            EngineError: If it is no audio.
        """
        count = max(1, round(clip.duration_s * ENCODER_RATE))
        if clip.path in self.kept and clip.start_s is None and not clip.expand:
            return summary(self.kept.read(clip.path)[:count])
        return summary(self._frames(clip, samples_of_clip(clip))[:count])

    def _frames(self, clip: Clip, samples: Samples) -> NDArray[np.float32]:
        if self._encoder is None:
            _, whisper = load_encoder()
            left = round(self.settings.left_context_s * ENCODER_RATE)
            self._encoder = BlockEncoder(
                whisper.model.model.encoder,
                left_frames=left,
                layers=self.settings.layers,
            )
        frames: NDArray[np.float32] = stream_frames(
            self._encoder,
            torch.from_numpy(samples),
            self.settings.encoding(clip),
            closing_silence_s=self.settings.closing_silence_s,
        ).numpy()
        return frames


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


def probe(task: Task, name: str, each: Labelled, hear: Hear) -> Found:
    """Learn from the train clips of a set and measure on its dev clips."""
    train = [pair for pair in each if pair[0].facts.get("split") == "train"]
    dev = [pair for pair in each if pair[0].facts.get("split") == "dev"]
    learned = learn(
        np.stack([hear(clip) for clip, _ in train]), [label for _, label in train]
    )
    told = learned.name(np.stack([hear(clip) for clip, _ in dev]))
    right = [
        (float(one == label), 1.0) for one, (_, label) in zip(told, dev, strict=True)
    ]
    bounds = interval(pairs(right), share)
    return Found(
        row=task.row,
        set=name,
        labels=len(learned.labels),
        train=len(train),
        n=len(dev),
        accuracy=share(pairs(right).sum(axis=0)),
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        penalty=learned.penalty,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    notes = Console(stderr=True)
    try:
        clips = read_manifest(*options.manifest, sets=tuple(options.set))
        found = _probe_all(clips, options.row, notes)
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
    clips: Sequence[Clip], rows: Sequence[str], notes: Console
) -> list[Found]:
    todo = [
        (task, name, each)
        for task in TASKS
        if not rows or task.row.lower() in {row.lower() for row in rows}
        for name, each in sets_of(task, clips)
    ]
    if not todo:
        raise ManifestError("no set has labels in both splits, train and dev")
    listener = Listener.open()
    needed = {
        id(clip): clip for _, _, each in todo for clip, _ in each
    }  # each is heard once
    bar = track(needed.items(), "hear", console=notes, disable=not notes.is_terminal)
    heard = {key: listener.hear(clip) for key, clip in bar}
    return [
        probe(task, name, each, lambda c: heard[id(c)]) for task, name, each in todo
    ]


def shown(found: Found) -> str:
    """Return a line for people."""
    bounds = ""
    if found.low is not None and found.high is not None:
        bounds = f" [{found.low:.3f}, {found.high:.3f}]"
    return (
        f"{found.row:10} {found.set:16} accuracy {found.accuracy:.3f}{bounds}  "
        f"n {found.n}, {found.labels} labels learned from {found.train} clips, "
        f"penalty {found.penalty:g}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine.evaluation.probe", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add_clips(parser, needed="clips of both splits")
    add("--row", action="append", default=[], help="only this row; repeatable")
    add("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    add("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
