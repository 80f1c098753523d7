"""`salmonn-capacity`: how many sessions a machine holds, and how late they get text.

    salmonn-capacity measure --out costs.json      what work costs here: a server hears
                                                   clips, alone and many at once
    salmonn-capacity check --costs costs.json      so many speak at once to a server:
                                                   foretold, measured, the error
    salmonn-capacity hold --costs costs.json       how many sessions a replica holds
    salmonn-capacity cluster --costs costs.json    sessions come to replicas and go
    salmonn-capacity assume --out gpu.json         costs of a GPU that is not here, from
                                                   shapes and assumptions

All simulate the server's own order of work (docs/capacity.md).  What was assumed is
printed with every figure.

    0  done, whatever the figures
    1  a failed run: no weights, no clips, a server that ends
    2  wrong usage
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from rich.console import Console

from engine.errors import EngineError
from stream.capacity.options import PROGRAM, parser_of, traffic_of
from stream.config import read_config

if TYPE_CHECKING:
    from engine.benchmarks.report import Row, Setup
    from engine.data.manifest import Clip
    from stream.capacity.costs import Costs
    from stream.capacity.planning import Plan


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser_of(__doc__).parse_args(arguments)
    notes, console = Console(stderr=True), Console()
    try:
        RUNS[options.what](options, notes, console)
    except KeyboardInterrupt:
        notes.print(f"{PROGRAM}: stopped")
    except ModuleNotFoundError as exc:
        notes.print(
            f"{PROGRAM}: {exc.name} is not installed; the extras server, eval and "
            "capacity have all that it needs: "
            "pip install 'salmonn-live[server,eval,capacity]'",
            markup=False,
        )
    except (EngineError, OSError, ValueError) as exc:
        notes.print(f"{PROGRAM}: {exc}", markup=False)
    else:
        return 0
    return 1


# What follows imports where it is used: `--help` must not wait for torch.


def _measure(options: argparse.Namespace, notes: Console, console: Console) -> None:
    from stream.capacity.costs import write_costs
    from stream.capacity.measuring import measure

    costs = measure(
        _setup(options, notes, other=False),
        silent=options.silent,
        crowd=options.crowd,
        with_replies=not options.captions,
    )
    write_costs(options.out, costs)
    _show_costs(costs, console)


def _assume(options: argparse.Namespace, notes: Console, console: Console) -> None:
    from engine.benchmarks.roofline import Assumptions
    from stream.capacity.assuming import assume
    from stream.capacity.costs import write_costs

    known, given = {field.name for field in fields(Assumptions)}, dict(options.set)
    if unknown := given.keys() - known:
        raise ValueError(
            f"{', '.join(sorted(unknown))} is no assumption; "
            f"known are {', '.join(sorted(known))}"
        )
    costs = assume(options.preset, options.gpu, Assumptions(**given))
    write_costs(options.out, costs)
    _show_costs(costs, console)


def _check(options: argparse.Namespace, notes: Console, console: Console) -> None:
    from engine.benchmarks.machine import this_machine
    from stream.capacity.checking import check
    from stream.capacity.costs import read_costs

    costs = read_costs(options.costs)
    machine = this_machine()
    figures = check(
        _setup(options, notes, other=True),
        costs,
        options.sessions,
        read_config(options.config, os.environ).limits,
    )
    console.print(f"{machine}\n{figures.engine}", highlight=False, markup=False)
    _show("foretold and measured", figures.rows(), console)
    _tell({"machine": asdict(machine), "check": asdict(figures)})


def _hold(options: argparse.Namespace, notes: Console, console: Console) -> None:
    from engine.benchmarks.report import Row
    from stream.capacity.outcome import Level
    from stream.capacity.planning import hold, most, rows_of

    plan = _plan(options)
    _show_costs(plan.costs, console)
    levels = dict[int, Level]()
    final_s: float = options.final_p95
    first_s: float = options.first_p95

    def level(sessions: int) -> Level:
        notes.print(f"{sessions} sessions …", highlight=False)
        levels[sessions] = hold(plan, sessions)
        return levels[sessions]

    def is_enough(found: Level) -> bool:
        first = found.first_text_s
        is_told = first_s == math.inf or (first is not None and first.p95 <= first_s)
        return is_told and found.final_s.p95 <= final_s

    if options.sessions:
        for sessions in options.sessions:
            level(sessions)
    else:
        most(level, is_enough, ceiling=options.ceiling)
    rows = list[Row]()
    for sessions, found in sorted(levels.items()):
        verdict = "" if is_enough(found) else "too late"
        rows += [Row(f"{sessions} sessions", "", verdict), *rows_of(found)]
    held = max((n for n, found in levels.items() if is_enough(found)), default=0)
    shown = f"sessions with finals within {final_s:g} s, p95"
    if first_s < math.inf:
        shown = f"{shown}, and first partials within {first_s:g} s"
    rows.append(Row(shown, f"{held}" if held else "not one"))
    if plan.costs.memory and (fitting := plan.costs.memory.sessions) is not None:
        rows.append(Row("sessions for which there is memory", f"{fitting:,}"))
        held = min(held, fitting)
    if held:
        replicas = f"{-(-options.total // held):,}"
        rows.append(Row(f"replicas for {options.total:,} sessions", replicas))
    _show(_of_plan(plan), rows, console)
    _tell({"hold": [asdict(levels[n]) for n in sorted(levels)]})


def _cluster(options: argparse.Namespace, notes: Console, console: Console) -> None:
    from stream.capacity.planning import cluster

    plan = _plan(options)
    if options.max_sessions is not None:
        limits = replace(plan.limits, max_sessions=options.max_sessions)
        plan = replace(plan, limits=limits)
    _show_costs(plan.costs, console)
    notes.print(f"{options.sessions} sessions on {options.replicas} replicas …")
    found = cluster(plan, replicas=options.replicas, sessions=options.sessions)
    _show(_of_plan(plan), found.rows(), console)
    _tell({"cluster": asdict(found)})


RUNS = {
    "measure": _measure,
    "assume": _assume,
    "check": _check,
    "hold": _hold,
    "cluster": _cluster,
}


def _clips(options: argparse.Namespace, *, other: bool) -> "list[Clip]":
    """Return clips, evenly spread; `other` ones than those that were measured."""
    from engine.benchmarks.clips import SPEECH, choose_clips

    clips = choose_clips(SPEECH, options.manifest, limit=2 * options.limit)
    return clips[1::2] if other and len(clips) > 1 else clips[::2]


def _setup(options: argparse.Namespace, notes: Console, *, other: bool) -> "Setup":
    from engine.benchmarks.report import Setup

    rounds = getattr(options, "rounds", None)
    clips = _clips(options, other=other)
    return Setup(clips, options.config, options.limit, notes, rounds)


def _plan(options: argparse.Namespace) -> "Plan":
    from stream.capacity.costs import read_costs
    from stream.capacity.measuring import padded
    from stream.capacity.planning import Plan
    from stream.capacity.recording import recorded

    costs = read_costs(options.costs)
    traffic = traffic_of(options)
    turns = recorded(
        [padded(clip) for clip in _clips(options, other=True)],
        options.config,
        costs,
        describes=traffic.describes,
    )
    return Plan(
        costs=costs,
        turns=turns,
        traffic=traffic,
        limits=read_config(options.config, os.environ).limits,
        minutes=options.minutes,
        seed=options.seed,
    )


def _of_plan(plan: "Plan") -> str:
    """Return what was assumed of those who speak, and how much they say."""
    speech = sum(turn.speech_s for turn in plan.turns) / len(plan.turns)
    told = ", ".join(f"{name} {value}" for name, value in asdict(plan.traffic).items())
    return (
        f"{len(plan.turns)} recorded turns of {speech:.1f} s of speech on average, "
        f"{plan.minutes:g} minutes; assumed: {told}"
    )


def _show_costs(costs: "Costs", console: Console) -> None:
    from engine.benchmarks.report import Row

    def told(name: str, seconds: float) -> Row:
        return Row(name, f"{1000 * seconds:.2f} ms")

    about = f"{costs.source}: {costs.engine}\n{costs.machine}"
    console.print(about, highlight=False, markup=False)
    rows = list[Row]()
    for name, line in (("partial", costs.partial), ("final", costs.final)):
        rows += [
            told(f"{name}, in any case", line.fixed_s),
            told(f"{name}, for a second of the segment", line.per_heard_s),
            told(f"{name}, for a second not read before", line.per_new_s),
        ]
    rows.append(told("a piece of work, to and fro", costs.turn_s))
    rows += [
        told("event loop, for a second of a silent session", costs.loop.silent_s),
        told("event loop, for a second of speech", costs.loop.speech_s),
        told("event loop, for a piece of the engine's work", costs.loop.piece_s),
        Row("engine beside a loop that always works", f"+{costs.loop.contention:.0%}"),
    ]
    if costs.block_s is not None:
        rows.append(told("encoder blocks for a second of audio", costs.block_s))
    if costs.replies:
        rows += [
            told(f"language model: {name}", seconds)
            for name, seconds in asdict(costs.replies).items()
        ]
    if costs.memory:
        held = f"{costs.memory.loaded_mb:,.0f} MB, {costs.memory.session_mb:.1f} MB"
        rows.append(Row("memory, and of a session", held))
    _show("costs", rows, console)
    for sentence in costs.assumptions:
        console.print(f"assumed: {sentence}", highlight=False, markup=False)


def _show(title: str, rows: "list[Row]", console: Console) -> None:
    from engine.benchmarks.report import table

    console.print(table(title, rows))


def _tell(result: dict[str, Any]) -> None:
    """End with what programs read."""
    print(json.dumps(result, ensure_ascii=False))  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
