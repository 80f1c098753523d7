"""Runs the warm-up of the mini's bridge on kept frames, and goes on where it ended.

    python -m engine.training.run_warm_up --manifest FILE --steps N [--name NAME]

In the cache folder, under training/NAME: `state.pt`, from which the same command goes
on; `log.jsonl`, a line for some steps and for each look at the dev clips, the last of
them at the end (so that with steps that are done it looks, and does no more).  Clips
whose frames come to the cache meanwhile join at the next epoch.  Dev clips are heard,
never trained on.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from engine.config import EngineConfig
from engine.data.manifest import read_manifest
from engine.errors import EngineError
from engine.evaluation.scores import word_errors
from engine.geometry import ENCODER_RATE
from engine.qformer import MINI_BRIDGE, Bridge
from engine.training.ctc import Rows, TokenHead
from engine.training.features import open_features, settings_of
from engine.training.frame_store import FrameReader
from engine.training.labels import Target, parse, target
from engine.training.pieces import Pieces
from engine.training.running_start import begin
from engine.training.warm_up import Example, WarmUp, WarmUpConfig, standardise_by
from engine.weights import cache_folder, resolve

FOLDER = "training"
EMBEDDINGS = "model.embed_tokens.weight"
LEAST = 20  # of a token, in the training texts
SAMPLED_CLIPS = 200  # for mean and deviation of the frames


@dataclass(frozen=True, slots=True)
class Words:
    """The language model's tokens that take part, and their texts."""

    tokenizer: PreTrainedTokenizerBase
    pieces: Pieces
    rows: Rows

    def places(self, text: str) -> tuple[int, ...]:
        """Return the places of a text's tokens; each word has its space before it."""
        return tuple(self.rows.places(self.pieces.split(text)))

    def text(self, places: Iterable[int]) -> str:
        """Return the text of places."""
        return str(self.tokenizer.decode(self.rows.at(places))).strip()


@dataclass(frozen=True, slots=True)
class Data:
    """Labelled clips of the manifest."""

    train: dict[str, Target]
    """By path."""
    dev: dict[str, tuple[str, Target]]
    """With the name of their set."""


