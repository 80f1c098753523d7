"""What a SALMONN needs in memory, computed from shapes before anything is loaded.

    weights of each part, in its data type  +  KV cache of an answer  =  sum

What is left out: activations (some 100 MB), PyTorch itself, and the moment of loading,
in which a shard of the language model may be there twice.  A computed figure is no
measurement, and whoever shows one says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from engine.beats import Beats, BeatsConfig
from engine.geometry import MAX_FRAMES, window_count
from engine.qformer import Bridge, BridgeConfig

Shapes = Mapping[str, tuple[int, ...]]
Precision = Literal["float32", "bfloat16", "float16", "8bit", "4bit"]

GB: Final = 1e9
BYTES: Final[Mapping[Precision, float]] = {
    "float32": 4.0,
    "bfloat16": 2.0,
    "float16": 2.0,
    "8bit": 1.0,  # and a scale for each output, which is not counted
    "4bit": 0.5 + 4.0 / 64,  # and a float32 for each block of 64 weights
}
"""Of a weight of the language model's linear layers."""
OTHER_BYTES: Final[Mapping[Precision, float]] = {**BYTES, "8bit": 4.0, "4bit": 2.0}
"""Of its other weights, and of what it computes."""
UNQUANTISED: Final[Mapping[Precision, tuple[str, ...]]] = {
    "8bit": ("embed_tokens.weight",),  # as `engine.eight_bits` does it
    "4bit": ("embed_tokens.weight", "lm_head.weight"),  # as others do it
}
PROMPT_TOKENS: Final = 40
"""Of a prompt without its audio: BOS, both halves, a question of some 20 tokens."""


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
    audio: BeatsConfig,
    bridge: BridgeConfig,
    lora: Shapes,
    llm: Shapes,
    cache: CacheShape,
    precision: Precision,
    beams: int = 4,
    max_tokens: int = 200,
) -> list[PartMemory]:
    """Return what each part needs, in the order in which sound passes them.

    Args:
        speech: Tensors of Whisper's encoder.
        audio: Shape of BEATs.
        bridge: Shape of the bridge.
        lora: Tensors of the LoRA.
        llm: Tensors of the language model, under transformers' names.
        cache: Of the language model.
        precision: Of its linear layers.
        beams: Of the search for an answer; each has a cache.
        max_tokens: Of an answer.
    """
    positions = PROMPT_TOKENS + audio_positions(bridge) + max_tokens
    kept = OTHER_BYTES[precision]
    return [
        _float32("Whisper's encoder", _count(speech)),
        _float32("BEATs", _parameters_of_beats(audio)),
        _float32("bridge", _parameters_of_bridge(bridge)),
        _float32("LoRA", _count(lora)),
        PartMemory(
            part="language model",
            dtype=precision,
            parameters=_count(llm),
            size_bytes=_llm_bytes(llm, precision, kept),
        ),
        PartMemory(
            part=f"KV cache, {beams} x {positions} positions",
            dtype="float32" if kept == BYTES["float32"] else "16 bits",
            parameters=0,
            size_bytes=cache.size_bytes(beams * positions, kept),
        ),
    ]


def whisper_memory(whole: Shapes) -> PartMemory:
    """Return what a Whisper with its decoder needs, for captions."""
    return _float32("Whisper", _count(whole))


def _llm_bytes(llm: Shapes, precision: Precision, kept: float) -> int:
    linear = {
        name: shape
        for name, shape in llm.items()
        if len(shape) == 2 and not name.endswith(UNQUANTISED.get(precision, ()))
    }
    rest = _count(llm) - _count(linear)
    return round(_count(linear) * BYTES[precision] + rest * kept)


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
