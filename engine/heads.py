"""The head of a preset, from its files: what answers prompts while it is heard.

No head is made of weights that nobody trained: without a checkpoint there is none, and
no prompt is answered.  What weights were trained for, the preset declares, or else the
checkpoint itself (`engine.skills`).
"""

from collections.abc import Collection
from pathlib import Path

import torch

from engine.api import Prompt
from engine.beats import Beats
from engine.checkpoint import Checkpoint
from engine.config import EngineConfig
from engine.device import CPU, check_dtype, sixteen_bits
from engine.eight_bits import load_as_stored, to_int8
from engine.errors import WeightsError
from engine.few_bits import load_in
from engine.listening import Head
from engine.llm import Dtype, LanguageModel, faster_dtype, load_llm, stored_dtype
from engine.presets import PRESETS, RELEASED
from engine.salmonn import add_lora, load_bridge
from engine.salmonn_files import (
    check_llm,
    read_beats,
    read_checkpoint,
    speech_shapes,
)
from engine.skills import ANYTHING, DECLARED, Skills, basis_of
from engine.vocabulary import prune, words_of
from engine.weights import checkpoint_of, resolve
from engine.whisper import TRANSCRIBE


def load_head(config: EngineConfig, device: torch.device = CPU) -> Head | None:
    """Return the head of a configuration; None if it has no trained weights.

    What is small and may be wrong comes first.

    Args:
        config: Names files and data types.
        device: Where the head is to be.

    Raises:
        PackageError: If so few bits need a package that is not installed.
        UnansweredError: If the language model is to transcribe, and was not taught it.
        UnsupportedError: If the device does not compute in the data type.
        WeightsError: If a file is missing or damaged, does not fit the others, or does
            not say what it was trained for.
    """
    path = checkpoint_of(config)
    if path is None:
        check_transcriber(config, None)
        return None
    check_dtype("llm_dtype", config.llm_dtype, device)
    is_ours = config.preset in PRESETS
    trained = read_checkpoint(path, "custom" if is_ours else config.preset)
    skills = skills_of(config.preset, trained, path)
    check_transcriber(config, skills)
    speech_shapes(resolve("whisper", config), trained)
    beats = _beats(config, trained)
    folder = resolve("gemma" if is_ours and not config.parts.llm else "llm", config)
    check_llm(folder, trained)
    llm = load_language_model(folder, config, device)
    add_lora(llm, trained, alpha=config.lora_alpha)
    bridge = load_bridge(trained).eval().requires_grad_(False).to(device)
    head = Head(bridge, beats.to(device) if beats else None, llm, skills)
    shrink(llm, skills, config)
    return head


def check_transcriber(config: EngineConfig, skills: Skills | None) -> None:
    """Do nothing if what is to transcribe can.

    Raises:
        UnansweredError: If that is a language model that was not taught it, or none.
    """
    if config.transcriber == "salmonn":
        basis_of(config.preset, skills, Prompt(task=TRANSCRIBE))


def leave_out(llm: LanguageModel, languages: Collection[str]) -> None:
    """Give a language model an output head without words of other languages."""
    prune(llm.model, words_of(llm.tokenizer, languages, also=llm.stop))


def load_language_model(
    folder: Path, config: EngineConfig, device: torch.device = CPU
) -> LanguageModel:
    """Load a language model in what it is kept in, or, for int8, as it is stored.

    Raises:
        PackageError: As `engine.few_bits.load_in` does.
        WeightsError: As `engine.llm.load_llm` does.
    """
    asked = config.llm_dtype
    if asked == "int8":
        return load_as_stored(folder)
    if asked == "8bit" or asked == "4bit":
        return load_in(asked, folder, device=str(device))
    if asked == "auto":
        asked = _dtype(folder, config, device)
    return load_llm(folder, asked, device=str(device))


def _dtype(folder: Path, config: EngineConfig, device: torch.device) -> Dtype:
    """Return what a language model computes in where nobody says.

    What is stored in bfloat16 may have values beyond float16's.
    """
    if config.dtype == "float32":
        return "float32"
    if device.type == "cpu":
        return faster_dtype()
    small = sixteen_bits(device)
    is_too_small = small == "float16" and stored_dtype(folder) == "bfloat16"
    return "float32" if is_too_small else small


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
