"""What a released SALMONN costs on a device, by its shape alone: weights are random.

For whoever has a GPU and not the files.  What such a model says means nothing; but its
layers are as many and as large, and run over as many positions.

    memory        of the weights, beside what `salmonn-ask --dry-run --live` computes
    hearing       a second of speech, 0.34 s at a time: Whisper's encoder in blocks,
                  BEATs, the bridge, the language model's cache
    first token   of an answer about it, from its last sample
    tokens        of 1, 8 and 32 answers at once
    sessions      that could be heard at once, by that time; and kept, by memory left

Whisper's decoder is there and takes its memory; captions are not timed here.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import psutil
import torch
from torch import nn
from transformers import (
    PreTrainedConfig,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from engine import official
from engine.answering import advance
from engine.api import Prompt, Samples
from engine.beats import Beats, BeatsConfig
from engine.benchmarks.random_model import random_llm
from engine.benchmarks.report import Advance, Row, Setup
from engine.benchmarks.sounds import endless
from engine.benchmarks.statistics import Quantiles, quantiles
from engine.cache import Cache
from engine.checkpoint_sizes import Lora
from engine.config import EncodingConfig
from engine.device import choose, describe, room_on, sixteen_bits
from engine.encoding import StreamingEncoder
from engine.few_bits import Bits
from engine.geometry import ENCODER_RATE, SAMPLE_RATE, WINDOW_SAMPLES
from engine.incremental import CLOSING_SILENCE_S
from engine.inspection import released_memory
from engine.listening import Ear, Head, LiveReply
from engine.llm import DTYPES, Dtype, LanguageModel
from engine.lora import add_adapter
from engine.memory import GB
from engine.qformer import Bridge, BridgeConfig
from engine.skills import Skills
from engine.whisper_encoder import BlockEncoder

AUDIO_S: Final = 28.0
ROUNDS, STEPS = 5, 20
COMPANIES: Final = (1, 8, 32)
"""How many answers go on at once."""
FEW: Final[tuple[Bits, ...]] = ("8bit", "4bit")
ASKED: Final = Prompt(task="describe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a SALMONN."""

    whisper: WhisperConfig
    beats: BeatsConfig
    bridge: BridgeConfig
    llm: PreTrainedConfig
    lora: Lora

    @classmethod
    def of(cls, preset: str) -> "Shape":
        """Return the sizes of a released one."""
        llm = official.llm_skeleton(preset).config
        width = llm.hidden_size
        return cls(
            whisper=official.whisper_skeleton().config,
            beats=BeatsConfig(),
            bridge=official.bridge_config(preset),
            llm=llm,
            lora=Lora(
                rank=official.LORA_RANK,
                alpha=32.0,
                layers=llm.num_hidden_layers,
                targets=dict.fromkeys(official.LORA_TARGETS, (width, width)),
            ),
        )


class Words:
    """Stands for a vocabulary: some number for every four letters."""

    bos_token_id = 1

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Return about as many ids as LLaMA's tokenizer does."""
        del add_special_tokens
        return [3 + ord(letter) % 90 for letter in text[::4]]

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Return a text that grows with its ids."""
        del skip_special_tokens
        return " ".join(map(str, ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found of one way to keep the language model."""

    kept: str
    weights_gb: float
    """On a GPU what torch has allocated there; on the CPU, what the tensors hold."""
    computed_gb: float | None
    """What a dry run says, without its cache; None of no released shape."""
    hearing_s: float
    """Of computing, for a second of speech."""
    first_token_s: Quantiles
    tokens_per_s: dict[int, float]
    """Of all answers together, by how many there are."""
    cache_gb: float
    """Of one session: its audio, a question, an answer."""
    sessions_by_time: int
    sessions_by_memory: int


@dataclass(frozen=True, slots=True)
class ShapeFigures:
    """What was found."""

    engine: str
    found: list[Found]

    def rows(self) -> list[Row]:
        """Return what people want to know of it."""
        rows = []
        for one in self.found:
            told = (
                "" if one.computed_gb is None else f"; computed {one.computed_gb:.2f}"
            )
            rows += [
                Row(one.kept, ""),
                Row("  weights", f"{one.weights_gb:.2f} GB{told}"),
                Row("  hearing a second of speech", f"{one.hearing_s:.3f} s"),
                Row("  first token, p50 / p90 / p95", one.first_token_s.told("s")),
                *(
                    Row(f"  tokens a second, {many} at once", f"{speed:.1f}")
                    for many, speed in one.tokens_per_s.items()
                ),
                Row("  cache of a session", f"{one.cache_gb:.3f} GB"),
                Row("  sessions, by time of hearing", f"{one.sessions_by_time}"),
                Row("  sessions, by memory left", f"{one.sessions_by_memory}"),
            ]
        return rows


