"""Checkpoints in the official layouts, small enough to write in a test."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.beats import Beats, BeatsConfig
from engine.qformer import Bridge, BridgeConfig
from tests.checkout import ROOT

LAYERS = 3
TINY = BridgeConfig(
    speech_width=10, audio_width=6, width=24, ffn_width=20, llm_width=16
)
PREFIX = "llama_model.base_model.model.model.layers"
NUM_EXTRAS = LAYERS + 11 + 1
TINY_BEATS = BeatsConfig(
    embed_dim=8,
    encoder_layers=12,
    encoder_embed_dim=16,
    encoder_ffn_embed_dim=12,
    encoder_attention_heads=2,
    conv_pos=4,
    conv_pos_groups=2,
    num_buckets=8,
    predictor_class=5,
)


def key_list(name: str) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of one of the lists of official tensors."""
    lines = (ROOT / "tests" / "data" / name).read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return {
        row[0]: tuple(int(size) for size in row[1].strip("[]").split(","))
        for row in rows
    }


def lora_state(
    targets: tuple[str, ...] = ("self_attn.q_proj", "self_attn.v_proj"),
    *,
    rank: int = 2,
    width: int = TINY.llm_width,
) -> dict[str, Tensor]:
    """Return random adapters of all layers, each target as wide as the model."""
    names = [f"{PREFIX}.{n}.{target}" for n in range(LAYERS) for target in targets]
    return {
        **{f"{n}.lora_A.default.weight": torch.randn(rank, width) for n in names},
        **{f"{n}.lora_B.default.weight": torch.randn(width, rank) for n in names},
    }


def extras_state() -> dict[str, Tensor]:
    """Return what the original saves without need; tied tables are one tensor."""
    table = torch.randn(8, 2)
    return {
        **{
            f"{PREFIX}.{n}.self_attn.rotary_emb.inv_freq": torch.rand(4)
            for n in range(LAYERS)
        },
        **{
            f"beats.encoder.layers.{n}.self_attn.relative_attention_bias.weight": table
            for n in range(1, 12)
        },
        "speech_Qformer.bert.embeddings.position_ids": torch.arange(9)[None],
    }


def model_state(config: BridgeConfig = TINY) -> dict[str, Tensor]:
    """Return what an official file has under `model`."""
    return {**Bridge(config).state_dict(), **lora_state(), **extras_state()}


def official_file(path: Path, model: dict[str, Any], **others: Any) -> Path:
    """Write a file as the original's trainer does; return its path."""
    trainer = {
        "optimizer": {"state": {0: {"step": torch.tensor(7.0)}}, "param_groups": []},
        "config": {"model": {"lora_alpha": 32, "second_per_window": 0.333333}},
        "scaler": None,
        "epoch": 3,
    }
    torch.save({"model": model, **trainer, **others}, path)
    return path


def beats_file(path: Path, **others: Any) -> Path:
    """Write a tiny, fine-tuned BEATs; return its path."""
    config = TINY_BEATS
    cfg = {name: getattr(config, name) for name in config.__dataclass_fields__}
    content = {
        "cfg": {**cfg, "finetuned_model": True, "dropout": 0.0},
        "model": Beats(config).state_dict(),
        "label_dict": {0: "/m/09x0r", 1: "/m/05zppz"},
    }
    torch.save({**content, **others}, path)
    return path
