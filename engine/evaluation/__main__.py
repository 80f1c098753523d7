"""`salmonn-eval`: what a model hears in labelled clips, live and offline.

    salmonn-eval --manifest FILE --task asr --mode both --set NAME --split dev
    salmonn-eval --manifest FILE --ask "What do you hear?" --mode both --json -
    salmonn-eval --manifest FILE --table --mode both --report FOLDER
    salmonn-eval --manifest FILE --table --ckpt FILE --head both --mode offline
    salmonn-eval --manifest FILE --untaught --split dev

Live is what a client gets from a server of its own; offline is the same model on whole
clips, padded to 30 s and encoded in one pass, with the same decoding.  The table is
that of SALMONN's paper, and rows of ours, as far as clips and model reach
(docs/evaluation.md).
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from engine.config import EngineConfig, PartsConfig
from engine.data.manifest import Clip, ManifestError, read_manifest
from engine.errors import EngineError
from engine.evaluation import asking, report, table, untaught
from engine.evaluation.answerers import Answerer
from engine.evaluation.asking import HEADS, SALMONN, WHISPER, Choice, answerers
from engine.evaluation.clip_options import add_clips
from engine.evaluation.questions import Question
from engine.evaluation.scores import WordErrors, word_errors
from engine.evaluation.table import Begin, Table
from engine.evaluation.trials import trials
from engine.tasks import find

MODES = {"live": ("live",), "offline": ("offline",), "both": ("live", "offline")}
PARTS = tuple(part.name for part in fields(PartsConfig))
TRANSCRIBE = "transcribe"
WIDEST = 200  # columns of a table on a terminal or a pipe

Show = Callable[[Console], None]
"""Prints the figures."""
Run = Callable[
    [Sequence[Clip], argparse.Namespace, Console], tuple[dict[str, Any], Show]
]
"""From clips to what `--json` writes, and what shows it."""


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
    run = _chosen(options)
    try:
        # A table has so many questions of each row, and not so many clips in all.
        every = options.table or options.untaught
        clips = _read(options, None if every else options.limit)
        result, show = run(clips, options, notes)
    except (EngineError, OSError, ValueError) as exc:
        notes.print(f"salmonn-eval: {exc}", markup=False, soft_wrap=True)
        return 1
    if options.json:
        text = json.dumps(result, ensure_ascii=False, indent=1)
        if options.json == "-":
            print(text)  # noqa: T201
        else:
            Path(options.json).write_text(text + "\n", encoding="utf-8")
    show(Console(stderr=options.json == "-", highlight=False))
    return 0


def _chosen(options: argparse.Namespace) -> Run:
    if options.untaught:
        return _untaught
    return _ask if options.ask else _table if options.table else _transcribe


def _read(options: argparse.Namespace, limit: int | None = None) -> list[Clip]:
    return read_manifest(
        *options.manifest, sets=tuple(options.set), split=options.split, limit=limit
    )


def _transcribe(
    clips: Sequence[Clip], options: argparse.Namespace, notes: Console
) -> tuple[dict[str, Any], Show]:
    """Return word error rates, live and offline."""
    clips = [clip for clip in clips if clip.facts.get("text")]
    if not clips:
        raise ManifestError("none of the clips has a text")
    references = [clip.facts["text"] for clip in clips]
    questions = [_transcription(clip) for clip in clips]
    default = MODES["offline" if options.head == SALMONN else "both"]
    heard = []
    with _choose(options, default=default) as answering, _bar(notes) as begin:
        # Live first: offline, the weights are loaded when they are needed.
        for answerer in reversed(answering):
            mode = answerer.mode
            if not all(answerer.serves(question) for question in questions):
                raise EngineError(f"{answerer.model.name} does not transcribe {mode}")
            answers = answerer.answer(questions, begin(mode, len(questions)))
            heard.append(Heard(mode, answers, word_errors(references, answers)))
    result = _result(clips, heard, options)
    return result, lambda console: _print_totals(heard, clips, console)


def _transcription(clip: Clip) -> Question:
    prompt = find(TRANSCRIBE, clip.facts.get("lang")).prompt
    return Question(clip, prompt, TRANSCRIBE, (clip.facts["text"],))


def _ask(
    clips: Sequence[Clip], options: argparse.Namespace, notes: Console
) -> tuple[dict[str, Any], Show]:
    """Return the answers to a free question."""
    with _choose(options, default=MODES["offline"]) as answering, _bar(notes) as begin:
        lines = asking.ask_all(clips, options.ask, answering, begin)

    def show(console: Console) -> None:
        for line in lines:
            for text in asking.shown(line):
                console.print(text, markup=False, soft_wrap=True)
        console.print(f"{len(lines)} answers")

    totals = {"clips": len(lines)}
    return {"clips": lines, "totals": totals, "settings": _settings(options)}, show


def _untaught(
    clips: Sequence[Clip], options: argparse.Namespace, notes: Console
) -> tuple[dict[str, Any], Show]:
    """Return the answers to questions that no training has, a clip each."""
    questions = untaught.drawn(clips)
    with _choose(options, default=MODES["offline"]) as answering, _bar(notes) as begin:
        lines = asking.ask_each(questions, answering, begin)
    text = untaught.listed(lines)
    totals = {"clips": len(lines)}
    return {"clips": lines, "totals": totals, "settings": _settings(options)}, (
        lambda console: console.print(text, markup=False, soft_wrap=True)
    )


def _table(
    clips: Sequence[Clip], options: argparse.Namespace, notes: Console
) -> tuple[dict[str, Any], Show]:
    """Return the table of the paper, as far as clips and model reach."""
    todo = trials(clips, tasks=options.row, most=options.limit)
    if not todo:
        raise ManifestError("nothing is known of the clips that could be asked")
    # Read at once: a file that is none must not cost an hour's answers.
    earlier = json.loads(options.before.read_text("utf-8")) if options.before else None
    with _choose(options, default=MODES["both"]) as answering, _bar(notes) as begin:
        model = answering[0].model
        found = Table(model, table.fill(todo, answering, begin))
    if earlier is not None:
        table.put_before(found, earlier)
    remarks = [
        f"`salmonn-eval {' '.join(sys.argv[1:])}`, "
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()} {platform.system()}"
    ]
    if options.report:
        page = report.write_report(options.report, found, notes=remarks)
        notes.print(f"written: {page}", markup=False, soft_wrap=True)
    text = report.markdown(found, notes=remarks)

    def show(console: Console) -> None:
        wide = Console(stderr=console.stderr, highlight=False, width=WIDEST)
        wide.print(Markdown(text))
        if model.doubt:
            console.print(model.doubt, markup=False)

    return found.as_json() | {"settings": _settings(options)}, show


@contextmanager
def _choose(
    options: argparse.Namespace, *, default: tuple[str, ...]
) -> Iterator[list[Answerer]]:
    is_asked = options.ask or options.untaught or options.ckpt
    choice = Choice(
        heads=HEADS[options.head or (SALMONN if is_asked else WHISPER)],
        modes=MODES[options.mode] if options.mode else default,
        config=options.config,
        preset=options.preset,
        parts=PartsConfig(**{name: getattr(options, name) for name in PARTS}),
        language=options.language,
        fast=options.fast,
        max_tokens=options.max_tokens,
    )
    with answerers(choice) as found:
        yield found


@contextmanager
def _bar(console: Console) -> Iterator[Begin]:
    """Yield what shows how far each part has come."""
    with Progress(
        TextColumn("{task.description:24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:

        def begin(name: str, total: int) -> Callable[[], None]:
            task = progress.add_task(name, total=total)
            return lambda: progress.advance(task)

        yield begin


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
    return {"clips": lines, "totals": totals, "settings": _settings(options)}


def _settings(options: argparse.Namespace) -> dict[str, str]:
    return {
        key: " ".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in vars(options).items()
        if value
    }


def _print_totals(
    heard: Sequence[Heard], clips: Sequence[Clip], console: Console
) -> None:
    minutes = sum(clip.duration_s for clip in clips) / 60
    console.print(f"{len(clips)} clips, {minutes:.1f} minutes")
    for mode in heard:
        errors = mode.errors
        console.print(
            f"word error rate {mode.mode:8} {errors.rate:5.2f} %  "
            f"({errors.substitutions} substituted, {errors.deletions} left out, "
            f"{errors.insertions} put in, of {errors.words} words)"
        )
    if [mode.mode for mode in heard] == ["live", "offline"]:
        difference = heard[0].errors.rate - heard[1].errors.rate
        console.print(f"live - offline          {difference:+5.2f}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="salmonn-eval", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add_clips(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--task", choices=["asr"], default="asr", help="what is scored")
    what.add_argument("--ask", metavar="QUESTION", help="ask this of every clip")
    what.add_argument(
        "--untaught",
        action="store_true",
        help="ask questions that no training has, each of a clip that is drawn",
    )
    what.add_argument("--table", action="store_true", help="print the paper's table")
    add(
        "--row",
        action="append",
        default=[],
        metavar="TASK",
        help="only these rows of the table, or all of `paper` or `ours`; repeatable",
    )
    add("--report", type=Path, metavar="FOLDER", help="write the table, with pictures")
    add(
        "--before",
        type=Path,
        metavar="FILE",
        help="a table as --json wrote it, whose figures are put before the new ones",
    )
    add(
        "--head",
        choices=list(HEADS),
        help="default: whisper; salmonn for --ask, --untaught and with --ckpt",
    )
    add(
        "--mode",
        choices=list(MODES),
        help="default: both; offline for --ask, --untaught",
    )
    add("--split", choices=["train", "dev", "test"], help="only clips of this split")
    add(
        "--limit",
        type=int,
        metavar="N",
        help="N clips, evenly spread; of a table, N questions of each row and set",
    )
    add("--language", help="code of the spoken language (default: the model tells)")
    add(
        "--max-tokens",
        type=int,
        default=200,
        metavar="N",
        help="of an answer of a language model, offline (default: %(default)s)",
    )
    add("--fast", action="store_true", help="live: faster than spoken, fewer partials")
    add("--config", type=Path, metavar="FILE", help="the server's TOML file")
    presets = get_args(get_type_hints(EngineConfig)["preset"])
    add("--preset", choices=presets, help="which model (default: the file's)")
    for part in PARTS:
        add(f"--{part}", type=Path, metavar="PATH", help=f"engine.parts.{part}")
    add("--json", metavar="FILE", help="write everything as JSON; - for stdout")
    return parser


if __name__ == "__main__":
    sys.exit(main())