def run(setup: Setup) -> ShapeFigures:
    """Measure a released shape, its language model kept in one way after the other.

    Raises:
        DeviceError: If torch cannot compute there.
        NoRoomError: If it does not fit there.
        PackageError: If bitsandbytes is not installed.
    """
    device = choose(setup.device)
    samples = endless(setup.clips, AUDIO_S)
    rounds = setup.rounds or ROUNDS
    found = []
    kinds = "bfloat16" if device.type == "cpu" else sixteen_bits(device), *FEW
    with setup.steps("shapes", len(kinds) * rounds) as step:
        for kept in kinds:
            with room_on(device):
                shape = Shape.of(setup.preset)
                one = measure(shape, kept, device, samples, rounds, step)
            computed = computed_bytes(setup.preset, kept)
            found.append(replace(one, computed_gb=computed / GB))
    return ShapeFigures(f"{setup.preset}, random weights, {describe(device)}", found)


def computed_bytes(preset: str, kept: Dtype | Bits) -> int:
    """Return what a dry run says of the weights, few bits being bitsandbytes'."""
    rows = released_memory(preset, precision=kept, device="cuda", live=True)
    return sum(row.size_bytes for row in rows if row.parameters)


def measure(
    shape: Shape,
    kept: Dtype | Bits,
    device: torch.device,
    samples: Samples,
    rounds: int,
    step: Advance,
) -> Found:
    """Make a model, hear and answer with it, and let it go."""
    before = allocated(device)
    whisper, head = build(shape, kept, device)
    modules = [
        whisper,
        head.bridge,
        head.llm.model,
        *([head.beats] if head.beats else []),
    ]
    weights = allocated(device) - before or held(modules)
    left = free(device)
    hearing, first, reply = [], [], None
    for _ in range(rounds):
        hearing_s, first_s, reply = hear(whisper, head, samples)
        hearing.append(hearing_s)
        first.append(first_s)
        step()
    assert reply, "at least one round"
    assert reply.answer, "it is asked about audio"
    tokens = {
        many: tokens_per_s(head.llm, reply.answer.cache, many) for many in COMPANIES
    }
    cache = reply.answer.cache.size_bytes
    hearing_s = min(hearing)
    return Found(
        kept=kept,
        weights_gb=weights / GB,
        computed_gb=None,
        hearing_s=hearing_s,
        first_token_s=quantiles(first, of="first token"),
        tokens_per_s=tokens,
        cache_gb=cache / GB,
        sessions_by_time=int(1 / hearing_s),
        sessions_by_memory=left // cache,
    )


def build(
    shape: Shape, kept: Dtype | Bits, device: torch.device
) -> tuple[WhisperForConditionalGeneration, Head]:
    """Return a SALMONN of a shape, as `engine.heads` has it from files."""
    with torch.device(device):
        whisper = WhisperForConditionalGeneration(shape.whisper)
        bridge = Bridge(shape.bridge)
        beats = Beats(shape.beats) if shape.bridge.audio_width else None
    if device.type != "cpu":
        whisper.to(DTYPES[sixteen_bits(device)])
    model = random_llm(shape.llm, kept, device)
    add_adapter(model, shape.lora)
    for module in filter(None, (whisper, bridge, beats, model)):
        module.eval().requires_grad_(False)
    llm = LanguageModel(model, cast(Any, Words()))
    llm.stop = frozenset()  # no answer ends before it was timed
    return whisper, Head(bridge, beats, llm, Skills(tasks=("describe",)))


def hear(
    whisper: WhisperForConditionalGeneration, head: Head, samples: Samples
) -> tuple[float, float, LiveReply]:
    """Hear speech as it comes, then answer about it.

    Returns:
        Seconds of computing for a second of it, seconds to the first token, and the
        reply, which holds both in its cache.
    """
    encoding = EncodingConfig()
    left = round(encoding.left_context_s * ENCODER_RATE)
    layers = len(whisper.model.encoder.layers)
    encoder = BlockEncoder(whisper.model.encoder, left_frames=left, layers=(layers,))
    stream, ear = StreamingEncoder(encoder, encoding), Ear(head, eager=True)
    begin = time.perf_counter()
    for piece in torch.from_numpy(samples).split(WINDOW_SAMPLES):
        ear.push(piece, stream.push(piece))
    wait(head.llm.device)
    heard = time.perf_counter()
    reply = ear.ask(ASKED, stream.rest(CLOSING_SILENCE_S))
    assert reply.answer, "it is asked about audio"
    advance(head.llm, [reply.answer])  # brings the token back, and so waits
    asked = time.perf_counter()
    return (heard - begin) * SAMPLE_RATE / len(samples), asked - heard, reply


def tokens_per_s(llm: LanguageModel, about: Cache, many: int) -> float:
    """Return how many tokens a second so many answers have, all together."""
    caches, tokens = [about.fork() for _ in range(many)], [0] * many
    taken_s = 0.0
    for step in range(STEPS + 1):
        begin = time.perf_counter()
        tokens = llm.step(tokens, caches).argmax(-1).tolist()
        if step:  # the first copies what they share
            taken_s += time.perf_counter() - begin
    return many * STEPS / taken_s


def wait(device: torch.device) -> None:
    """Wait for what a GPU is doing; the CPU has done it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def allocated(device: torch.device) -> int:
    """Return the bytes that torch has on a GPU; 0 elsewhere: nobody counts them."""
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def held(modules: Sequence[nn.Module]) -> int:
    """Return the bytes of the weights of models."""
    return sum(p.nbytes for module in modules for p in module.parameters())


def free(device: torch.device) -> int:
    """Return the bytes that are left."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
