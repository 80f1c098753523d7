"""The command line of `salmonn-ask`, understood; imports no torch."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import get_args, get_type_hints

from engine.api import Prompt
from engine.config import EngineConfig

PROGRAM = "salmonn-ask"
PRECISIONS = ("float32", "bfloat16", "float16", "8bit", "4bit")


def parse(
    arguments: Sequence[str] | None, description: str | None
) -> argparse.Namespace:
    """Return the options; ends the process where they are wrong.

    Their `asked` has a prompt for each `--prompt` and `--task`, in order.
    """
    parser = _parser(description)
    options = parser.parse_args(arguments)
    if not options.dry_run and not (options.files and options.asked):
        parser.error("expected a FILE, and a --prompt or a --task to ask about it")
    if options.live and not options.dry_run:
        parser.error("--live goes with --dry-run")
    return options


def _parser(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=description)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("files", nargs="*", type=Path, metavar="FILE", help="a sound file")
    add(
        "--prompt",
        dest="asked",
        action="append",
        default=[],
        type=_question,
        metavar="TEXT",
        help="a question; repeatable",
    )
    add(
        "--task",
        dest="asked",
        action="append",
        type=_task,
        metavar="NAME",
        help="transcribe, translate:LANG, describe, …; repeatable",
    )
    add("--language", help="code of the spoken language (default: not said)")
    presets = get_args(get_type_hints(EngineConfig)["preset"])
    add(
        "--preset",
        choices=presets,
        help="which model (default: that of --ckpt, else mini)",
    )
    where = parser.add_argument_group("parts of a SALMONN (docs/weights.md)")
    where.add_argument("--whisper", type=Path, metavar="DIR", help="Whisper's folder")
    where.add_argument("--beats", type=Path, metavar="FILE", help="BEATs' .pt")
    where.add_argument(
        "--llm",
        type=Path,
        metavar="DIR|NAME",
        help="the language model: a folder, or owner/name[@revision] on the hub",
    )
    where.add_argument(
        "--ckpt", type=Path, metavar="FILE", help="what was trained: .pth, .safetensors"
    )
    how = parser.add_argument_group("how it answers")
    how.add_argument(
        "--dtype",
        choices=PRECISIONS,
        help="of the language model (default: bfloat16 on the CPU, else float16; of "
        "mini, float32); 4bit, and 8bit on a GPU, need the extra bits",
    )
    how.add_argument(
        "--device",
        default="cpu",
        help="as torch names it; auto is CUDA where there is one (default: cpu)",
    )
    how.add_argument(
        "--beams",
        type=_count,
        help="of the search for an answer (default: 4, as the original; of mini, 1)",
    )
    how.add_argument(
        "--max-tokens", type=_count, default=200, help="default: %(default)s"
    )
    how.add_argument(
        "--alpha",
        type=_strength,
        metavar="A",
        help="strength of the LoRA (default: that of its training, officially 32)",
    )
    how.add_argument(
        "--mix",
        action="store_true",
        help="mix all channels; a SALMONN hears the first, as the original does",
    )
    add("--dry-run", action="store_true", help="check the parts, compute memory; stop")
    add(
        "--live",
        action="store_true",
        help="with --dry-run: what salmonn-serve needs, Whisper's decoder with it",
    )
    add("--json", metavar="FILE", help="write everything as JSON; - for stdout")
    return parser


def _question(text: str) -> Prompt:
    return _prompt(text=text)


def _task(text: str) -> Prompt:
    return _prompt(task=text)


def _prompt(**fields: str) -> Prompt:
    try:
        return Prompt(**fields)  # type: ignore[arg-type]
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _strength(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text}; it must not be below 0")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}; it must be 1 or more")
    return number
