"""`salmonn-eval`: what a model hears in labelled clips, live and offline.

    salmonn-eval --manifest FILE --task asr --mode both --set NAME --split dev

Live is what a client gets from a server of its own; offline is the same model on whole
clips, padded to 30 s and encoded in one pass, with the same decoding.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from engine.api import UtteranceOptions
from engine.errors import EngineError
from engine.evaluation import live
from engine.evaluation.manifest import Clip, read_manifest
from engine.evaluation.scores import WordErrors, word_errors

MODES = {"live": ("live",), "offline": ("offline",), "both": ("live", "offline")}


@dataclass(frozen=True, slots=True)
class Heard:
    """What one mode made of all clips."""

    mode: str
    hypotheses: list[str]
    errors: WordErrors


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    notes = Console(stderr=True)
    try:
        clips = [
            clip
            for clip in read_manifest(
                options.manifest,
                sets=tuple(options.set),
                split=options.split,
                limit=options.limit,
            )
            if clip.facts.get("text")
        ]
        if not clips:
            notes.print(f"{options.manifest}: none of the clips has a text")
            return 1
        heard = [_hear(mode, clips, options, notes) for mode in MODES[options.mode]]
    except (EngineError, OSError, ValueError) as exc:
        notes.print(f"salmonn-eval: {exc}", markup=False)
        return 1
    result = _result(clips, heard, options)
    if options.json:
        text = json.dumps(result, ensure_ascii=False, indent=1)
        if options.json == "-":
            print(text)  # noqa: T201
        else:
            Path(options.json).write_text(text + "\n", encoding="utf-8")
    _print_totals(heard, clips, Console(stderr=options.json == "-"))
    return 0


def _hear(
    mode: str, clips: Sequence[Clip], options: argparse.Namespace, notes: Console
) -> Heard:
    with Progress(
        TextColumn(f"{mode:8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes,
        disable=not notes.is_terminal,
    ) as progress:
        bar = progress.add_task(mode, total=len(clips))

        def report() -> None:
            progress.advance(bar)

        if mode == "live":
            flags = ["--language", options.language] if options.language else []
            flags += ["--fast"] if options.fast else []
            files = [clip.file for clip in clips]
            with live.running_server(config=options.config) as (url, _):
                events = live.hear(url, files, *flags, report=report)
            hypotheses = [live.transcript(of_clip) for of_clip in events]
        else:
            hypotheses = _hear_offline(clips, options, report)
    errors = word_errors([clip.facts["text"] for clip in clips], hypotheses)
    return Heard(mode, hypotheses, errors)


def _hear_offline(
    clips: Sequence[Clip], options: argparse.Namespace, report: Callable[[], None]
) -> list[str]:
    # Here, not above: `--help` must not wait for torch.
    from engine.evaluation import offline
    from engine.local import LocalEngine

    engine = LocalEngine.load(live.engine_config(options.config))
    try:
        asked = UtteranceOptions(language=options.language)
        return offline.hear(engine, clips, asked, report=report)
    finally:
        engine.close()


def _result(
    clips: Sequence[Clip], heard: Sequence[Heard], options: argparse.Namespace
) -> dict[str, Any]:
    """Return what `--json` writes; `hypothesis` is that of the first mode."""
    lines = []
    for index, clip in enumerate(clips):
        line = {"path": clip.path, "reference": clip.facts["text"]}
        line["hypothesis"] = heard[0].hypotheses[index]
        line |= {f"hypothesis_{h.mode}": h.hypotheses[index] for h in heard}
        lines.append(line)
    totals: dict[str, Any] = {"clips": len(clips), "wer": heard[0].errors.rate}
    for mode in heard:
        totals[mode.mode] = asdict(mode.errors) | {"wer": mode.errors.rate}
    settings = {key: str(value) for key, value in vars(options).items() if value}
    return {"clips": lines, "totals": totals, "settings": settings}


def _print_totals(
    heard: Sequence[Heard], clips: Sequence[Clip], console: Console
) -> None:
    minutes = sum(clip.duration_s for clip in clips) / 60
    console.print(f"{len(clips)} clips, {minutes:.1f} minutes", highlight=False)
    for mode in heard:
        errors = mode.errors
        console.print(
            f"word error rate {mode.mode:8} {errors.rate:5.2f} %  "
            f"({errors.substitutions} substituted, {errors.deletions} left out, "
            f"{errors.insertions} put in, of {errors.words} words)",
            highlight=False,
        )
    if len(heard) == 2:
        difference = heard[0].errors.rate - heard[1].errors.rate
        console.print(f"live - offline          {difference:+5.2f}", highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="salmonn-eval", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--manifest", type=Path, required=True, help="clips, one JSON object a line")
    add("--task", choices=["asr"], default="asr", help="what is scored")
    add("--head", choices=["whisper"], default="whisper", help="who answers")
    add("--mode", choices=list(MODES), default="both", help="default: %(default)s")
    add("--set", action="append", default=[], help="only clips of this set; repeatable")
    add("--split", choices=["train", "dev"], help="only clips of this split")
    add("--limit", type=int, metavar="N", help="N clips, evenly spread")
    add("--language", help="code of the spoken language (default: the model tells)")
    add("--fast", action="store_true", help="live: faster than spoken, fewer partials")
    add("--config", type=Path, metavar="FILE", help="the server's TOML file")
    add("--json", metavar="FILE", help="write everything as JSON; - for stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
