"""The models of a stage from their files, ready to be taught.

    whisper, beats ─▶ ears, listener ┐
    start ───────────▶ bridge, LoRA  ├▶ Parts
    llm ─────────────────────────────┘

What a stage starts from decides the shape of what learns; settings that say otherwise
are refused, not ignored.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from engine import checkpoint
from engine.checkpoint_sizes import VICUNAS, Lora
from engine.config import EngineConfig
from engine.errors import WeightsError
from engine.geometry import ENCODER_RATE
from engine.llm import LanguageModel, load_llm
from engine.lora import add_adapter, load_adapter
from engine.qformer import Bridge, BridgeConfig
from engine.skills import Skills
from engine.training.config import StageConfig
from engine.training.features import open_features, settings_of
from engine.training.hearing import (
    ExactEars,
    ExactListener,
    ReadyEars,
    StreamingListener,
)
from engine.training.reading import Listener, Speller
from engine.training.stage import Parts
from engine.training.student import Student
from engine.weights import cache_folder, llm_folder, resolve
from engine.whisper import load_whisper
from engine.whisper_encoder import BlockEncoder

WARM_UP = ".pt"
"""Suffix of a warm-up's state, which holds a bridge and no adapters."""


def load_parts(config: StageConfig, device: torch.device) -> Parts:
    """Return the models of a stage.

    Raises:
        WeightsError: If a file is missing, damaged or does not fit the others.
    """
    model = config.model
    folder = llm_folder(model.llm) if model.llm else _preset(config, "gemma")
    llm = load_llm(folder, model.precision, device=str(device))
    _check_generation(config, llm)
    whisper = model.whisper or _preset(config, "whisper")
    listener, ears = _hearing(config, whisper)
    lora = lora_of(config, llm)
    bridge, adapters, skills = _started(config, lora)
    if bridge.config.llm_width != llm.width:
        raise WeightsError(
            f"bridge.llm_width is {bridge.config.llm_width}; {folder} is {llm.width} "
            "wide"
        )
    torch.manual_seed(config.seed)
    add_adapter(llm.model, lora, dropout=config.lora.dropout)
    if adapters is not None:
        load_adapter(llm.model, adapters)
    end = llm.tokenizer.eos_token_id
    speller = Speller(
        llm.tokenizer, end, max_target_tokens=config.data.max_target_tokens
    )
    student = Student(
        ears, bridge, llm.model, opening=speller.opening, masks=config.mask
    ).to(device)
    return Parts(
        student=student,
        llm=llm,
        lora=lora,
        speller=speller,
        listener=listener,
        skills=skills,
    )


def lora_of(config: StageConfig, llm: LanguageModel) -> Lora:
    """Return the adapters that a stage asks for, as wide as the layers are.

    Raises:
        WeightsError: If the language model has no such layers.
    """
    layers: int = llm.model.config.num_hidden_layers
    targets = {}
    for target in config.lora.targets:
        name = f"layers.0.{target}"
        try:
            found = llm.model.base_model.get_submodule(name)
        except AttributeError as exc:
            raise WeightsError(f"the language model has no layer {name!r}") from exc
        if not isinstance(found, nn.Linear):
            raise WeightsError(f"{name!r} of the language model is not linear")
        targets[target] = (found.in_features, found.out_features)
    return Lora(
        rank=config.lora.rank, alpha=config.lora.alpha, layers=layers, targets=targets
    )


def _started(
    config: StageConfig, lora: Lora
) -> tuple[Bridge, dict[str, Tensor] | None, Skills]:
    """Return the bridge and the adapters that a stage starts with, and what they can.

    Adapters that do not say what they were taught are taken for untaught.
    """
    start = config.start
    if start is None or start.suffix == WARM_UP:
        torch.manual_seed(config.seed)
        bridge = Bridge(config.bridge)
        if start is not None:
            _load_warm_up(bridge, start)
        return bridge, None, Skills()
    found = checkpoint.read(start)
    # How much is dropped while learning is the stage's affair.
    shape = replace(found.sizes.bridge, dropout=config.bridge.dropout)
    _check_same(start, "bridge", shape, config.bridge)
    # And so is the scale of the adapters.
    _check_same(start, "lora", replace(found.sizes.lora, alpha=lora.alpha), lora)
    bridge = Bridge(config.bridge)
    bridge.load_state_dict(found.bridge)
    return bridge.float(), found.lora, found.skills or Skills()


def _load_warm_up(bridge: Bridge, path: Path) -> None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["bridge"]
        bridge.load_state_dict(state)
    except (OSError, RuntimeError, LookupError, TypeError, ValueError) as exc:
        raise WeightsError(f"{path} holds no such bridge: {exc}") from exc


def _check_same(
    path: Path, what: str, found: BridgeConfig | Lora, wanted: BridgeConfig | Lora
) -> None:
    for name in type(found).__dataclass_fields__:
        was, asked = getattr(found, name), getattr(wanted, name)
        if was != asked:
            raise WeightsError(
                f"{path} has {what}.{name} {was}; the stage asks for {asked}"
            )


def _hearing(config: StageConfig, whisper: Path) -> tuple[Listener, nn.Module]:
    bridge, hearing = config.bridge, config.hearing
    encoder = load_whisper(whisper, "float32").model.model.encoder
    if encoder.config.d_model != bridge.speech_width:
        raise WeightsError(
            f"bridge.speech_width is {bridge.speech_width}; {whisper} is "
            f"{encoder.config.d_model} wide"
        )
    if (config.model.beats is None) != (bridge.audio_width == 0):
        raise WeightsError(
            f"bridge.audio_width is {bridge.audio_width} and model.beats "
            f"{config.model.beats}; expected 0 and none, or both"
        )
    if hearing.mode == "exact":
        beats = config.model.beats
        audio = None if beats is None else checkpoint.read_beats(beats).model
        if bridge.speech_layers:
            raise WeightsError("bridge.speech_layers needs hearing.mode 'streaming'")
        return ExactListener(has_audio=audio is not None), ExactEars(encoder, audio)
    if config.model.beats is not None:
        raise WeightsError("hearing.mode 'streaming' has no second encoder yet")
    settings = settings_of(whisper)
    layers = (
        settings.layers if bridge.speech_layers else (encoder.config.encoder_layers,)
    )
    if bridge.speech_layers not in (0, len(settings.layers)):
        raise WeightsError(
            f"bridge.speech_layers is {bridge.speech_layers}; expected 0 or "
            f"{len(settings.layers)}"
        )
    streaming = BlockEncoder(
        encoder,
        left_frames=round(settings.left_context_s * ENCODER_RATE),
        layers=layers,
    )
    kept = None
    if hearing.use_kept_frames and bridge.speech_layers:
        kept = open_features(cache_folder(), settings)
    return StreamingListener(streaming, settings, kept), ReadyEars()


def _preset(config: StageConfig, part: Literal["whisper", "gemma"]) -> Path:
    if config.model.preset != "mini":
        kind = "whisper" if part == "whisper" else "llm"
        raise WeightsError(
            f"model.{kind} is not set; {config.model.preset} does not bring its own"
        )
    return resolve(part, EngineConfig())


def _check_generation(config: StageConfig, llm: LanguageModel) -> None:
    """Raise if an official preset is given another language model than its own."""
    if config.model.preset == "mini":
        return
    width = 5120 if config.model.preset == "salmonn-13b" else 4096
    for known in VICUNAS:
        if known.width == width:
            known.check(llm.model.config.to_dict(), str(config.model.llm))
