"""`salmonn-data`: from a published set on disk to a manifest, and on from there.

    salmonn-data read librispeech /data/LibriSpeech --out librispeech.jsonl
    salmonn-data cut gigaspeech.jsonl --out cut/gigaspeech.jsonl
    salmonn-data make overlaps librispeech.jsonl --count 500 --out mixed.jsonl
    salmonn-data make variants sounds.jsonl --copies 2 --out varied.jsonl
    salmonn-data make speech sentences.jsonl --count 500 --out spoken.jsonl
    salmonn-data annotate librispeech.jsonl --task asr --out stage1.json

What an item is skipped for is said with a count, and each of them in --skipped FILE.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import track

from engine.data.audio import samples_of_clip, write_clip
from engine.data.examples import examples_of
from engine.data.kokoro import Kokoro, SpeechError
from engine.data.lists import write_annotation
from engine.data.making.made import Made, Maker
from engine.data.making.overlaps import overlaps
from engine.data.making.pairs import speaker_pairs
from engine.data.making.questions import with_questions
from engine.data.making.rooms import noisy
from engine.data.making.scenes import scenes
from engine.data.making.silences import silences
from engine.data.making.speech import lines, read_sentences
from engine.data.making.stories import stories
from engine.data.making.variants import variants
from engine.data.manifest import Clip, ManifestError, read_manifest, write_manifest
from engine.data.phones import with_phones
from engine.data.readers import READERS
from engine.data.reading import Broken, collect
from engine.errors import EngineError
from engine.geometry import SAMPLE_RATE
from engine.progress import report_on

MAKERS: Final[dict[str, Maker]] = {
    "overlaps": overlaps,
    "pairs": speaker_pairs,
    "noisy": noisy,
    "scenes": scenes,
    "stories": stories,
    "silences": silences,
}
"""What makes recordings."""
GROWING: Final[dict[str, Callable[[list[Clip], np.random.Generator], list[Clip]]]] = {
    "questions": with_questions,
    "phones": lambda clips, _: list(with_phones(clips)),
}
"""What makes facts, for the recordings that there are."""
VARIANTS: Final = "variants"
"""What makes so many recordings of each that there is."""
SPEECH: Final = "speech"
"""What makes recordings of no recordings, but of sentences."""
PLACE = {"start_s"}
"""Facts that say where a clip is, not what."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    notes = Console(stderr=True, highlight=False)
    try:
        options.run(options, notes)
    except (EngineError, OSError) as exc:
        notes.print(f"salmonn-data: {exc}", markup=False, soft_wrap=True)
        return 1
    return 0


def _read(options: argparse.Namespace, notes: Console) -> None:
    reader = READERS[options.set]
    items = track(
        reader.read(options.folder),
        options.set,
        console=notes,
        disable=not notes.is_terminal,
    )
    reading = collect(items, max_s=options.max_s, decode=options.decode)
    if options.skipped:
        lines = [json.dumps([b.item, b.reason]) + "\n" for b in reading.broken]
        options.skipped.write_text("".join(lines), encoding="utf-8")
    for reason, count in reading.reasons.most_common():
        example = next(b.item for b in reading.broken if b.reason == reason)
        notes.print(f"skipped {count}: {reason}, as {example}", soft_wrap=True)
    if not reading.clips:
        raise ManifestError(
            f"nothing in {options.folder} can be used; "
            f"{options.set} expects {reader.expects}"
        )
    _finish(options.out, reading.clips, len(reading.broken))


def _cut(options: argparse.Namespace, notes: Console) -> None:
    folder = options.out.parent / options.out.stem
    clips: list[Clip] = []
    skipped: list[Broken] = []
    listed = read_manifest(options.manifest)
    bar = track(listed, "cut", console=notes, disable=not notes.is_terminal)
    for number, clip in enumerate(bar):
        file = folder / f"{number:07}.flac"
        try:
            write_clip(file, samples_of_clip(clip))
        except ManifestError as exc:
            skipped.append(Broken(clip.path, str(exc)))
            notes.print(f"skipped: {exc}", markup=False, soft_wrap=True)
            continue
        facts = {k: v for k, v in clip.facts.items() if k not in PLACE}
        clips.append(Clip(str(file), file, clip.duration_s, facts))
    _finish(options.out, clips, len(skipped))


def _make(options: argparse.Namespace, notes: Console) -> None:
    if options.kind == SPEECH:
        _speak(options, notes)
        return
    given = read_manifest(
        options.manifest, sets=tuple(options.set), split=options.split
    )
    rng = np.random.default_rng(options.seed)
    if options.kind in GROWING:
        grown = GROWING[options.kind](given, rng)
        if not grown:
            raise ManifestError(f"{options.manifest}: no clip to make this of")
        _finish(options.out, grown, len(given) - len(grown))
        return
    if options.kind == VARIANTS:
        made = variants(given, options.copies, options.seed, rooms=options.rooms)
        _write(made, None, options, notes)
    else:
        made = MAKERS[options.kind](given, options.count, rng)
        _write(made, options.count, options, notes)