def read_data(manifest: Path, *, dev_limit: int, labels_only: bool = False) -> Data:
    """Return what is to be heard in the clips of a manifest.

    Args:
        manifest: The file.
        dev_limit: The most dev clips of a set.
        labels_only: Whether what is said is left out, and only how it sounds told.

    Raises:
        ManifestError: If it cannot be read.
    """
    train, by_set = {}, dict[str, list[tuple[str, Target]]]()
    for clip in read_manifest(manifest):
        if (found := target(clip.facts)) is None:
            continue
        if labels_only:
            found = replace(found, transcript="")
        if clip.facts["split"] == "train":
            train[clip.path] = found
        else:
            by_set.setdefault(clip.facts["set"], []).append((clip.path, found))
    dev = {}
    for name, clips in by_set.items():
        count = min(dev_limit, len(clips))
        for index in range(count):
            path, found = clips[index * len(clips) // count]
            dev[path] = (name, found)
    return Data(train, dev)


def load_words(
    gemma: Path, texts: Iterable[str], *, least: int
) -> tuple[Words, Tensor]:
    """Return the tokens of texts, and their rows of the embeddings, (V, D).

    Args:
        gemma: The language model's folder.
        texts: Of the train clips.
        least: How often a token occurs in them at least.
    """
    tokenizer = AutoTokenizer.from_pretrained(gemma, local_files_only=True)
    counts = Counter(word for text in texts for word in text.split())
    pieces = Pieces.learn(counts, tokenizer.get_vocab(), least=least)
    rows = Rows(pieces.tokens)
    with safe_open(gemma / "model.safetensors", "pt") as file:
        embeddings = file.get_tensor(EMBEDDINGS)
    return Words(tokenizer, pieces, rows), embeddings[list(rows.tokens)].float()


def examples_of(
    reader: FrameReader, data: Data, words: Words, *, num_entries: int
) -> list[Example]:
    """Return the train clips among the first entries of the kept frames."""
    entries = list(reader.entries.values())[:num_entries]
    examples = []
    for entry in entries:
        if (found := data.train.get(entry.key)) is not None:
            places = words.places(found.text)
            is_named = not found.transcript
            examples.append(Example(entry.key, entry.rows, places, is_named))
    return examples


def look(
    run: WarmUp, reader: FrameReader, data: Data, words: Words
) -> dict[str, dict[str, Any]]:
    """Return how the dev clips are heard, by set.

    `wer` is the word error rate of the transcripts in percent; `labels` the share of
    clips whose words for the sound are all right, and no other is said.
    """
    heard: dict[str, list[tuple[Target, Target]]] = {}
    for path, (name, expected) in data.dev.items():
        if path in reader:
            rows = reader.read(path)
            places = run.hear([rows])[0] if expected.transcript else run.name(rows)
            said = parse(words.text(places))
            heard.setdefault(name, []).append((expected, said))
    scores: dict[str, dict[str, Any]] = {}
    for name, pairs in heard.items():
        right = sum(set(e.labels) == set(s.labels) for e, s in pairs)
        scores[name] = {"clips": len(pairs), "labels": right / len(pairs)}
        spoken = [(e.transcript, s.transcript) for e, s in pairs if e.transcript]
        if spoken:
            references, hypotheses = zip(*spoken, strict=True)
            scores[name]["wer"] = word_errors(references, hypotheses).rate
            scores[name]["example"] = {"said": references[0], "heard": hypotheses[0]}
    return scores


class Runner:
    """A run in its folder."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._folder = cache_folder() / FOLDER / options.name
        self._folder.mkdir(parents=True, exist_ok=True)
        whisper = resolve("whisper", EngineConfig())
        gemma = resolve("gemma", EngineConfig())
        self._settings = settings_of(whisper)
        self._data = read_data(
            options.manifest,
            dev_limit=options.dev_limit,
            labels_only=options.labels_only,
        )
        texts = [found.text for found in self._data.train.values()]
        self._words, rows = load_words(gemma, texts, least=LEAST)
        torch.manual_seed(options.seed)
        config = WarmUpConfig(seed=options.seed)
        self._run = WarmUp(Bridge(MINI_BRIDGE), TokenHead(rows), config)
        self._num_entries = 0
        self._begin()

    def _begin(self) -> None:
        self._reader = open_features(cache_folder(), self._settings)
        path = self._folder / "state.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            if tuple(state["tokens"]) != self._words.rows.tokens:
                raise EngineError(f"{path} was trained on other texts")
            self._run.load_state(state)
            self._num_entries = state["entries"]
            return
        if start := self._options.start:
            self._run.bridge.load_state_dict(
                torch.load(start, weights_only=True)["bridge"]
            )
        else:
            self._standardise()
        if self._options.fit_running:
            heard = [
                (key, " ".join(self._data.train[key].labels))
                for key in self._reader.entries
                if key in self._data.train
            ]
            begin(self._run.bridge, self._reader, heard)
        self._log(
            {
                "config": asdict(self._run.config),
                "bridge": asdict(MINI_BRIDGE),
                "start": str(start or ""),
                "fit_running": self._options.fit_running,
                "tokens": len(self._words.rows.tokens),
                "features": self._settings.name,
            }
        )

    def _standardise(self) -> None:
        keys = [key for key in self._reader.entries if key in self._data.train]
        sample = random.Random(self._options.seed).sample(
            keys, min(SAMPLED_CLIPS, len(keys))
        )
        standardise_by(self._run.bridge, [self._reader.read(key) for key in sample])

    def run(self) -> None:
        """Train until the steps are done."""
        options, run = self._options, self._run
        saved = logged = time.monotonic()
        losses: list[float] = []
        frames = 0
        examples: list[Example] = []
        while run.num_steps < options.steps:
            if run.at_epoch_start:
                self._reader = open_features(cache_folder(), self._settings)
                self._num_entries = len(self._reader.entries)
                examples = []
            examples = examples or examples_of(
                self._reader, self._data, self._words, num_entries=self._num_entries
            )
            done = run.step(examples, self._reader)
            losses.append(done.loss)
            frames += done.num_frames
            if done.step % options.log_every == 0:
                now = time.monotonic()
                self._log(
                    {
                        "step": done.step,
                        "epoch": done.epoch,
                        "clips": len(examples),
                        "loss": sum(losses) / len(losses),
                        "lr": done.lr,
                        "audio_s": frames / ENCODER_RATE,
                        "seconds": now - logged,
                    }
                )
                losses, frames, logged = [], 0, now
            if done.step % options.look_every == 0:
                self._look()
                logged = time.monotonic()
            if time.monotonic() - saved > options.save_every_s:
                self._save()
                saved = time.monotonic()
        self._save()
        self._look()

    def _look(self) -> None:
        dev = look(self._run, self._reader, self._data, self._words)
        self._log({"step": self._run.num_steps, "dev": dev})

    def _save(self) -> None:
        state = self._run.state()
        state["tokens"] = list(self._words.rows.tokens)
        state["entries"] = self._num_entries
        partial = self._folder / "state.pt.partial"
        torch.save(state, partial)
        os.replace(partial, self._folder / "state.pt")

    def _log(self, line: dict[str, Any]) -> None:
        text = json.dumps({"time": time.time()} | line, ensure_ascii=False)
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(text + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        Runner(options).run()
    except (EngineError, OSError) as exc:
        sys.stderr.write(f"engine.training.run_warm_up: {exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from the last state\n")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m engine.training.run_warm_up", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--manifest", type=Path, required=True, help="clips, one JSON object a line")
    add("--steps", type=int, required=True, help="steps that the run has when it ends")
    add("--name", default="ctc", help="of the run (default: %(default)s)")
    add("--start", type=Path, metavar="FILE", help="a state whose bridge to begin with")
    add(
        "--labels-only",
        action="store_true",
        help="learn what clips sound like, and no transcripts",
    )
    add(
        "--fit-running",
        action="store_true",
        help="begin with a map of running statistics that tells what clips sound like "
        "(engine/training/running_start.py)",
    )
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--dev-limit", type=int, default=24, help="dev clips of each set")
    add("--log-every", type=int, default=10, metavar="STEPS", help="%(default)s")
    add("--look-every", type=int, default=200, metavar="STEPS", help="%(default)s")
    add("--save-every-s", type=float, default=300.0, help="default: %(default)s")
    add("--threads", type=int, default=1, help="of torch (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
