"""Language models of some thousand random weights, of the families that we run."""

import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from engine.llm import LanguageModel

WIDTH = 32
VOCABULARY_SIZE = 96
WINDOW = 512  # as Gemma 3 has it
STOP = 1

_SIZES = {
    "vocab_size": VOCABULARY_SIZE,
    "hidden_size": WIDTH,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "eos_token_id": STOP,
    "bos_token_id": 2,
    "pad_token_id": 0,
}


def config(family: str, *, window: int = WINDOW) -> PreTrainedConfig:
    """Return the shape of a tiny model: `llama`, `gemma3`, `qwen2` or `qwen3`."""
    sliding = ["sliding_attention", "sliding_attention", "full_attention"]
    match family:
        case "llama":
            return LlamaConfig(**_SIZES)
        case "gemma3":
            return Gemma3TextConfig(
                **{**_SIZES, "num_key_value_heads": 1},
                head_dim=16,
                query_pre_attn_scalar=16,
                sliding_window=window,
                layer_types=sliding,
            )
        case "qwen2":
            return Qwen2Config(**_SIZES)
        case "qwen3":
            return Qwen3Config(**_SIZES, head_dim=16)
    raise AssertionError(family)


def tiny_model(family: str, *, window: int = WINDOW) -> PreTrainedModel:
    """Return a random model of transformers, its own attention unchanged."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config(family, window=window)).eval()
    with torch.no_grad():
        for (
            parameter
        ) in model.parameters():  # far enough from zero that all of it tells
            parameter.normal_(std=0.3)
    return model.requires_grad_(False)


def tiny_llm(family: str, *, window: int = WINDOW) -> LanguageModel:
    """Return a random language model without words."""
    return LanguageModel(tiny_model(family, window=window))
