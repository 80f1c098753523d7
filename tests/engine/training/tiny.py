"""A model small enough to be taught in a test, and clips that it can tell apart.

Its language model is a random LLaMA whose tokens are bytes; its ears are eight bands of
the spectrum.  A clip is a low or a high tone, and its text says which.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from engine import checkpoint
from engine.checkpoint_sizes import Lora
from engine.data.examples import Example
from engine.geometry import FRAME_SAMPLES, SAMPLE_RATE
from engine.llm import LanguageModel
from engine.lora import add_adapter, load_adapter
from engine.qformer import Bridge, BridgeConfig
from engine.training.clips import read_joined
from engine.training.config import MaskConfig
from engine.training.reading import Batch, Features, Speller
from engine.training.stage import Parts
from engine.training.student import Frames, Student

FIRST_BYTE = 3
BOS, END = 1, 2
WIDTH = 32
BANDS = 8
HERTZ = {"low": 300.0, "high": 3000.0}
BRIDGE = BridgeConfig(
    speech_width=BANDS,
    audio_width=BANDS,
    width=24,
    heads=2,
    ffn_width=32,
    layers=1,
    llm_width=WIDTH,
    dropout=0.0,
)
TARGETS = {"self_attn.q_proj": (WIDTH, WIDTH), "self_attn.v_proj": (WIDTH, WIDTH)}


class ByteTokenizer:
    """Every byte is a token."""

    bos_token_id = BOS

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        return [FIRST_BYTE + byte for byte in text.encode()]

    def decode(self, ids: list[int], *, skip_special_tokens: bool) -> str:
        assert skip_special_tokens
        data = bytes(token - FIRST_BYTE for token in ids if token >= FIRST_BYTE)
        return data.decode(errors="replace")


class BandListener:
    """The loudness of eight bands in each 20 ms."""

    def hear(self, example: Example, seed: str | None) -> Features:
        samples = torch.from_numpy(read_joined(example))
        whole = len(samples) // FRAME_SAMPLES * FRAME_SAMPLES
        power = torch.fft.rfft(samples[:whole].view(-1, FRAME_SAMPLES)).abs()
        bands = power[:, 1:].unflatten(1, (BANDS, -1)).mean(-1)
        return {"bands": bands.log1p()}


class Deaf(nn.Module):
    """Ears whose work was done by the listener; a frozen layer stands for theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(BANDS, BANDS)
        self.dropout = nn.Dropout(0.5)  # would show if it were not in eval mode

    def forward(self, batch: Batch) -> Frames:
        bands = batch.features["bands"]
        other = self.dropout(self.frozen(bands))
        return Frames(bands, other, batch.lengths["bands"])


def tiny_parts(
    *,
    bridge: BridgeConfig = BRIDGE,
    lora_dropout: float = 0.0,
    masks: MaskConfig | None = None,
) -> Parts:
    """Return a model with random weights, always the same."""
    torch.manual_seed(7)
    config = LlamaConfig(
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        vocab_size=FIRST_BYTE + 256,
        bos_token_id=BOS,
        eos_token_id=END,
        pad_token_id=None,
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        # As initialised, it could not be sure of anything.
        model.lm_head.weight.mul_(30.0)
        model.model.embed_tokens.weight.mul_(30.0)
    lora = Lora(rank=2, alpha=8.0, layers=2, targets=TARGETS)
    add_adapter(model, lora, dropout=lora_dropout)
    tokenizer = ByteTokenizer()
    speller = Speller(tokenizer, END, max_target_tokens=60)
    llm = LanguageModel(model, tokenizer)  # type: ignore[arg-type]
    student = Student(
        Deaf(),
        Bridge(bridge),
        model,
        opening=speller.opening,
        masks=masks or MaskConfig(),
    )
    return Parts(
        student=student, llm=llm, lora=lora, speller=speller, listener=BandListener()
    )


def write_clips(folder: Path, count: int, *, broken: int = 0) -> Path:
    """Write tones and their list in our format; return the list."""
    lines = []
    drawn = np.random.default_rng(0)
    for number in range(count):
        kind = ("low", "high")[number % 2]
        path, seconds = f"{kind}{number}.wav", 1.0 + number % 3 * 0.2
        if number < broken:
            (folder / path).write_text("no audio")
        else:
            times = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
            tone = 0.3 * np.sin(2 * np.pi * HERTZ[kind] * times)
            noise = 0.01 * drawn.standard_normal(len(times))
            soundfile.write(folder / path, tone + noise, SAMPLE_RATE)
        line = {"path": path, "text": kind, "task": "asr", "duration_s": seconds}
        lines.append(json.dumps(line) + "\n")
    path = folder / "clips.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def frozen_state(parts: Parts) -> dict[str, Tensor]:
    """Return copies of all weights that must not change."""
    learned = {id(parameter) for _, parameter in parts.learned()}
    return {
        name: value.detach().clone()
        for name, value in _everything(parts.student)
        if id(value) not in learned
    }


def _everything(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def start_from(path: Path) -> Parts:
    """Return a model that begins with a checkpoint."""
    parts = tiny_parts()
    found = checkpoint.read(path)
    parts.student.bridge.load_state_dict(found.bridge)
    load_adapter(parts.llm.model, found.lora)
    return parts
