"""`salmonn-bench`: what text costs, how late it is, and what is heard in quiet.

    salmonn-bench latency   first and final text, word error rate; beside an offline run
    salmonn-bench cost      the encoder's time for a second of audio; long segments
    salmonn-bench memory    memory and lag over 10 minutes, as fast as they are heard
    salmonn-bench quiet     words invented in silence, noise and music
    salmonn-bench all       all of these
    salmonn-bench load      1, 2, 4 and 8 sessions at once: first partials, finals
    salmonn-bench answers   first token of an answer, beside the official way; needs
                            the language model (salmonn-weights --part gemma)
    salmonn-bench decode    a token of the language model, by what its head is kept in
    salmonn-bench shapes    --preset salmonn-7b --device cuda: memory, first token,
                            tokens and sessions of a released shape, its weights random

Prints a table for people and, on the last line, JSON for programs.

    0  everything was measured, whatever the figures
    1  a failed run: no weights, no clips, a server that ends
    2  wrong usage
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from engine.errors import EngineError
from engine.presets import RELEASED

if TYPE_CHECKING:
    from engine.benchmarks.report import Figures

PROGRAM = "salmonn-bench"
CAPTIONS = ("latency", "cost", "memory", "quiet")
BENCHMARKS = (*CAPTIONS, "load", "answers", "decode", "shapes")
STDOUT = "-"
DETAILS = "details"  # what only `--json FILE` holds: a line a clip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.benchmark == "all" and (options.set or options.split):
        parser.error("all hears each benchmark's own clips: no --set, no --split")
    if options.benchmark != "shapes" and (options.preset or options.device):
        parser.error("--preset and --device are for shapes; others take --config")
    notes = Console(stderr=True)
    console = notes if options.json == STDOUT else Console()
    try:
        _write(_measure(options, notes, console), options.json)
    except KeyboardInterrupt:
        notes.print(f"{PROGRAM}: stopped")
    except ModuleNotFoundError as exc:
        notes.print(
            f"{PROGRAM}: {exc.name} is not installed; the extras server and eval have "
            "all that it needs: pip install 'salmonn-live[server,eval]'",
            markup=False,
        )
    except (EngineError, OSError, ValueError) as exc:
        notes.print(f"{PROGRAM}: {exc}", markup=False)
    else:
        return 0
    return 1


def _measure(
    options: argparse.Namespace, notes: Console, console: Console
) -> dict[str, Any]:
    """Run the benchmarks, show what they found, and return all of it."""
    # Here, not above: `--help` must not wait for torch.
    from engine.benchmarks.machine import this_machine
    from engine.benchmarks.report import table

    machine = this_machine()
    console.print(str(machine), highlight=False)
    settings = {key: str(value) for key, value in vars(options).items() if value}
    result = {"machine": asdict(machine), "settings": settings}
    chosen = CAPTIONS if options.benchmark == "all" else (options.benchmark,)
    for name in chosen:
        figures = _run(name, options, notes)
        console.print(figures.engine, highlight=False, markup=False)
        console.print(table(name, figures.rows()))
        result[name] = asdict(figures)
    return result


def _run(name: str, options: argparse.Namespace, notes: Console) -> "Figures":
    from engine.benchmarks import (
        answers,
        cost,
        decode,
        latency,
        load,
        memory,
        quiet,
        shapes,
    )
    from engine.benchmarks.clips import MUSIC, SPEECH, Wanted, choose_clips
    from engine.benchmarks.report import Setup

    runs: dict[str, tuple[Callable[[Setup], Figures], Wanted]] = {
        "latency": (latency.run, SPEECH),
        "cost": (cost.run, SPEECH),
        "memory": (memory.run, SPEECH),
        "quiet": (quiet.run, MUSIC),
        "load": (load.run, SPEECH),
        "answers": (answers.run, SPEECH),
        "decode": (decode.run, SPEECH),
        "shapes": (shapes.run, SPEECH),
    }
    run, wanted = runs[name]
    clips = choose_clips(
        wanted,
        options.manifest,
        sets=tuple(options.set),
        split=options.split,
        # Long segments are joined from neighbours: there, segments are counted.
        limit=None if name == "cost" else options.limit,
    )
    return run(
        Setup(
            clips,
            options.config,
            options.limit,
            notes,
            options.rounds,
            options.preset or "salmonn-7b",
            options.device or "cpu",
        )
    )


def _write(result: dict[str, Any], target: str | None) -> None:
    """Write all to the file, or to standard output; end with what programs read."""
    if target == STDOUT:
        print(json.dumps(result, ensure_ascii=False))  # noqa: T201
        return
    if target:
        text = json.dumps(result, ensure_ascii=False, indent=1)
        Path(target).write_text(text + "\n", encoding="utf-8")
    print(json.dumps(_without_details(result), ensure_ascii=False))  # noqa: T201


def _without_details(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {k: _without_details(v) for k, v in value.items() if k != DETAILS}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("benchmark", choices=[*BENCHMARKS, "all"], help="what to measure")
    add(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="clips, one JSON object a line (default: the demo's clip)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME",
        help="only clips of this set; repeatable (default: librispeech_devclean20, "
        "split dev; for quiet, instruments)",
    )
    add("--split", choices=["train", "dev"], help="only clips of this split")
    add(
        "--limit",
        type=_positive,
        metavar="N",
        help="N clips, evenly spread; for cost, N long segments",
    )
    add(
        "--rounds",
        type=_positive,
        metavar="N",
        help="for answers, decode, load and shapes: how often each is tried "
        "(default: 8, 5, 1 and 5)",
    )
    add(
        "--preset",
        choices=sorted(RELEASED),
        help="for shapes: which (default: salmonn-7b)",
    )
    add("--device", help="for shapes: where, as torch names it (default: cpu)")
    add("--config", type=Path, metavar="FILE", help="the server's TOML file")
    add("--json", metavar="FILE", help="write everything as JSON; - for stdout")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}; it must be 1 or more")
    return number


if __name__ == "__main__":
    sys.exit(main())
