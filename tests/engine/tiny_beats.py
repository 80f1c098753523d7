"""A BEATs of some thousand random weights, as official ones or of our own kind."""

import torch

from engine.beats import Beats, BeatsConfig

WIDTH = 32
LOOKS_AHEAD = {"block_columns": 0}
LOOKS_BACK = {"block_columns": 3}


def tiny_beats(**shape) -> Beats:
    config = BeatsConfig(
        embed_dim=24,
        encoder_layers=3,
        encoder_embed_dim=WIDTH,
        encoder_ffn_embed_dim=48,
        encoder_attention_heads=4,
        conv_pos=20,  # looks 9 tokens ahead: two columns
        conv_pos_groups=4,
        num_buckets=32,
        max_distance=60,
        predictor_class=5,
        **shape,
    )
    generator = torch.Generator().manual_seed(0)
    beats = Beats(config).eval().requires_grad_(False)
    for parameter in beats.parameters():  # far enough from zero that all of it tells
        parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    return beats
