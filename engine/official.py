"""The shapes of the released SALMONNs, as models without weights.

They cost no memory: tensors on the meta device have names, shapes and nothing else.
For figures before there are files, and for tests at full size.

Source:
    bytedance/SALMONN@a58bba7; the config.json of openai/whisper-large-v2,
    lmsys/vicuna-13b-v1.1 and lmsys/vicuna-7b-v1.5.
"""

from typing import Final

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    WhisperConfig,
    WhisperForConditionalGeneration,
)
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from engine.checkpoint_sizes import VICUNAS, LanguageModel
from engine.presets import RELEASED
from engine.qformer import BridgeConfig

_FFN_WIDTHS: Final = {"Vicuna 13B v1.1": 13824, "Vicuna 7B v1.5": 11008}
HEAD_WIDTH: Final = 128
LORA_RANK: Final = 8
LORA_TARGETS: Final = ("self_attn.q_proj", "self_attn.v_proj")


def language_model(preset: str) -> LanguageModel:
    """Return what a released checkpoint was trained with."""
    (found,) = (known for known in VICUNAS if known.name == RELEASED[preset].llm)
    return found


def bridge_config(preset: str) -> BridgeConfig:
    """Return the shape of a released bridge."""
    return BridgeConfig(llm_width=language_model(preset).width)


def llm_skeleton(preset: str) -> LlamaForCausalLM:
    """Return the language model of a released checkpoint, without weights."""
    known = language_model(preset)
    assert known.name, "a released language model has a name"
    config = LlamaConfig(
        vocab_size=32_000,
        hidden_size=known.width,
        intermediate_size=_FFN_WIDTHS[known.name],
        num_hidden_layers=known.layers,
        num_attention_heads=known.width // HEAD_WIDTH,
        max_position_embeddings=known.max_positions,
    )
    with torch.device("meta"):
        return LlamaForCausalLM(config)


def whisper_skeleton() -> WhisperForConditionalGeneration:
    """Return Whisper large-v2, its decoder with it, without weights."""
    config = WhisperConfig(
        vocab_size=51_865,
        d_model=1280,
        encoder_layers=32,
        encoder_attention_heads=20,
        encoder_ffn_dim=5120,
        decoder_layers=32,
        decoder_attention_heads=20,
        decoder_ffn_dim=5120,
        num_mel_bins=80,
    )
    with torch.device("meta"):
        return WhisperForConditionalGeneration(config)


def speech_encoder_skeleton() -> WhisperEncoder:
    """Return what is heard with offline: the encoder of `whisper_skeleton`."""
    return whisper_skeleton().model.encoder
