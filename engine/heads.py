"""The head of a preset, from its files: what answers prompts while it is heard.

No head is made of weights that nobody trained: without a checkpoint there is none, and
no prompt is answered.  What weights were trained for, the preset declares, or else the
checkpoint itself (`engine.skills`).
"""

from collections.abc import Collection
from pathlib import Path

from engine.beats import Beats
from engine.checkpoint import Checkpoint
from engine.config import EngineConfig
from engine.eight_bits import load_as_stored, to_int8
from engine.errors import WeightsError
from engine.listening import Head
from engine.llm import LanguageModel, faster_dtype, load_llm
from engine.presets import PRESETS, RELEASED
from engine.salmonn import add_lora, load_bridge
from engine.salmonn_files import (
    check_llm,
    read_beats,
    read_checkpoint,
    speech_shapes,
)
from engine.skills import ANYTHING, DECLARED, Skills
from engine.vocabulary import prune, words_of
from engine.weights import resolve


def load_head(config: EngineConfig) -> Head | None:
    """Return the head of a configuration; None if it names no trained weights.

    What is small and may be wrong comes first.

    Raises:
        WeightsError: If a file is missing or damaged, does not fit the others, or does
            not say what it was trained for.
    """
    path = config.parts.ckpt
    if path is None:
        return None
    is_ours = config.preset in PRESETS
    trained = read_checkpoint(path, "custom" if is_ours else config.preset)
    skills = skills_of(config.preset, trained, path)
    folder = resolve("gemma" if is_ours and not config.parts.llm else "llm", config)
    check_llm(folder, trained)
    speech_shapes(resolve("whisper", config), trained)
    beats = _beats(config, trained)
    llm = load_language_model(folder, config)
    add_lora(llm, trained, alpha=None)
    bridge = load_bridge(trained).eval().requires_grad_(False)
    head = Head(bridge, beats, llm, skills)
    shrink(llm, skills, config)
    return head


def leave_out(llm: LanguageModel, languages: Collection[str]) -> None:
    """Give a language model an output head without words of other languages."""
    prune(llm.model, words_of(llm.tokenizer, languages, also=llm.stop))


def load_language_model(folder: Path, config: EngineConfig) -> LanguageModel:
    """Load a language model in what it is kept in, or, for int8, as it is stored.

    Raises:
        WeightsError: As `engine.llm.load_llm` does.
    """
    asked = config.llm_dtype
    if asked == "int8":
        return load_as_stored(folder)
    if asked != "auto":
        return load_llm(folder, asked)
    return load_llm(folder, "float32" if config.dtype == "float32" else faster_dtype())


def shrink(llm: LanguageModel, skills: Skills, config: EngineConfig) -> None:
    """Leave out of a model what its answers need not, adapters put in before."""
    if skills.written is not None:
        leave_out(llm, skills.written)
    if config.llm_dtype == "int8":
        to_int8(llm)


def skills_of(preset: str, trained: Checkpoint, path: Path) -> Skills:
    """Return what weights were trained for.

    Args:
        preset: Which the user asked for.
        trained: The weights.
        path: Where they lie, for an error.

    Raises:
        WeightsError: If nobody says, and the preset is more than what a user names.
    """
    if preset in RELEASED:
        return DECLARED[preset]
    if trained.skills is not None:
        return trained.skills
    if preset == "custom":
        return ANYTHING
    raise WeightsError(
        f"{path} does not say what it was trained for, and {preset} answers nothing "
        "else (salmonn-weights --convert … --task …)"
    )


def _beats(config: EngineConfig, trained: Checkpoint) -> Beats | None:
    if not trained.sizes.bridge.audio_width:
        return None
    return read_beats(resolve("beats", config), trained).model
