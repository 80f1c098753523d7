"""What a SALMONN needs in memory, computed from shapes before anything is loaded.

    weights of each part, in its data type  +  KV cache of an answer  =  sum

What is left out: activations (some 100 MB), PyTorch itself, and the moment of loading,
in which a shard of the language model may be there twice.  A computed figure is no
measurement, and whoever shows one says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from engine.beats import Beats, BeatsConfig
from engine.geometry import MAX_FRAMES, window_count
from engine.qformer import Bridge, BridgeConfig

Shapes = Mapping[str, tuple[int, ...]]
Precision = Literal["float32", "bfloat16", "float16", "8bit", "4bit"]

GB: Final = 1e9
PROMPT_TOKENS: Final = 40
"""Of a prompt without its audio: BOS, both halves, a question of some 20 tokens."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How large the weights of a language model are, in bytes."""

    linear: float
    """Of its linear layers."""
    other: float
    """Of its other weights, and of what it computes."""
    whole: tuple[str, ...] = ()
    """How matrices end that are among the others."""


TABLE, HEAD = "embed_tokens.weight", "lm_head.weight"
KEPT: Final[Mapping[Precision, Kept]] = {
    "float32": Kept(4.0, 4.0),
    "bfloat16": Kept(2.0, 2.0),
    "float16": Kept(2.0, 2.0),
    # As `engine.eight_bits` does it; a scale for each output is not counted.
    "8bit": Kept(1.0, 4.0, (TABLE,)),
    # As `engine.few_bits` does it: and a float32 for each block of 64 weights.
    "4bit": Kept(0.5 + 4.0 / 64, 2.0, (TABLE, HEAD)),
}
EIGHT_BITS_ELSEWHERE: Final = Kept(1.0, 2.0, (TABLE, HEAD))
"""On another device than the CPU, as `engine.few_bits` does it."""


def kept_in(precision: Precision, device: str) -> Kept:
    """Return what the weights of a language model become on a device."""
    if precision == "8bit" and device != "cpu":
        return EIGHT_BITS_ELSEWHERE
    return KEPT[precision]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartMemory:
    """What one part needs."""

    part: str
    dtype: str
    parameters: int
    """0 for what is no weight."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheShape:
    """What a language model's KV cache is made of."""

    layers: int
    heads: int
    """That have keys and values of their own."""
    head_width: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "CacheShape":
        """Return it from a model's settings, as transformers writes them."""
        heads = config["num_attention_heads"]
        return cls(
            layers=config["num_hidden_layers"],
            heads=config.get("num_key_value_heads") or heads,
            head_width=config.get("head_dim") or config["hidden_size"] // heads,
        )

    def size_bytes(self, positions: int, value_bytes: float) -> int:
        """Return the memory of so many positions."""
        values = 2 * self.layers * self.heads * self.head_width
        return round(positions * values * value_bytes)


def audio_positions(bridge: BridgeConfig) -> int:
    """Return how many positions the audio takes: 88 in the official shape."""
    windows = window_count(MAX_FRAMES, size=bridge.window, hop=bridge.hop)
    return windows * bridge.queries


def memory_of(
    *,
    speech: Shapes,
    audio: BeatsConfig | None,
    bridge: BridgeConfig,
    lora: Shapes,
    llm: Shapes,
    cache: CacheShape,
    precision: Precision,
    device: str = "cpu",
    beams: int = 4,
    max_tokens: int = 200,
) -> list[PartMemory]:
    """Return what each part needs, in the order in which sound passes them.

    Args:
        speech: Tensors of Whisper's encoder; none leaves it out.
        audio: Shape of BEATs; None where there is none.
        bridge: Shape of the bridge.
        lora: Tensors of the LoRA.
        llm: Tensors of the language model, under transformers' names.
        cache: Of the language model.
        precision: Of its linear layers.
        device: Where it is to be, as torch names it.
        beams: Of the search for an answer; each has a cache.
        max_tokens: Of an answer.
    """
    positions = PROMPT_TOKENS + audio_positions(bridge) + max_tokens
    kept = kept_in(precision, device)
    encoders = [_float32("Whisper's encoder", _count(speech))] if speech else []
    if audio:
        encoders.append(_float32("BEATs", _parameters_of_beats(audio)))
    return [
        *encoders,
        _float32("bridge", _parameters_of_bridge(bridge)),
        _float32("LoRA", _count(lora)),
        PartMemory(
            part="language model",
            dtype=precision,
            parameters=_count(llm),
            size_bytes=_llm_bytes(llm, kept),
        ),
        PartMemory(
            part=f"KV cache, {beams} x {positions} positions",
            dtype="float32" if kept.other == KEPT["float32"].other else "16 bits",
            parameters=0,
            size_bytes=cache.size_bytes(beams * positions, kept.other),
        ),
    ]


def needed(speech: Shapes, *, live: bool, **how: Any) -> list[PartMemory]:
    """Return what the parts of a SALMONN need, offline or live.

    Live, Whisper is there whole, in 16 bits, and an answer has one cache.

    Args:
        speech: Tensors of Whisper; if not live, of its encoder alone.
        live: Whether it is served, and not asked about files.
        how: As `memory_of` takes it.
    """
    if not live:
        return memory_of(speech=speech, **how)
    others = memory_of(speech={}, **{**how, "beams": 1})
    return [whisper_memory(speech, "float16"), *others]


def whisper_memory(whole: Shapes, precision: Precision = "float32") -> PartMemory:
    """Return what a Whisper with its decoder needs, for captions."""
    count = _count(whole)
    size = round(count * KEPT[precision].other)
    return PartMemory(
        part="Whisper", dtype=precision, parameters=count, size_bytes=size
    )


def fewer_words_memory(words: int, width: int, precision: Precision) -> PartMemory:
    """Return what a head of some words needs, a copy of rows of the whole one."""
    return PartMemory(
        part=f"head of {words:,} words",
        dtype=precision,
        parameters=words * width,
        size_bytes=round(words * width * KEPT[precision].other),
    )


def _llm_bytes(llm: Shapes, kept: Kept) -> int:
    linear = {
        name: shape
        for name, shape in llm.items()
        if len(shape) == 2 and not name.endswith(kept.whole)
    }
    rest = _count(llm) - _count(linear)
    return round(_count(linear) * kept.linear + rest * kept.other)


def _float32(part: str, parameters: int) -> PartMemory:
    return PartMemory(
        part=part, dtype="float32", parameters=parameters, size_bytes=4 * parameters
    )


def _count(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def _parameters_of_beats(config: BeatsConfig) -> int:
    import torch

    with torch.device("meta"):
        return sum(p.numel() for p in Beats(config).parameters())


def _parameters_of_bridge(config: BridgeConfig) -> int:
    import torch

    with torch.device("meta"):
        return sum(p.numel() for p in Bridge(config).parameters())
