"""`salmonn-ask`: what a model answers about sound files, offline and exactly.

    salmonn-ask a.wav b.ogg --task transcribe         by Whisper-base
    salmonn-ask a.wav --prompt "What is that noise?"  by a SALMONN whose parts
        --whisper DIR --beats FILE --llm DIR --ckpt FILE        are named
    salmonn-ask a.wav --prompt "What is that noise?"  by the mini with an adapter
        --preset mini --ckpt FILE
    salmonn-ask --dry-run --preset salmonn-13b        memory needed; loads nothing

A file of any format, rate and number of channels is heard; one of more than 30 s in
parts, cut where it is quietest.  Answers go to stdout, what was done to the sound, and
what else is to be known, to stderr.

    0  all was answered
    1  a file could not be heard, or a model not loaded; what could be answered was
    2  wrong usage; a task or a language that the preset was not trained for is one
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from rich.console import Console

from engine import ask_report
from engine.api import Prompt
from engine.ask_options import PROGRAM, parse
from engine.config import DEVICE, MAX_BEAMS, EngineConfig, PartsConfig
from engine.errors import EngineError, RecordingError, UnsupportedError
from engine.progress import report_on
from engine.skills import ANYTHING, CAPTIONS, DECLARED, Basis, Skills, basis_of
from engine.weights import checkpoint_of, llm_folder

if TYPE_CHECKING:
    from engine.asking import Answerer
    from engine.inspection import Inspection

STDOUT = "-"
FAILED, WRONG_USAGE = 1, 2
PARTS = ("whisper", "beats", "llm", "ckpt")


@dataclass
class Outcome:
    """All that a run found, as `--json` writes it."""

    files: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parse(arguments, __doc__)
    notes = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        preset = _preset(options)
        options.beams = _beams(preset, options)
        prompts = [_complete(prompt, options) for prompt in options.asked]
        bases = _bases(preset, options, prompts)
        if options.dry_run:
            return _look(preset, options, notes)
        answerer = _load(preset, options, prompts, notes)
        answerer.check(prompts)
    except UnsupportedError as exc:
        notes.print(f"{PROGRAM}: {exc}")
        return WRONG_USAGE
    except (EngineError, OSError) as exc:
        notes.print(f"{PROGRAM}: {exc}")
        return FAILED
    except KeyboardInterrupt:
        notes.print(f"{PROGRAM}: stopped")
        return FAILED
    for caveat in ask_report.caveats(prompts, bases):
        notes.print(caveat)
    outcome = Outcome()
    try:
        _ask_all(answerer, prompts, bases, preset, options, notes, outcome)
    except KeyboardInterrupt:
        notes.print(f"{PROGRAM}: stopped")
        return FAILED
    found = {"preset": preset, **vars(outcome), "settings": _settings(options)}
    try:
        _write(found, options.json)
    except OSError as exc:
        notes.print(f"{PROGRAM}: {exc}")
        return FAILED
    return FAILED if outcome.errors else 0


def _ask_all(
    answerer: "Answerer",
    prompts: Sequence[Prompt],
    bases: Sequence[Basis],
    preset: str,
    options: argparse.Namespace,
    notes: Console,
    outcome: Outcome,
) -> None:
    """Answer all about all files; one that fails does not stop the others."""
    from engine.asking import ask
    from engine.recording import read

    is_several = len(options.files) > 1
    for file in options.files:
        try:
            recording = read(file, mix=options.mix or preset == "mini")
            if recording.changes:
                notes.print(f"{file}: {recording.changes}")
            outcome.files.append(ask_report.file_record(file, recording))
            is_long = len(recording.samples) > answerer.max_samples
            replies = ask(answerer, recording.samples, prompts)
            for index, reply in enumerate(replies):
                about = bases[index % len(prompts)]
                outcome.answers.append(ask_report.answer_record(file, reply, about))
                if options.json != STDOUT:
                    print(  # noqa: T201
                        ask_report.line(
                            reply,
                            file=file if is_several else None,
                            is_part=is_long,
                            is_one_of_several=len(prompts) > 1,
                        ),
                        flush=True,
                    )
        except EngineError as exc:
            said = str(exc) if isinstance(exc, RecordingError) else f"{file}: {exc}"
            notes.print(f"{PROGRAM}: {said}")
            outcome.errors.append({"file": str(file), "message": said})


def _preset(options: argparse.Namespace) -> str:
    """Return the preset that was named, or else that of the checkpoint."""
    if options.preset is not None:
        named: str = options.preset
        return named
    if options.ckpt is None:
        return "mini"
    # Here, not above: `--help` must not wait for torch.
    from engine.checkpoint import read
    from engine.salmonn_files import preset_of

    return preset_of(read(options.ckpt))


def _beams(preset: str, options: argparse.Namespace) -> int:
    """Return of how many beams the search is.

    Raises:
        UnsupportedError: If the live engine, which the mini's is, takes no so many.
    """
    named: int | None = options.beams
    if preset != "mini":
        return named or 4
    if named and named > MAX_BEAMS:
        raise UnsupportedError("beams of mini", str(named), (f"1 to {MAX_BEAMS}",))
    return named or 1


def _bases(
    preset: Any, options: argparse.Namespace, prompts: Sequence[Prompt]
) -> list[Basis]:
    """Return what each answer will rest on.

    Raises:
        UnsupportedError: If one is not to be answered.
        WeightsError: If the checkpoint, which may say so, cannot be read.
    """
    heard: Skills | None = None
    asked: Skills | None = DECLARED.get(preset, ANYTHING)
    if preset == "mini":
        heard, asked = CAPTIONS, None
    ckpt = checkpoint_of(EngineConfig(preset=preset, parts=_parts(options)))
    if ckpt is not None and preset in ("mini", "custom"):
        # Here, not above: `--help` must not wait for torch.
        from engine.checkpoint import read
        from engine.heads import skills_of

        asked = skills_of(preset, read(ckpt), ckpt)
    return [
        (heard.basis(prompt) if heard else None) or basis_of(preset, asked, prompt)
        for prompt in prompts
    ]


def _complete(prompt: Prompt, options: argparse.Namespace) -> Prompt:
    return replace(prompt, language=options.language, max_tokens=options.max_tokens)


def _parts(options: argparse.Namespace) -> PartsConfig:
    return PartsConfig(**{name: getattr(options, name) for name in PARTS})


def _load(
    preset: str,
    options: argparse.Namespace,
    prompts: Sequence[Prompt],
    notes: Console,
) -> "Answerer":
    """Load the model of a preset.

    Raises:
        UnsupportedError: If it cannot compute as asked.
        PackageError: If so few bits need a package that is not installed.
        WeightsError: If a part is missing, or does not fit the others.
    """
    if preset == "mini":
        return _load_mini(options, prompts, notes)
    device = _device(options.device)
    dtype: Any = options.dtype or _usual_dtype(device)
    from engine import salmonn
    from engine.asking import SalmonnAnswerer
    from engine.salmonn_files import SalmonnFiles

    files = SalmonnFiles.of(_parts(options), preset)
    with report_on(notes) as report:
        files = replace(files, llm=llm_folder(files.llm, report=report))
    notes.print(f"loading {preset}: {files.llm} in {dtype} on {device} …")
    model = salmonn.load(files, preset, dtype=dtype, device=device, alpha=options.alpha)
    return SalmonnAnswerer(model, beams=options.beams)


def _device(name: str) -> str:
    """Return the device of a name, as torch writes it.

    Raises:
        DeviceError: If torch cannot compute there.
    """
    # Here, not above: `--help` must not wait for torch.
    from engine.device import choose

    return str(choose(name))


def _load_mini(
    options: argparse.Namespace, prompts: Sequence[Prompt], notes: Console
) -> "Answerer":
    dtype = _mini_dtype(options)
    from engine.asking import EngineAnswerer
    from engine.local import LocalEngine

    device = _device(options.device)
    if not DEVICE.fullmatch(device):
        raise UnsupportedError("device of mini", device, ("cpu", "cuda"))
    parts = _parts(options)
    config = EngineConfig(
        device=device,
        dtype=dtype,
        llm_dtype=dtype,
        lora_alpha=options.alpha,
        parts=parts,
        captions_only=parts.ckpt is None and all(map(CAPTIONS.basis, prompts)),
        beams=options.beams,
    )
    if config.captions_only and options.alpha is not None:
        notes.print("--alpha changes nothing: all is answered by Whisper's decoder")
    return EngineAnswerer(LocalEngine.load(config), beams=options.beams)


def _mini_dtype(options: argparse.Namespace) -> Any:
    """Return in what the mini computes, both its Whisper and its language model.

    Raises:
        UnsupportedError: If it cannot.
    """
    kinds = get_args(get_type_hints(EngineConfig)["dtype"])
    dtype = options.dtype or "float32"
    if dtype not in kinds:
        raise UnsupportedError("data type of mini", dtype, kinds)
    return dtype


def _usual_dtype(device: str) -> str:
    return "bfloat16" if device == "cpu" else "float16"  # float16 is the original's


def _look(preset: str, options: argparse.Namespace, notes: Console) -> int:
    """Say what there is and what it needs; load nothing."""
    if options.device == "auto":
        options.device = _device("auto")
    usual = options.dtype or _usual_dtype(options.device)
    dtype = _mini_dtype(options) if preset == "mini" else usual
    found = _inspect(preset, dtype, options)
    if options.json != STDOUT:
        shown = Console(highlight=False, markup=False)
        shown.print(f"preset {preset}")
        shown.print(ask_report.parts_table(found))
        if found.memory:
            shown.print(ask_report.memory_table(found))
    for problem in found.problems:
        notes.print(f"{PROGRAM}: {problem}")
    _write(ask_report.inspection_record(found), options.json)
    return FAILED if found.problems else 0


def _inspect(preset: str, dtype: Any, options: argparse.Namespace) -> "Inspection":
    from engine.inspection import inspect, inspect_mini

    parts = _parts(options)
    if preset == "mini":
        config = EngineConfig(parts=parts)
        return inspect_mini(
            config, precision=dtype, beams=options.beams, device=options.device
        )
    return inspect(
        parts,
        preset,
        precision=dtype,
        beams=options.beams,
        device=options.device,
        live=options.live,
    )


def _settings(options: argparse.Namespace) -> dict[str, str]:
    left_out = {"files", "asked", "json", "dry_run", "live"}
    return {
        key: str(value)
        for key, value in vars(options).items()
        if key not in left_out and value not in (None, False)
    }


def _write(found: dict[str, Any], target: str | None) -> None:
    if target is None:
        return
    text = json.dumps(found, ensure_ascii=False, indent=1) + "\n"
    if target == STDOUT:
        sys.stdout.write(text)
    else:
        Path(target).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
