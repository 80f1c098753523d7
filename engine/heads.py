"""The head of a preset, from its files: what answers prompts while it is heard.

No head is made of weights that nobody trained: without a checkpoint there is none, and
no prompt is answered.  What weights were trained for, the preset declares, or else the
checkpoint itself (`engine.skills`).
"""

from collections.abc import Collection
from pathlib import Path

from torch import nn

from engine.beats import Beats
from engine.checkpoint import Checkpoint
from engine.config import EngineConfig
from engine.errors import WeightsError
from engine.listening import Head
from engine.llm import Dtype, LanguageModel, faster_dtype, load_llm
from engine.presets import PRESETS, RELEASED
from engine.quantise import Int8Linear, quantise
from engine.salmonn import add_lora, load_bridge
from engine.salmonn_files import (
    check_llm,
    read_beats,
    read_checkpoint,
    speech_shapes,
)
from engine.skills import ANYTHING, DECLARED, Skills
from engine.vocabulary import PrunedHead, prune, words_of
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
    llm = load_llm(folder, _dtype(config))
    add_lora(llm, trained, alpha=None)
    bridge = load_bridge(trained).eval().requires_grad_(False)
    head = Head(bridge, beats, llm, skills)
    if skills.written is not None:
        leave_out(llm, skills.written)
    if config.llm_dtype == "int8":
        to_int8(llm)
    return head


def leave_out(llm: LanguageModel, languages: Collection[str]) -> None:
    """Give a language model an output head without words of other languages."""
    prune(llm.model, words_of(llm.tokenizer, languages, also=llm.stop))


def to_int8(llm: LanguageModel) -> None:
    """Give a language model in float32 linear layers of eight bits, its head too.

    Adapters stay as they are: they are small, and were trained on other weights.
    """
    quantise(llm.model.base_model, but="lora_")
    head = llm.model.get_output_embeddings()
    if isinstance(head, PrunedHead):
        head.to_int8()
    else:
        assert isinstance(head, nn.Linear), "a head that is in eight bits already"
        llm.model.set_output_embeddings(Int8Linear(head))


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


def _dtype(config: EngineConfig) -> Dtype:
    asked = config.llm_dtype
    if asked == "int8":
        return "float32"  # what is then made of eight bits
    if asked != "auto":
        return asked
    return "float32" if config.dtype == "float32" else faster_dtype()
