"""Files of weights: BEATs' and SALMONN's official ones, and our own format.

    salmonn_v1.pth  {"model": …}  ─┐            ┌─ official .pth
                                   ├ Checkpoint ┤
    ours            .safetensors  ─┘            └─ ours

Pickles are opened for plain tensors only.  The trainer's part of an official file
(optimizer, scaler, epoch, most of its settings) is left behind; of the model, every
tensor goes through unchanged.  Builds no language model and runs nothing.

Source:
    bytedance/SALMONN@a58bba7, runner.py, `save_checkpoint`; microsoft/unilm,
    beats/BEATs.py.
"""

import json
import math
import pickle
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.beats import Beats, BeatsConfig
from engine.checkpoint_names import Names, check_shapes
from engine.checkpoint_sizes import OFFICIAL_ALPHA, Lora, Sizes
from engine.errors import UnsupportedError, WeightsError
from engine.qformer import BRIDGE_OPTIONS, BridgeConfig
from engine.skills import Skills

FORMAT = "salmonn-live"
VERSION = "1"
SUFFIX = ".safetensors"

_CLIP_S, _CLIP_FRAMES = 30, 1500  # the original counts windows in seconds of a clip
_BROKEN = (
    OSError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    struct.error,
)
"""What torch raises for files that are damaged, or not its own."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was trained for one SALMONN, under the official names."""

    sizes: Sizes
    bridge: dict[str, Tensor]
    """The state of an `engine.qformer.Bridge`."""
    lora: dict[str, Tensor]
    extras: dict[str, Tensor]
    """Saved by the original code without need; kept, not read."""
    skills: Skills | None = None
    """What it was trained for; None where the file does not say, as official ones."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All tensors."""
        return {**self.bridge, **self.lora, **self.extras}


@dataclass(frozen=True, slots=True)
class BeatsCheckpoint:
    """A BEATs with the names of its classes."""

    model: Beats
    labels: dict[int, str]
    """AudioSet's identifiers, as `/m/09x0r`, or words, by class; empty if the file has
    none."""
    taught: frozenset[str] = frozenset()
    """Clips whose labels it learned, by their paths; released files name none."""


def read(path: Path) -> Checkpoint:
    """Read a SALMONN checkpoint: ours by its suffix `.safetensors`, else an official.

    Raises:
        WeightsError: If it cannot be read, or a tensor is missing, unknown or has a
            wrong shape.
    """
    return _read_ours(path) if path.suffix == SUFFIX else _read_official(path)


def write(checkpoint: Checkpoint, path: Path) -> None:
    """Write a SALMONN checkpoint: ours by its suffix `.safetensors`, else an official.

    Raises:
        WeightsError: If the official layout cannot say what the checkpoint is.
    """
    if path.suffix == SUFFIX:
        _write_ours(checkpoint, path)
    else:
        _write_official(checkpoint, path)


def read_beats(path: Path) -> BeatsCheckpoint:
    """Read an official, fine-tuned BEATs, `{"cfg", "model"}`, for inference.

    Raises:
        WeightsError: If it cannot be read, asks for another network, or a tensor is
            missing, unknown or has a wrong shape.
    """
    file = _unpickle(path)
    cfg, labels = _mapping(path, file, "cfg"), file.get("label_dict", {})
    entries = _mapping(path, file, "model")
    try:
        config = BeatsConfig.from_checkpoint(cfg)
        with torch.device("meta"):
            model = Beats(config)
        named = {int(index): str(label) for index, label in dict(labels).items()}
        taught = frozenset(map(str, file.get("taught", ())))
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError) as exc:
        raise WeightsError(f"{path} holds no BEATs of this kind: {exc}") from exc
    try:
        state = _tensors(entries)
        check_shapes(_shapes(state), _shapes(model.state_dict()))
        _check_floats(state)
        _check_one_table(state)
    except WeightsError as exc:
        raise WeightsError(f"{path} is no BEATs: {exc}") from exc
    model.load_state_dict(state, assign=True)
    return BeatsCheckpoint(model.float().eval().requires_grad_(False), named, taught)


