"""What a SALMONN's files are, what is wrong with them, and the memory that they need.

Reads headers, and whole only what is small (the checkpoint, BEATs); the big parts are
loaded by nobody here.  Whatever is wrong is told for all parts at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine import official, salmonn_files
from engine.beats import BeatsConfig
from engine.checkpoint import BeatsCheckpoint, Checkpoint
from engine.checkpoint_sizes import LanguageModel
from engine.config import EngineConfig, PartsConfig
from engine.errors import WeightsError
from engine.manifest import digest
from engine.memory import (
    CacheShape,
    PartMemory,
    Precision,
    Shapes,
    memory_of,
    whisper_memory,
)
from engine.presets import LARGE_V2, RELEASED
from engine.shards import Shards
from engine.weights import resolve

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One part, before it is loaded."""

    part: str
    """Of `engine.config.PartsConfig`."""
    path: str
    size_bytes: int
    what: str
    """What it is; empty if that could not be told."""
    problem: str
    """Why it cannot be used; empty if it can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """All parts, before they are loaded."""

    preset: str
    findings: tuple[Finding, ...]
    memory: tuple[PartMemory, ...]
    """Computed, not measured; empty if a part is missing that would tell."""

    @property
    def problems(self) -> list[str]:
        """Why it cannot be loaded; empty if nothing is known to be wrong."""
        return [finding.problem for finding in self.findings if finding.problem]


def inspect(
    parts: PartsConfig,
    preset: str,
    *,
    precision: Precision,
    beams: int = 4,
    device: str = "cpu",
) -> Inspection:
    """Look at all parts of a SALMONN.

    Args:
        parts: Where they lie; of a released preset some may not be named yet.
        preset: Which SALMONN.
        precision: In which its language model would be loaded.
        beams: Of the search for an answer.
        device: Where it is to run, as torch names it.
    """
    look = _Look(preset)
    trained = look.at("ckpt", parts.ckpt, lambda path: _checkpoint(path, preset))
    beats = look.at("beats", parts.beats, lambda path: _beats(path, trained))
    speech = look.at("whisper", parts.whisper, lambda path: _speech(path, trained))
    llm = look.at("llm", parts.llm, lambda path: _llm(path, trained))
    how: dict[str, Any] = {"precision": precision, "beams": beams, "device": device}
    memory: list[PartMemory] = []
    if trained and beats and speech and llm:
        memory = memory_of(
            speech=speech,
            audio=beats.model.config,
            bridge=trained.sizes.bridge,
            lora=_shapes(trained),
            llm=llm[0],
            cache=_cache_shape(llm[1]),
            **how,
        )
    elif preset in RELEASED:
        memory = released_memory(preset, **how)
    return Inspection(
        preset=preset, findings=tuple(look.findings), memory=tuple(memory)
    )


def inspect_mini(config: EngineConfig) -> Inspection:
    """Look at what captions need: Whisper, encoder and decoder.

    Args:
        config: Of the preset `mini`.
    """
    look = _Look("mini")

    def whole(path: Path) -> tuple[Shapes, str]:
        found = Shards.of(path).shapes()
        return found, f"Whisper, {len(found)} tensors; questions need an adapter"

    folder: Path | None = None
    try:
        folder = resolve("whisper", config, fetch=False)
    except WeightsError as exc:
        look.findings.append(
            Finding(part="whisper", path="", size_bytes=0, what="", problem=str(exc))
        )
    shapes = look.at("whisper", folder, whole) if folder else None
    memory = [whisper_memory(shapes)] if shapes else []
    return Inspection(
        preset="mini", findings=tuple(look.findings), memory=tuple(memory)
    )


def released_memory(
    preset: str, *, precision: Precision, beams: int = 4, device: str = "cpu"
) -> list[PartMemory]:
    """Return what a released SALMONN needs, from its shapes alone."""
    llm = official.llm_skeleton(preset)
    known, rank = official.language_model(preset), official.LORA_RANK
    return memory_of(
        speech=_state_shapes(official.whisper_skeleton()),
        audio=BeatsConfig(),
        bridge=official.bridge_config(preset),
        lora={
            f"{layer}.{target}.{half}": (rank, known.width)
            for layer in range(known.layers)
            for target in official.LORA_TARGETS
            for half in "AB"
        },
        llm=_state_shapes(llm),
        cache=_cache_shape(llm.config.to_dict()),
        precision=precision,
        beams=beams,
        device=device,
    )


class _Look:
    """Collects findings; a part with a problem does not keep the others from view."""

    def __init__(self, preset: str) -> None:
        self.findings: list[Finding] = []
        self._preset = preset

    def at(
        self, part: str, path: Path | None, read: Callable[[Path], tuple[T, str]]
    ) -> T | None:
        """Return what a part holds, and None if it cannot be used."""
        found, what, problem = None, "", ""
        if path is None:
            problem = f"no {part} is named; expected {_expected(part, self._preset)}"
        else:
            try:
                found, what = read(path)
            except WeightsError as exc:
                problem = str(exc)
        finding = Finding(
            part=part,
            path="" if path is None else str(path),
            size_bytes=_size(path),
            what=what,
            problem=problem,
        )
        self.findings.append(finding)
        return found


def _expected(part: str, preset: str) -> str:
    released = RELEASED.get(preset)
    match part:
        case "ckpt":
            return released.checkpoint if released else "a .pth or .safetensors"
        case "beats":
            return released.beats if released else "a BEATs that was fine-tuned"
        case "whisper":
            return f"the folder of {LARGE_V2 if released else 'a Whisper'}"
        case _:
            name = released.llm_repository if released else "a causal language model"
            return f"the folder of {name}"


def _size(path: Path | None) -> int:
    if path is None or not path.exists():
        return 0
    files = path.iterdir() if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _checkpoint(path: Path, preset: str) -> tuple[Checkpoint, str]:
    found = salmonn_files.read_checkpoint(path, preset)
    lora = found.sizes.lora
    what = (
        f"trained with {found.sizes.language_model}; LoRA of rank {lora.rank}, "
        f"alpha {lora.alpha:g}"
    )
    if released := RELEASED.get(salmonn_files.preset_of(found)):
        is_it = digest(path) == released.sha256
        what += f"; {'the' if is_it else 'not the'} released {released.checkpoint}"
    return found, what


def _beats(path: Path, trained: Checkpoint | None) -> tuple[BeatsCheckpoint, str]:
    found = salmonn_files.read_beats(path, trained)
    config = found.model.config
    classes = f"{config.predictor_class} classes"
    what = f"{config.encoder_embed_dim} wide, {config.encoder_layers} layers, {classes}"
    return found, what


def _speech(path: Path, trained: Checkpoint | None) -> tuple[Shapes, str]:
    found = salmonn_files.speech_shapes(path, trained)
    config = salmonn_files.read_config(path)
    layers = config.get("encoder_layers")
    return found, f"{config.get('d_model')} wide, {layers} layers in its encoder"


def _llm(
    path: Path, trained: Checkpoint | None
) -> tuple[tuple[Shapes, dict[str, Any]], str]:
    config = salmonn_files.read_config(path)
    if trained:
        salmonn_files.check_llm(path, trained)
    shapes = {
        name: shape
        for name, shape in Shards.of(path).shapes().items()
        if not name.endswith("rotary_emb.inv_freq")
    }
    found = LanguageModel(
        width=config.get("hidden_size", 0), layers=config.get("num_hidden_layers", 0)
    )
    return (shapes, config), f"{config.get('model_type')}: {found}"


def _shapes(trained: Checkpoint) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in trained.lora.items()}


def _state_shapes(model: Any) -> Shapes:
    return {name: tuple(t.shape) for name, t in model.state_dict().items()}


def _cache_shape(config: dict[str, Any]) -> CacheShape:
    heads = config["num_attention_heads"]
    return CacheShape(
        layers=config["num_hidden_layers"],
        heads=config.get("num_key_value_heads") or heads,
        head_width=config.get("head_dim") or config["hidden_size"] // heads,
    )
