"""What pieces of work would take on a machine that is not here: operations and bytes.

    a pass    max(operations / rate, bytes / bandwidth) + launches

Rates are a maker's figures times a part of them that is assumed to be reached; shapes
are those of the released models.  Nothing here was measured, and whoever shows a figure
of it says so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from engine import official
from engine.benchmarks.costs import ReplySeconds
from engine.config import EncodingConfig
from engine.geometry import ENCODER_RATE, WINDOW
from engine.inspection import released_memory
from engine.memory import PROMPT_TOKENS, CacheShape
from engine.qformer import BridgeConfig

LAYERS, WIDTH, HIDDEN, WORDS = 32, 1280, 5120, 51_865
"""Of Whisper large-v2, encoder and decoder alike."""
BYTES = 2.0  # a weight or a value in 16 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A GPU, as its maker describes it."""

    name: str
    operations: float
    """Of dense products in 16 bits, a second: multiplications and additions."""
    bandwidth: float
    """Bytes of its memory, a second."""
    memory_gb: float


GPUS: Final = {
    "l4": Accelerator(
        name="NVIDIA L4", operations=121e12, bandwidth=300e9, memory_gb=24
    ),
    "a100": Accelerator(
        name="NVIDIA A100 SXM 80 GB",
        operations=312e12,
        bandwidth=2039e9,
        memory_gb=80,
    ),
    "h100": Accelerator(
        name="NVIDIA H100 SXM", operations=989e12, bandwidth=3350e9, memory_gb=80
    ),
    "h200": Accelerator(
        name="NVIDIA H200", operations=989e12, bandwidth=4800e9, memory_gb=141
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What is taken for granted; each can be set, none was measured."""

    compute: float = 0.4
    """Part of the maker's operations that is reached."""
    memory: float = 0.6
    """Part of the maker's bandwidth that is reached."""
    launch_s: float = 8e-6
    """To launch an operation from Python; it is not hidden behind others."""
    launches: float = 20.0
    """Operations in a layer."""
    tokens_per_s: float = 3.5
    """Of captions, for each second of speech."""
    partial_tokens: float = 2.0
    """New ones that a partial tries beyond those, and takes back."""
    first_text_s: float = 0.8
    """Of a segment that must be heard before it has text."""
    piece_s: float = 1e-3
    """Of a piece of work beside its passes: features, Python, to and fro."""

    def sentences(self, gpu: Accelerator) -> tuple[str, ...]:
        """Return all of it in words."""
        told = [
            f"{field.name} = {getattr(self, field.name):g}" for field in fields(self)
        ]
        return (
            f"{gpu.name}, by its maker: {gpu.operations / 1e12:g}·10¹² operations/s in "
            f"16 bits, {gpu.bandwidth / 1e9:g} GB/s, {gpu.memory_gb:g} GB",
            "a pass takes max(operations / rate, bytes / bandwidth) and its launches",
            "engine.benchmarks.roofline.Assumptions: " + ", ".join(told),
            "blocks of several sessions share no pass (docs/adr/0034)",
            "BEATs, the Q-Former and voice detectors take no time",
            "pieces of work do not differ from the average",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """What decides how much a stack of layers computes and reads."""

    layers: int
    width: int
    weights: float
    """Of its linear layers."""
    head: float = 0.0
    """Weights of its last layer, which is used for one row of a pass."""
    cache: CacheShape | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """What passes take on one accelerator."""

    gpu: Accelerator
    assumed: Assumptions

    def pass_s(
        self, stack: Transformer, rows: float, *, attended: float = 0.0, batch: int = 1
    ) -> float:
        """Return what a pass takes.

        Args:
            stack: Whose layers.
            rows: Positions that are computed for each of the batch.
            attended: Positions that each of them looks at.
            batch: Sequences in the pass.
        """
        linear = 2 * rows * batch * stack.weights + 2 * batch * stack.head
        attention = 4 * rows * batch * attended * stack.width * stack.layers
        read = BYTES * (stack.weights + stack.head)
        if stack.cache:
            read += batch * stack.cache.size_bytes(round(attended), BYTES)
        reached = self.gpu.operations * self.assumed.compute
        moved = self.gpu.bandwidth * self.assumed.memory
        launches = stack.layers * self.assumed.launches * self.assumed.launch_s
        return max((linear + attention) / reached, read / moved) + launches


ENCODER: Final = Transformer(
    layers=LAYERS, width=WIDTH, weights=LAYERS * (4 * WIDTH**2 + 2 * WIDTH * HIDDEN)
)
DECODER: Final = Transformer(
    layers=LAYERS,
    width=WIDTH,
    weights=LAYERS * (8 * WIDTH**2 + 2 * WIDTH * HIDDEN),
    head=WIDTH * WORDS,
)


def language_model(preset: str) -> Transformer:
    """Return the language model of a released SALMONN."""
    model = official.llm_skeleton(preset)
    config = model.config
    shapes: Mapping[str, tuple[int, ...]] = {
        name: tuple(tensor.shape) for name, tensor in model.state_dict().items()
    }
    linear = sum(math.prod(s) for name, s in shapes.items() if ".layers." in name)
    return Transformer(
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        weights=linear,
        head=math.prod(shapes["lm_head.weight"]),
        cache=CacheShape(
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            head_width=official.HEAD_WIDTH,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingSeconds:
    """What captions would take: a constant, for a second heard, for a second new."""

    partial: tuple[float, float, float]
    final: tuple[float, float, float]
    block_s: float


def hearing(line: Roofline, encoding: EncodingConfig) -> HearingSeconds:
    """Return what hearing would cost with Whisper large-v2."""
    assumed = line.assumed
    block = encoding.block_windows * WINDOW
    right = encoding.right_windows * WINDOW
    left = encoding.left_context_s * ENCODER_RATE
    block_s = line.pass_s(ENCODER, block + right, attended=left + block + right)
    block_s *= ENCODER_RATE / block
    # The end that has not settled is on average half a block, its context, a window.
    rest = block / 2 + right + WINDOW
    rest_s = line.pass_s(ENCODER, rest, attended=left + rest)
    # What was said before is checked in one pass; what is new comes token by token.
    draft_s = line.pass_s(DECODER, 8, attended=left)
    token_s = line.pass_s(DECODER, 1, attended=left)
    new_s = assumed.tokens_per_s * token_s
    fixed_s = assumed.piece_s + draft_s + assumed.partial_tokens * token_s
    whole_s = [line.pass_s(ENCODER, s * ENCODER_RATE, attended=750) for s in (3, 33)]
    per_heard_s = max(0.0, whole_s[1] - whole_s[0]) / 30
    return HearingSeconds(
        partial=(fixed_s + rest_s, 0.0, block_s + new_s),
        final=(fixed_s + whole_s[0], per_heard_s, new_s),
        block_s=block_s,
    )


def replies(line: Roofline, preset: str, *, audio_s: float = 10.0) -> ReplySeconds:
    """Return what prompts would cost about so much audio."""
    llm, bridge = language_model(preset), official.bridge_config(preset)
    positions = audio_s * position_rate(bridge)
    read_s = line.pass_s(llm, 4 * bridge.queries, attended=positions)
    read_s *= ENCODER_RATE / (4 * bridge.hop)  # four windows in a pass
    unread_s = line.pass_s(llm, positions, attended=positions) / audio_s
    behind = positions + PROMPT_TOKENS
    step_s = line.pass_s(llm, 1, attended=behind)
    eight_s = line.pass_s(llm, 1, attended=behind, batch=8)
    return ReplySeconds(
        read_s=read_s,
        unread_s=unread_s,
        prompt_s=line.pass_s(llm, PROMPT_TOKENS, attended=behind)
        + line.assumed.piece_s,
        step_s=step_s + line.assumed.piece_s,
        step_each_s=max(0.0, eight_s - step_s) / 7,
    )


def position_rate(bridge: BridgeConfig) -> float:
    """Return how many positions a second of audio takes."""
    return bridge.queries * ENCODER_RATE / bridge.hop


def memory_mb(preset: str, *, audio_s: float = 30.0) -> tuple[float, float]:
    """Return what a replica holds loaded, and what a session adds, in megabytes.

    Whisper's decoder is added to what `engine.memory` knows.  A session holds keys and
    values: of the encoder's left context, and of a segment of so many seconds for the
    decoder's cross attention and for the language model.
    """
    parts = released_memory(preset, precision="float16", beams=1, device="cuda")
    decoder = BYTES * (DECODER.weights + DECODER.head)
    loaded = sum(part.size_bytes for part in parts) + decoder
    frames = (EncodingConfig().left_context_s + audio_s) * ENCODER_RATE
    kept = 2 * LAYERS * WIDTH * frames * BYTES
    llm, bridge = language_model(preset), official.bridge_config(preset)
    assert llm.cache, "a language model has a cache"
    positions = round(audio_s * position_rate(bridge)) + PROMPT_TOKENS
    session = kept + llm.cache.size_bytes(positions, BYTES)
    return loaded / 1e6, session / 1e6
