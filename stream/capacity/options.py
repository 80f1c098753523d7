"""The flags of `salmonn-capacity`, and what they say of those who speak."""

import argparse
import math
from dataclasses import fields
from pathlib import Path

from stream.capacity.traffic import Traffic

PROGRAM = "salmonn-capacity"
PRESETS = ("salmonn-7b", "salmonn-13b")
GPUS = ("l4", "a100", "h100", "h200")


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Return what reads the command line."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=description)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="what", required=True, metavar="COMMAND")

    measure = commands.add_parser("measure", help="what work costs here")
    _add_clips(measure)
    _add_out(measure)
    measure.add_argument(
        "--silent",
        type=_whole,
        default=8,
        metavar="N",
        help="sessions that say nothing, to see what company costs (default: 8)",
    )
    measure.add_argument(
        "--crowd",
        type=_positive,
        default=8,
        metavar="N",
        help="sessions that speak at once, so that some lag (default: 8)",
    )
    measure.add_argument(
        "--captions", action="store_true", help="leave the language model out"
    )

    check = commands.add_parser("check", help="foretold beside measured")
    _add_clips(check)
    _add_costs(check)
    _add_sessions(check, default=[1, 2, 4, 8])
    check.add_argument(
        "--rounds", type=_positive, metavar="N", help="how often each is tried"
    )

    hold = commands.add_parser("hold", help="how many sessions a replica holds")
    _add_clips(hold)
    _add_costs(hold)
    _add_traffic(hold)
    _add_sessions(hold, default=[])
    hold.add_argument(
        "--final-p95",
        type=float,
        default=1.5,
        metavar="S",
        help="finals that are later, at p95, are too late (default: 1.5)",
    )
    hold.add_argument(
        "--first-p95",
        type=float,
        default=math.inf,
        metavar="S",
        help="and so are first partials of segments (default: they may be)",
    )
    hold.add_argument(
        "--total",
        type=_positive,
        default=100_000,
        metavar="N",
        help="sessions for which replicas are counted (default: 100000)",
    )
    hold.add_argument(
        "--ceiling",
        type=_positive,
        default=4096,
        metavar="N",
        help="no more sessions than these are tried (default: 4096)",
    )

    cluster = commands.add_parser("cluster", help="sessions come to replicas and go")
    _add_clips(cluster)
    _add_costs(cluster)
    _add_traffic(cluster)
    cluster.add_argument("--replicas", type=_positive, default=2, metavar="N")
    cluster.add_argument(
        "--sessions",
        type=_positive,
        default=32,
        metavar="N",
        help="that are there at once on average, if all are let in (default: 32)",
    )
    cluster.add_argument(
        "--max-sessions",
        type=_positive,
        metavar="N",
        help="of a replica, in place of limits.max_sessions",
    )

    assume = commands.add_parser("assume", help="costs of a GPU that is not here")
    assume.add_argument("--preset", choices=PRESETS, default="salmonn-7b")
    assume.add_argument("--gpu", choices=GPUS, default="h100")
    assume.add_argument(
        "--set",
        type=_assumption,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an assumption of engine.benchmarks.roofline.Assumptions; repeatable",
    )
    _add_out(assume)
    return parser


def traffic_of(options: argparse.Namespace) -> Traffic:
    """Return how people speak and come, as the flags say."""
    names = [field.name for field in fields(Traffic)]
    return Traffic(**{name: getattr(options, name) for name in names})


def _add_clips(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="clips of speech, one JSON object a line (default: the demo's clip); "
        "measure hears others than check, hold and cluster",
    )
    add(
        "--limit",
        type=_positive,
        default=8,
        metavar="N",
        help="clips, evenly spread (default: 8)",
    )
    add("--config", type=Path, metavar="FILE", help="the server's TOML file")


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="where costs are written",
    )


def _add_costs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--costs",
        type=Path,
        required=True,
        metavar="FILE",
        help="what `measure` or `assume` wrote",
    )


def _add_sessions(parser: argparse.ArgumentParser, default: list[int]) -> None:
    parser.add_argument(
        "--sessions",
        type=_positive,
        nargs="+",
        default=default,
        metavar="N",
        help="how many at once, one after the other "
        f"(default: {' '.join(map(str, default)) or 'search for the most'})",
    )


def _add_traffic(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    for field in fields(Traffic):
        flag = f"--{field.name.replace('_', '-')}"
        if field.type is bool or field.type == "bool":
            add(flag, action="store_true", dest=field.name)
            continue
        kind = int if isinstance(field.default, int) else float
        shown = f"assumed; default: {field.default:g}"
        add(flag, type=kind, default=field.default, metavar="X", help=shown)
    add(
        "--minutes", type=float, default=5.0, metavar="X", help="simulated (default: 5)"
    )
    add("--seed", type=int, default=0, metavar="N")


def _assumption(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    return name, float(value)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text}; it must be 1 or more")
    return number


def _whole(text: str) -> int:
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"{text}; it must be 0 or more")
    return number