def write_beats(checkpoint: BeatsCheckpoint, path: Path) -> None:
    """Write a BEATs in the layout of the official ones, with what it was taught.

    Raises:
        WeightsError: If it cannot be written.
    """
    content = {
        "cfg": asdict(checkpoint.model.config),
        "model": checkpoint.model.state_dict(),
        "label_dict": checkpoint.labels,
        "taught": sorted(checkpoint.taught),
    }
    try:
        torch.save(content, path)
    except (OSError, RuntimeError) as exc:  # the latter where its folder is missing
        raise WeightsError(f"{path} cannot be written: {exc}") from exc


def _read_official(path: Path) -> Checkpoint:
    file = _unpickle(path)
    config = file.get("config")
    settings = config.get("model") if isinstance(config, Mapping) else None
    if not isinstance(settings, Mapping):
        settings = {}
    usual = BridgeConfig()
    bridge = replace(
        usual,
        window=_frames(path, settings, "second_per_window", usual.window),
        hop=_frames(path, settings, "second_stride", usual.hop),
    )
    alpha = _number(path, settings, "lora_alpha", OFFICIAL_ALPHA)
    return _split(path, _mapping(path, file, "model"), bridge, alpha)


def _write_official(checkpoint: Checkpoint, path: Path) -> None:
    bridge, lora, usual = checkpoint.sizes.bridge, checkpoint.sizes.lora, BridgeConfig()
    alike = ("heads", "layers", "dropout", *BRIDGE_OPTIONS)
    for name in alike if bridge.audio_width else ("audio_width",):
        if (value := getattr(bridge, name)) != (only := getattr(usual, name)):
            raise WeightsError(
                f"{path}: a bridge with {name} {value} has no official layout; "
                f"expected {only}, or a file named {SUFFIX}"
            )
    settings = {
        "lora_rank": lora.rank,
        "lora_alpha": lora.alpha,
        "num_speech_query_token": bridge.queries,
        "second_per_window": bridge.window * _CLIP_S / _CLIP_FRAMES,
        "second_stride": bridge.hop * _CLIP_S / _CLIP_FRAMES,
    }
    torch.save({"model": checkpoint.tensors, "config": {"model": settings}}, path)


def _read_ours(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            stated = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as exc:
        raise WeightsError(f"{path} cannot be read: {exc}") from exc
    except SafetensorError as exc:
        raise WeightsError(f"{path} is damaged: {exc}") from exc
    if (kind := stated.get("format")) != FORMAT:
        raise WeightsError(f"{path} has format {kind!r}; expected {FORMAT!r}")
    if (version := stated.get("version")) != VERSION:
        raise WeightsError(f"{path} has version {version!r}; expected {VERSION!r}")
    try:
        bridge = BridgeConfig(**json.loads(stated["bridge"]))
        lora = json.loads(stated["lora"])
        lora["alpha"] = float(lora["alpha"])
        lora["targets"] = {name: tuple(pair) for name, pair in lora["targets"].items()}
        sizes = Sizes(bridge, Lora(**lora))
        _check_counts(bridge)
        told = json.loads(stated.get("skills", "null"))
        skills = None if told is None else Skills.of(told)
    except (
        UnsupportedError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
    ) as exc:
        raise WeightsError(f"{path} does not say what it holds: {exc}") from exc
    checkpoint = _split(path, state, bridge, sizes.lora.alpha)
    if checkpoint.sizes != sizes:
        raise WeightsError(
            f"{path} says that it holds {sizes}; its tensors are {checkpoint.sizes}"
        )
    return replace(checkpoint, skills=skills)


def _write_ours(checkpoint: Checkpoint, path: Path) -> None:
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "bridge": json.dumps(asdict(checkpoint.sizes.bridge)),
        "lora": json.dumps(asdict(checkpoint.sizes.lora)),
    }
    if checkpoint.skills is not None:
        metadata["skills"] = json.dumps(asdict(checkpoint.skills))
    # Copies: BEATs' repeated tables may be one tensor, which the format refuses.
    tensors = {
        name: tensor.clone(memory_format=torch.contiguous_format)
        for name, tensor in checkpoint.tensors.items()
    }
    save_file(tensors, path, metadata=metadata)