def _write(
    made: Iterable[Made],
    total: int | None,
    options: argparse.Namespace,
    notes: Console,
) -> None:
    """Write the recordings that a maker yields, and their manifest."""
    folder = options.out.parent / options.out.stem
    bar = track(made, options.kind, total, console=notes, disable=not notes.is_terminal)
    clips = []
    for number, new in enumerate(bar):
        file = folder / f"{number:07}.flac"
        write_clip(file, new.samples)
        duration_s = len(new.samples) / SAMPLE_RATE
        clips.append(Clip(str(file), file, duration_s, new.facts))
    _finish(options.out, clips, 0)


def _speak(options: argparse.Namespace, notes: Console) -> None:
    sentences = read_sentences(options.manifest)
    with report_on(notes) as report:
        voice = Kokoro.fetch(report)
    folder = options.out.parent / options.out.stem
    said = lines(sentences, options.count, np.random.default_rng(options.seed))
    bar = track(
        said, "speak", options.count, console=notes, disable=not notes.is_terminal
    )
    clips = []
    for number, line in enumerate(bar):
        file = folder / f"{number:07}.flac"
        try:
            samples = voice.say(line.text, line.voice, speed=line.speed)
        except SpeechError as exc:
            notes.print(f"skipped: {exc}", markup=False, soft_wrap=True)
            continue
        write_clip(file, samples)
        clips.append(Clip(str(file), file, len(samples) / SAMPLE_RATE, line.facts))
    _finish(options.out, clips, options.count - len(clips))


def _annotate(options: argparse.Namespace, _: Console) -> None:
    clips = read_manifest(
        options.manifest, sets=tuple(options.set), split=options.split
    )
    examples = [e for clip in clips for e in examples_of(clip, options.task)]
    if not examples:
        raise ManifestError(f"{options.manifest} has nothing that teaches these tasks")
    print(f"{write_annotation(options.out, examples)} examples")  # noqa: T201


def _finish(out: Path, clips: Sequence[Clip], num_skipped: int) -> None:
    write_manifest(out, clips)
    hours = sum(clip.duration_s for clip in clips) / 3600
    print(f"{len(clips)} clips, {hours:.2f} hours, {num_skipped} skipped")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="salmonn-data", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    read = commands.add_parser("read", help="a published set → a manifest")
    read.set_defaults(run=_read)
    sets = [f"  {name:12} {reader.expects}" for name, reader in READERS.items()]
    read.formatter_class = argparse.RawDescriptionHelpFormatter
    read.description = "What each set's folder holds:\n\n" + "\n".join(sets)
    read.add_argument("set", choices=list(READERS), metavar="SET")
    read.add_argument("folder", type=Path)
    read.add_argument("--out", type=Path, required=True, help="the manifest")
    read.add_argument("--max-s", type=float, help="skip longer clips, in seconds")
    read.add_argument(
        "--decode", action="store_true", help="read every sample, to find broken files"
    )
    read.add_argument("--skipped", type=Path, help="write each skipped item, and why")

    cut = commands.add_parser("cut", help="parts of files → files, 16 kHz FLAC")
    cut.set_defaults(run=_cut)
    cut.add_argument("manifest", type=Path)
    cut.add_argument("--out", type=Path, required=True, help="the new manifest")

    make = commands.add_parser("make", help="clips out of clips; a seed decides all")
    make.set_defaults(run=_make)
    make.add_argument("kind", choices=[*MAKERS, VARIANTS, *GROWING, SPEECH])
    make.add_argument(
        "manifest",
        type=Path,
        help="clips; for speech, sentences: {text or en, zh, split} a line",
    )
    make.add_argument("--out", type=Path, required=True, help="the new manifest")
    make.add_argument("--count", type=int, default=100, help="how many clips to make")
    make.add_argument("--copies", type=_count, default=1, help="variants of each clip")
    make.add_argument(
        "--rooms",
        action="store_true",
        help="variants as heard in a room and through a narrow channel",
    )
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("--set", action="append", default=[], help="repeatable")
    make.add_argument("--split", choices=["train", "dev", "test"], default="train")

    annotate = commands.add_parser("annotate", help="a manifest → the original's JSON")
    annotate.set_defaults(run=_annotate)
    annotate.add_argument("manifest", type=Path)
    annotate.add_argument("--out", type=Path, required=True, help="the annotation")
    annotate.add_argument("--task", action="append", default=[], help="repeatable")
    annotate.add_argument("--set", action="append", default=[], help="repeatable")
    annotate.add_argument("--split", choices=["train", "dev", "test"])
    return parser


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no count; expected 1 or more")
    return count


if __name__ == "__main__":
    sys.exit(main())
