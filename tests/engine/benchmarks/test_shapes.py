"""A SALMONN of random weights is measured in small, in all that it may be kept in."""

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, WhisperConfig

from engine.api import Source
from engine.beats import Beats
from engine.benchmarks import shapes
from engine.benchmarks.random_model import random_llm
from engine.benchmarks.shapes import Shape, ShapeFigures, Words
from engine.cache import Cache
from engine.checkpoint_sizes import Lora
from engine.errors import PackageError
from engine.llm import LanguageModel
from engine.official import LORA_TARGETS
from engine.prompt import closing
from engine.qformer import Bridge, BridgeConfig
from engine.skills import question
from tests.engine.tiny_checkpoint import TINY_BEATS

CPU = torch.device("cpu")
WIDTH = 64
LLM = LlamaConfig(
    vocab_size=200,
    hidden_size=WIDTH,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=512,
)


@pytest.fixture
def shape():
    return Shape(
        whisper=WhisperConfig(
            vocab_size=300,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=1,
            decoder_start_token_id=2,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=20,
            decoder_ffn_dim=20,
        ),
        beats=TINY_BEATS,
        bridge=BridgeConfig(
            speech_width=16,
            audio_width=TINY_BEATS.encoder_embed_dim,
            width=24,
            heads=2,
            ffn_width=32,
            llm_width=WIDTH,
        ),
        llm=LLM,
        lora=Lora(
            rank=2,
            alpha=4.0,
            layers=2,
            targets=dict.fromkeys(LORA_TARGETS, (WIDTH, WIDTH)),
        ),
    )


@pytest.fixture
def samples():
    return np.random.default_rng(0).normal(0, 0.1, 5 * 16_000).astype(np.float32)


@pytest.mark.parametrize("kept", ["float32", "bfloat16", "8bit", "4bit"])
def test_a_shape_hears_answers_and_is_measured(shape, samples, kept):
    steps = []
    found = shapes.measure(
        shape, kept, CPU, samples, 2, lambda count=1: steps.append(count)
    )
    assert len(steps) == 2
    assert found.first_token_s.count == 2
    assert min(found.hearing_s, found.weights_gb, found.cache_gb) > 0
    assert list(found.tokens_per_s) == [1, 8, 32]
    assert min(found.tokens_per_s.values()) > 0
    assert found.sessions_by_time == int(1 / found.hearing_s)
    assert found.sessions_by_memory > 0
    told = ShapeFigures("tiny", [found]).rows()
    assert told[0].what == kept
    assert f"{found.weights_gb:.2f} GB" in told[1].figure


@pytest.mark.parametrize(("bits", "share"), [("8bit", 1 / 2), ("4bit", 1 / 4)])
def test_in_few_bits_only_linear_layers_shrink_and_the_rest_computes(bits, share):
    whole, few = (random_llm(LLM, kept, CPU) for kept in ("bfloat16", bits))
    layers = {n: p for n, p in whole.named_parameters() if "proj" in n}
    held = sum(p.nbytes for n, p in few.named_parameters() if "proj" in n)
    assert held == share * sum(p.nbytes for p in layers.values())
    others = [n for n, _ in whole.named_parameters() if n not in layers]
    assert [n for n, _ in few.named_parameters() if "proj" not in n] == others
    assert not any(t.is_meta for t in [*few.parameters(), *few.buffers()])
    llm = LanguageModel(few)
    (hidden,) = llm.extend([llm.embed([5, 6, 7])], [Cache()])
    assert hidden.isfinite().all()
    assert len(set(llm.logits(hidden).argmax(-1).tolist())) > 1


def test_the_first_reply_has_heard_everything(shape, samples):
    whisper, head = shapes.build(shape, "float32", CPU)
    _, _, reply = shapes.hear(whisper, head, samples)
    windows = (50 * (5 + 1)) // 17  # of 5 s, and the second of silence
    asked = closing(Words(), question(shapes.ASKED, Source.AUDIO))
    expected = len(head.opening) + windows + len(asked)
    assert reply.num_prompt_tokens == len(reply.answer.cache) == expected
    assert reply.num_tokens == 1


def test_without_the_package_it_is_said_which_is_missing(shape, samples, monkeypatch):
    monkeypatch.setattr("engine.few_bits.PACKAGE", "no_such_package")
    with pytest.raises(PackageError, match="four bits on cpu: no_such_package is not"):
        shapes.measure(shape, "4bit", CPU, samples, 1, lambda count=1: None)


@pytest.mark.parametrize("preset", ["salmonn-7b", "salmonn-13b"])
def test_a_released_shape_needs_what_a_dry_run_computes(preset):
    shape = Shape.of(preset)
    with torch.device("meta"):
        bridge, beats = Bridge(shape.bridge), Beats(shape.beats)
    trained = sum(p.numel() for p in bridge.parameters())
    adapters = (
        sum(shape.lora.rank * (a + b) for a, b in shape.lora.targets.values())
        * shape.lora.layers
    )
    heard = sum(p.numel() for p in beats.parameters())
    expected = 2 * (1_543_304_960 + shape_of_llm(shape)) + 4 * (
        trained + adapters + heard
    )
    assert shapes.computed_bytes(preset, "bfloat16") == expected


def shape_of_llm(shape):
    """Return how many weights a LLaMA of a shape has."""
    width, ffn, layers = (
        shape.llm.hidden_size,
        shape.llm.intermediate_size,
        shape.llm.num_hidden_layers,
    )
    matrices = layers * (4 * width * width + 3 * width * ffn)
    return matrices + 2 * shape.llm.vocab_size * width + (2 * layers + 1) * width
