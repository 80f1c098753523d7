"""The files that a SALMONN is made of, each checked against what was trained.

    checkpoint ─▶ what it was trained with ─┬─ Whisper's folder
                                            ├─ BEATs' file
                                            └─ the language model's folder

The original loads whatever it is given, and answers nothing if the language model is
another than the one it was trained with.  Here that is an error, and told before
anything big is read.  Builds no model: `engine.salmonn` does.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

from engine import checkpoint, prompt
from engine.checkpoint import BeatsCheckpoint, Checkpoint
from engine.checkpoint_sizes import VICUNAS
from engine.config import PartsConfig
from engine.errors import WeightsError
from engine.presets import RELEASED
from engine.shards import Shards

Shapes = dict[str, tuple[int, ...]]

LLAMA_OPENING: Final = (1, 3148, 1001, 29901, 529, 10649, 5309, 29958)
"""The tokens before the audio as the original's tokenizer gives them, BOS first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SalmonnFiles:
    """Where the four parts lie."""

    whisper: Path
    beats: Path
    llm: Path
    ckpt: Path

    @classmethod
    def of(cls, parts: PartsConfig, preset: str) -> "SalmonnFiles":
        """Return the files that a configuration names.

        Raises:
            WeightsError: If one is not named.
        """
        named = {f.name: getattr(parts, f.name) for f in fields(cls)}
        if missing := [name for name, path in named.items() if path is None]:
            raise WeightsError(
                f"preset {preset} needs four parts, and none is named for "
                f"{', '.join(missing)} (docs/weights.md)"
            )
        return cls(**named)


def preset_of(found: Checkpoint) -> str:
    """Return the preset that a checkpoint is of; `custom` if its sizes are others."""
    needed = found.sizes.language_model.name
    names = (name for name, known in RELEASED.items() if known.llm == needed)
    return next(names, "custom")


def read_checkpoint(path: Path, preset: str) -> Checkpoint:
    """Read what was trained.

    Raises:
        WeightsError: If it cannot be read, or is of another preset.
    """
    found = checkpoint.read(path)
    if preset != "custom" and preset_of(found) != preset:
        raise WeightsError(
            f"{path} was trained with {found.sizes.language_model}; preset {preset} "
            f"has {RELEASED[preset].llm}"
        )
    return found


def read_beats(path: Path, trained: Checkpoint | None) -> BeatsCheckpoint:
    """Read BEATs.

    Args:
        path: Its file.
        trained: What it is to fit; None if that is not known.

    Raises:
        WeightsError: If it cannot be read, or the bridge was trained with another.
    """
    found = checkpoint.read_beats(path)
    width = found.model.config.encoder_embed_dim
    if trained and width != (expected := trained.sizes.bridge.audio_width):
        raise WeightsError(
            f"{path} is {width} wide; the checkpoint was trained with a BEATs of "
            f"{expected}"
        )
    return found


def speech_shapes(folder: Path, trained: Checkpoint | None) -> Shapes:
    """Return the tensors of Whisper's encoder.

    Args:
        folder: As transformers writes it.
        trained: What it is to fit; None if that is not known.

    Raises:
        WeightsError: If there is none, or the bridge was trained with another.
    """
    config = read_config(folder)
    width = config.get("d_model")
    if trained and width != (expected := trained.sizes.bridge.speech_width):
        raise WeightsError(
            f"{folder} has d_model {width!r}; the checkpoint was trained with a "
            f"Whisper of {expected}"
        )
    layers = config.get("encoder_layers", 0)
    needed = trained.sizes.bridge.speech_layers if trained else 0
    if layers < needed:
        raise WeightsError(
            f"{folder} has {layers} layers in its encoder; the bridge reads {needed}"
        )
    shapes = Shards.of(folder).shapes()
    found = {name: shape for name, shape in shapes.items() if ".encoder." in f".{name}"}
    if not found:
        raise WeightsError(f"{folder} has no tensors of an encoder")
    return found


def check_llm(folder: Path, trained: Checkpoint) -> dict[str, Any]:
    """Return the settings of the language model if it is the right one.

    Raises:
        WeightsError: If it cannot be read, is another, or its words are others.
    """
    config = read_config(folder)
    needed = trained.sizes.language_model
    needed.check(config, str(folder))
    if needed in VICUNAS:
        check_tokenizer(load_tokenizer(folder), folder)
    return config


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a language model.

    Raises:
        WeightsError: If there is none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    if not any(
        (folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model")
    ):
        raise WeightsError(
            f"{folder} has no tokenizer; expected tokenizer.model or tokenizer.json"
        )
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, ImportError, KeyError) as exc:
        raise WeightsError(
            f"{folder} has a tokenizer that cannot be read: {exc}"
        ) from exc


def check_tokenizer(tokenizer: prompt.Tokenizer, folder: Path) -> None:
    """Do nothing if a tokenizer gives the ids that the original was trained on.

    Raises:
        WeightsError: If not: every prompt would be another, and answers nonsense.
    """
    if (ids := prompt.opening(tokenizer)) != LLAMA_OPENING:
        raise WeightsError(
            f"{folder} has a tokenizer that opens a prompt with {list(ids)}; expected "
            f"{list(LLAMA_OPENING)}, as LLaMA's does"
        )


def read_config(folder: Path) -> dict[str, Any]:
    """Return the `config.json` of a folder.

    Raises:
        WeightsError: If it has none, or it cannot be read.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise WeightsError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise WeightsError(f"{path} is no JSON: {exc}") from exc
    if not isinstance(config, dict):
        raise WeightsError(f"{path} holds a {type(config).__name__}; expected a table")
    return config
