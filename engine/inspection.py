"""What a SALMONN's files are, what is wrong with them, and the memory that they need.

Reads headers, and whole only what is small (the checkpoint, BEATs); the big parts are
loaded by nobody here.  Whatever is wrong is told for all parts at once.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine import official, salmonn_files
from engine.beats import BeatsConfig
from engine.checkpoint import BeatsCheckpoint, Checkpoint
from engine.checkpoint_sizes import LanguageModel
from engine.config import EngineConfig, PartsConfig
from engine.errors import WeightsError
from engine.heads import skills_of
from engine.manifest import digest
from engine.memory import (
    HEAD,
    CacheShape,
    PartMemory,
    Precision,
    Shapes,
    fewer_words_memory,
    memory_of,
    needed,
    whisper_memory,
)
from engine.presets import LARGE_V2, RELEASED
from engine.shards import Shards
from engine.vocabulary import words_of
from engine.weights import checkpoint_of, resolve

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
    live: bool = False,
) -> Inspection:
    """Look at all parts of a SALMONN.

    Args:
        parts: Where they lie; of a released preset some may not be named yet.
        preset: Which SALMONN.
        precision: In which its language model would be loaded.
        beams: Of the search for an answer.
        device: Where it is to run, as torch names it.
        live: Whether it is to be served, and not asked about files.
    """
    look = _Look(preset)
    trained = look.at("ckpt", parts.ckpt, lambda path: _checkpoint(path, preset))
    beats = look.at("beats", parts.beats, lambda path: _beats(path, trained))
    speech = look.at(
        "whisper", parts.whisper, lambda path: _speech(path, trained, whole=live)
    )
    llm = look.llm(parts, lambda path: _llm(path, trained))
    how: dict[str, Any] = {"precision": precision, "beams": beams, "device": device}
    memory: list[PartMemory] = []
    if trained and beats and speech and llm:
        memory = needed(
            speech,
            live=live,
            audio=beats.model.config,
            bridge=trained.sizes.bridge,
            lora=_shapes(trained),
            llm=llm[0],
            cache=CacheShape.of(llm[1]),
            **how,
        )
    elif preset in RELEASED:
        memory = released_memory(preset, live=live, **how)
    return Inspection(
        preset=preset, findings=tuple(look.findings), memory=tuple(memory)
    )


def inspect_mini(
    config: EngineConfig,
    *,
    precision: Precision = "float32",
    beams: int = 1,
    device: str = "cpu",
) -> Inspection:
    """Look at what captions need, and at what answers prompts, unless it is not to.

    Args:
        config: Of the preset `mini`.
        precision: In which Whisper and the language model would be loaded.
        beams: Of the search for an answer; 1 live.
        device: Where it is to run, as torch names it.
    """
    look, ckpt = _Look("mini"), checkpoint_of(config)
    trained = look.at("ckpt", ckpt, _adapter) if ckpt else None
    whole = look.resolved("whisper", config, lambda path: _whisper(path, ckpt, trained))
    memory = [whisper_memory(whole, precision)] if whole else []
    if trained:
        memory += _head_memory(look, trained, config, precision, beams, device)
    return Inspection(
        preset="mini", findings=tuple(look.findings), memory=tuple(memory)
    )


def _head_memory(
    look: "_Look",
    trained: Checkpoint,
    config: EngineConfig,
    precision: Precision,
    beams: int,
    device: str,
) -> list[PartMemory]:
    """Return what a head needs beside Whisper; nothing if a part of it is missing."""
    has_audio = trained.sizes.bridge.audio_width > 0
    beats = None
    if has_audio:
        beats = look.at("beats", config.parts.beats, lambda path: _beats(path, trained))
    written = trained.skills.written if trained.skills else None
    llm = look.resolved(
        "llm",
        config,
        lambda path: _llm_for(path, trained, written),
        name="llm" if config.parts.llm else "gemma",
    )
    if llm is None or (has_audio and beats is None):
        return []
    shapes, settings, words = llm
    if words is not None:  # a whole head that shares no rows with the table is dropped
        shapes = {name: shape for name, shape in shapes.items() if name != HEAD}
    memory = memory_of(
        speech={},
        audio=beats.model.config if beats else None,
        bridge=trained.sizes.bridge,
        lora=_shapes(trained),
        llm=shapes,
        cache=CacheShape.of(settings),
        precision=precision,
        beams=beams,
        device=device,
    )
    if words is not None:
        width = settings["hidden_size"]
        memory.insert(-1, fewer_words_memory(words, width, precision))
    return memory


def released_memory(
    preset: str,
    *,
    precision: Precision,
    beams: int = 4,
    device: str = "cpu",
    live: bool = False,
) -> list[PartMemory]:
    """Return what a released SALMONN needs, from its shapes alone; see `inspect`."""
    llm = official.llm_skeleton(preset)
    known, rank = official.language_model(preset), official.LORA_RANK
    whisper: Any = official.whisper_skeleton()
    speech = whisper if live else whisper.model.encoder
    return needed(
        {name: tuple(p.shape) for name, p in speech.named_parameters()},
        live=live,
        audio=BeatsConfig(),
        bridge=official.bridge_config(preset),
        lora={
            f"{layer}.{target}.{half}": (rank, known.width)
            for layer in range(known.layers)
            for target in official.LORA_TARGETS
            for half in "AB"
        },
        llm=_state_shapes(llm),
        cache=CacheShape.of(llm.config.to_dict()),
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

    def llm(
        self, parts: PartsConfig, read: Callable[[Path], tuple[T, str]]
    ) -> T | None:
        """Return what a language model is that may be a name on the hub."""
        if parts.llm is None:
            return self.at("llm", None, read)
        return self.resolved("llm", EngineConfig(parts=parts), read)

    def resolved(
        self,
        part: str,
        config: EngineConfig,
        read: Callable[[Path], tuple[T, str]],
        *,
        name: str = "",
    ) -> T | None:
        """Return what a part holds that lies where its preset has it; fetch nothing.

        Args:
            part: Of `PartsConfig`.
            config: Says where parts lie.
            read: As for `at`.
            name: What the preset calls it, if not so.
        """
        try:
            path = resolve(name or part, config, fetch=False)
        except WeightsError as exc:
            self.findings.append(
                Finding(part=part, path="", size_bytes=0, what="", problem=str(exc))
            )
            return None
        return self.at(part, path, read)


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


def _speech(
    path: Path, trained: Checkpoint | None, *, whole: bool
) -> tuple[Shapes, str]:
    found = salmonn_files.speech_shapes(path, trained)
    config = salmonn_files.read_config(path)
    layers = config.get("encoder_layers")
    what = f"{config.get('d_model')} wide, {layers} layers in its encoder"
    if whole:
        found = Shards.of(path).shapes()
        if not any(".decoder." in f".{name}" for name in found):
            raise WeightsError(f"{path} has no tensors of a decoder, for captions")
        what += f", {config.get('decoder_layers')} in its decoder"
    return found, what


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


def _adapter(path: Path) -> tuple[Checkpoint, str]:
    """Return an adapter of the mini, which must say what it was trained for."""
    found, what = _checkpoint(path, "custom")
    skills_of("mini", found, path)
    return found, what


def _whisper(
    path: Path, ckpt: Path | None, trained: Checkpoint | None
) -> tuple[Shapes, str]:
    """Return all tensors of a Whisper, its decoder's, too."""
    salmonn_files.speech_shapes(path, trained)
    found = Shards.of(path).shapes()
    note = "" if ckpt else "; questions need an adapter"
    return found, f"Whisper, {len(found)} tensors{note}"


def _llm_for(
    path: Path, trained: Checkpoint, written: Collection[str] | None
) -> tuple[tuple[Shapes, dict[str, Any], int | None], str]:
    """Return a language model's shapes, its settings, and of how many words it writes.

    None means all of them: then its head is not copied.
    """
    (shapes, config), what = _llm(path, trained)
    words = None
    if written is not None:
        words = len(words_of(salmonn_files.load_tokenizer(path), written))
        what += f"; writes {words:,} words"
    return (shapes, config, words), what


def _shapes(trained: Checkpoint) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in trained.lora.items()}


def _state_shapes(model: Any) -> Shapes:
    return {name: tuple(t.shape) for name, t in model.state_dict().items()}