def _split(
    path: Path, state: Mapping[Any, Any], bridge: BridgeConfig, alpha: float
) -> Checkpoint:
    try:
        tensors = _tensors(state)
        names = Names.of(tensors, bridge=bridge)
        sizes = names.sizes(_shapes(tensors), bridge, alpha)
        trained = {name: tensors[name] for name in (*names.bridge, *names.lora)}
        _check_floats(trained)
    except WeightsError as exc:
        raise WeightsError(f"{path} is no SALMONN checkpoint: {exc}") from exc
    return Checkpoint(
        sizes,
        bridge={name: trained[name] for name in names.bridge},
        lora={name: trained[name] for name in names.lora},
        extras={name: tensors[name] for name in names.extras if name in tensors},
    )


def _unpickle(path: Path) -> Mapping[Any, Any]:
    """Return what a pickle holds, its tensors on the CPU."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as exc:
        raise WeightsError(f"{path} cannot be read: {exc.strerror}") from exc
    except pickle.UnpicklingError as exc:
        raise WeightsError(
            f"{path} is not opened: it holds more than plain tensors, numbers and "
            "text, and that could run code"
        ) from exc
    except _BROKEN as exc:
        raise WeightsError(f"{path} is damaged, cut short or not PyTorch's") from exc
    if not isinstance(found, Mapping):
        raise WeightsError(f"{path} holds a {type(found).__name__}; expected a dict")
    return found


def _mapping(path: Path, file: Mapping[Any, Any], key: str) -> Mapping[Any, Any]:
    found = file.get(key)
    if not isinstance(found, Mapping):
        keys = ", ".join(sorted(map(str, file)))[:80]
        raise WeightsError(f"{path} has no dict {key!r}; its keys are {keys}")
    return found


def _number(path: Path, settings: Mapping[Any, Any], key: str, usual: float) -> float:
    found = settings.get(key, usual)
    if not isinstance(found, int | float) or not 0 < found < math.inf:
        raise WeightsError(
            f"{path}: config.model.{key} is {found!r}; expected a number above 0"
        )
    return float(found)


def _frames(path: Path, settings: Mapping[Any, Any], key: str, usual: int) -> int:
    """Return frames for a setting in seconds, rounded as the original does."""
    seconds = _number(path, settings, key, usual * _CLIP_S / _CLIP_FRAMES)
    frames = round(_CLIP_FRAMES * seconds / _CLIP_S)
    if frames < 1:
        raise WeightsError(f"{path}: config.model.{key} is shorter than a frame")
    return frames


def _tensors(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    for name, value in state.items():
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise WeightsError(f"{str(name)[:80]} is a {kind}; expected a tensor")
    return {str(name): value for name, value in state.items()}


def _check_counts(bridge: BridgeConfig) -> None:
    """Raise where something that shapes do not tell is no count."""
    counts = dict.fromkeys(("heads", "layers", "window", "hop"), 1)
    for name, least in (counts | {"speech_layers": 0, "context": 0}).items():
        if type(value := getattr(bridge, name)) is not int or value < least:
            raise ValueError(f"bridge.{name} is {value!r}; expected {least} or more")


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def _check_floats(state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if not tensor.is_floating_point() or tensor.layout is not torch.strided:
            raise WeightsError(f"{name} is {tensor.dtype}; expected dense floats")


def _check_one_table(state: Mapping[str, Tensor]) -> None:
    """Raise unless all layers have the table of the first, which stands for them."""
    tables = [name for name in state if name.endswith("relative_attention_bias.weight")]
    first = "encoder.layers.0.self_attn.relative_attention_bias.weight"
    for name in tables:
        if not torch.equal(state[name], state[first]):
            raise WeightsError(f"{name} differs from {first}; expected it repeated")
