"""How the engine is set up, and the reader of TOML files into dataclasses.

No torch here: `--help` and a check of the configuration must be instant.
"""

import math
import re
import tomllib
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

T = TypeVar("T")

MAX_BLOCK_WINDOWS = 8
MAX_BEAMS = 8
MAX_THREADS = 256  # no operation gains from more; the system may refuse them
DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")  # matched whole
MAX_QUOTED = 80  # characters of foreign input that an error repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingConfig:
    """How encoder frames are computed while audio arrives (docs/adr/0004)."""

    block_windows: int = 2
    """New windows (of 0.34 s) in a block."""
    right_windows: int = 2
    """Windows of right context, computed again with the next block."""
    left_context_s: float = 15.0
    """How far back a block attends."""
    closing: Literal["exact", "streaming"] = "exact"
    """How a segment is encoded for its final: again and in one pass, or as it came."""
    replies: Literal["exact", "streaming"] = "streaming"
    """How audio is encoded that the language model is asked about: as it came, or again
    and in one pass over 30 s, as the official code does; the first word of an answer
    then waits for that pass (docs/adr/0014)."""

    def __post_init__(self) -> None:
        for name in ("block_windows", "right_windows"):
            value = getattr(self, name)
            if not 0 < value <= MAX_BLOCK_WINDOWS:
                raise ValueError(
                    f"encoding.{name} is {value}; it must be 1 to {MAX_BLOCK_WINDOWS}"
                )
        if not 1.0 <= self.left_context_s <= 30.0:
            raise ValueError(
                f"encoding.left_context_s is {self.left_context_s}; "
                "it must be 1 to 30 seconds"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsConfig:
    """Where the parts of a SALMONN lie that no package brings (docs/weights.md)."""

    whisper: Path | None = None
    """Whisper's folder, as transformers writes it."""
    beats: Path | None = None
    """BEATs' file, fine-tuned."""
    llm: Path | None = None
    """The language model's folder, as transformers writes it; or its name on the
    Hugging Face hub, `owner/name` or `owner/name@revision`, fetched into the cache."""
    ckpt: Path | None = None
    """What was trained: an official `.pth`, or our `.safetensors`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayConfig:
    """Replicas on a Ray cluster, where `engine.backend` is `ray` (docs/adr/0042)."""

    address: str = "auto"
    """Of the cluster, `HOST:6379`; `auto` takes the one that RAY_ADDRESS names, or that
    runs on this machine; `local` starts one that ends with the server."""
    min_replicas: int = 1
    """Replicas that are always there.  These and all below hold for whoever deploys: a
    server that finds the application `salmonn` in the cluster takes it as it is."""
    max_replicas: int = 1
    """As many are started under load, and ended when it is over."""
    max_utterances: int = 8
    """Utterances that a replica holds; the next one is sent to another, or waits.  A
    session has one while somebody speaks, one more where questions may be asked, and
    one where speakers are told."""
    target_utterances: float = 4.0
    """How many it should hold on average: beyond, a replica is added."""
    cpus: float = 1.0
    """Processors of a replica; so many threads compute where `engine.threads` is 0."""
    gpus: float = 0.0
    """GPUs of a replica; 0.25 lets four share one."""
    full_after_s: float = 5.0
    """How long an utterance may wait for a place before it is refused."""
    drain_s: float = 60.0
    """How long a replica that is to end may finish its utterances; what goes on longer
    is heard again by another."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_replicas <= self.max_replicas:
            raise ValueError(
                f"ray.min_replicas is {self.min_replicas} and ray.max_replicas "
                f"{self.max_replicas}; they must be 1 or more, in this order"
            )
        if not 0 < self.target_utterances <= self.max_utterances:
            raise ValueError(
                f"ray.target_utterances is {self.target_utterances:g}; it must be "
                f"above 0 and at most ray.max_utterances, {self.max_utterances}"
            )
        for name in ("cpus", "gpus", "drain_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"ray.{name} is {getattr(self, name):g}; it must not be below 0"
                )
        if not 0 < self.full_after_s < math.inf:
            raise ValueError(
                f"ray.full_after_s is {self.full_after_s:g}; it must be above 0"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """Which model, where it runs, how it hears."""

    preset: Literal["mini", "salmonn-13b", "salmonn-7b", "custom"] = "mini"
    """`custom` is a SALMONN of other sizes, all of its parts named."""
    weights: Path | None = None
    """Folder of ready weights; None means the cache folder of `salmonn-weights`."""
    parts: PartsConfig = field(default_factory=PartsConfig)
    """Parts to take from elsewhere, each in place of the preset's."""
    captions_only: bool = False
    """Whether no prompts are answered, and neither `parts.ckpt` nor a language model is
    loaded: a third of the memory."""
    transcriber: Literal["whisper", "salmonn"] = "whisper"
    """What answers the task `transcribe`: Whisper's decoder, with partials while one
    speaks, times of words and guards against made-up ones; or the language model, once
    a segment has ended, where its weights were taught it (docs/adr/0021)."""
    device: str = "cpu"
    """Where it computes: `cpu`, `cuda` or `cuda:1`; `auto` takes CUDA where torch has
    it.  Nothing was ever run on a GPU here, so nobody gets one unasked."""
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    """Of Whisper.  On the CPU, `auto` measures float32, bfloat16 and int8 at start-up
    and takes the fastest; on a GPU it is bfloat16, or float16 where there is none."""
    llm_dtype: Literal[
        "auto", "float32", "bfloat16", "float16", "int8", "8bit", "4bit"
    ] = "auto"
    """Of the language model.  On the CPU, `auto` takes the faster of float32 and
    bfloat16; `int8` is for linear layers and head; some tokens become others
    (docs/adr/0022).  On a GPU, `auto` is as for Whisper; `8bit` and `4bit` need the
    extra `bits` (docs/adr/0029)."""
    lora_alpha: float | None = None
    """Strength of the adapter in the language model, in place of that of its training
    (officially 32).  Less wakes abilities that were not trained, and costs trained
    ones; 0 is the model without it."""
    threads: int = 0
    """Threads of a tensor operation; 0 leaves one core to the network and the VAD.

    Threads that wait for a core that someone else uses wait long (docs/adr/0010).
    """
    speakers: Literal["auto", "on", "off"] = "auto"
    """Whether clients may have speakers told apart (docs/speakers.md).  `auto`: if the
    part `voices` was fetched; `on` fetches it."""
    encoding: EncodingConfig = field(default_factory=EncodingConfig)
    beams: int = 1
    """Beams of the search for text; 1 is greedy, which is what partials can afford."""
    backend: Literal["local", "ray"] = "local"
    """Where the model runs: in this process, or in replicas on a Ray cluster, which
    needs the extra `cluster`."""
    ray: RayConfig = field(default_factory=RayConfig)

    def __post_init__(self) -> None:
        if not DEVICE.fullmatch(self.device):
            raise ValueError(
                f"device is {_quote(self.device)}; it must be auto, cpu, cuda or, of "
                "several, cuda:1"
            )
        if not 0 <= self.threads <= MAX_THREADS:
            raise ValueError(
                f"threads is {self.threads}; it must be 0 to {MAX_THREADS}"
            )
        if self.lora_alpha is not None and not 0 <= self.lora_alpha < math.inf:
            raise ValueError(f"lora_alpha is {self.lora_alpha}; it must not be below 0")
        if not 1 <= self.beams <= MAX_BEAMS:
            raise ValueError(f"beams is {self.beams}; it must be 1 to {MAX_BEAMS}")


def read_toml(cls: type[T], path: Path) -> T:
    """Read a configuration from a TOML file.

    Raises:
        ValueError: If it is not TOML, a key is unknown, or a value has the wrong
            type or is out of range.  The message names the file and the key.
        OSError: If it cannot be read.
    """
    try:
        return build(cls, tomllib.loads(path.read_text(encoding="utf-8")))
    except ValueError as exc:
        raise ValueError(f"{path}: {exc}") from exc
    except RecursionError as exc:
        raise ValueError(f"{path}: it is nested too deeply") from exc


def build(cls: type[T], table: dict[str, Any], *, where: str = "") -> T:
    """Return the dataclass that a table describes; nested tables, nested dataclasses.

    A field whose `repr` is off holds a secret: no error repeats its value.

    Raises:
        ValueError: As `read_toml` does, without the file's name.
    """
    declared = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(table.keys() - declared.keys()):
        known = ", ".join(sorted(declared)) or "none"
        keys = ", ".join(where + _name(key) for key in unknown)
        raise ValueError(f"unknown key {_cut(keys)}; known here: {known}")
    required = {
        name
        for name, field in declared.items()
        if field.default is MISSING and field.default_factory is MISSING
    }
    if missing := sorted(required - table.keys()):
        raise ValueError(f"missing key {', '.join(where + key for key in missing)}")
    kinds = get_type_hints(cls)
    return cls(
        **{
            name: _convert(kinds[name], value, where + name, declared[name].repr)
            for name, value in table.items()
        }
    )


def _convert(kind: Any, value: Any, key: str, shown: bool) -> Any:
    """Return `value` as the type of its field; an int will do for a float."""
    choices = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    for choice in choices:
        if value is None and choice is NoneType:
            return None
        if get_origin(choice) is Literal and value in get_args(choice):
            return value
        if is_dataclass(choice) and isinstance(choice, type):
            if not isinstance(value, dict):
                continue
            return build(choice, value, where=f"{key}.")
        if choice is Path and isinstance(value, str):
            return Path(value)
        if choice is float and type(value) in (int, float):
            try:
                return float(value)
            except OverflowError:  # a whole number of more than 308 digits
                continue
        if get_origin(choice) is tuple and isinstance(value, list):
            item = get_args(choice)[0]
            return tuple(
                _convert(item, v, f"{key}[{i}]", shown) for i, v in enumerate(value)
            )
        if choice in (int, str, bool) and type(value) is choice:
            return value
    found = _quote(value) if shown else _NAMES.get(type(value), "another type")
    raise ValueError(f"{key} is {found}; expected {_describe(kind)}")


def _name(key: str) -> str:
    """Return a key as an error may repeat it: what cannot be printed, escaped."""
    return key if key.isprintable() else repr(key)


def _quote(value: object) -> str:
    return _cut(repr(value))


def _cut(shown: str) -> str:
    return shown if len(shown) <= MAX_QUOTED else shown[: MAX_QUOTED - 1] + "…"


def _describe(kind: Any) -> str:
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_describe(choice) for choice in get_args(kind))
    if get_origin(kind) is Literal:
        return " or ".join(repr(choice) for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return f"a list, each {_describe(get_args(kind)[0])}"
    return "a table" if is_dataclass(kind) else _NAMES[kind]


_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "a boolean",
    Path: "a path",
    dict: "a table",
    list: "a list",
    NoneType: "nothing",
}
