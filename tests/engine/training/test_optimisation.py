"""The schedule and the groups of weights."""

import math

import pytest
import torch
from torch import nn

from engine.training.config import OptimiserConfig
from engine.training.optimisation import groups, rate_at

OFFICIAL = OptimiserConfig()
STEPS = 90_000


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1e-6),
        (1500, 1e-6 + (3e-5 - 1e-6) / 2),
        (2999, 1e-6 + (3e-5 - 1e-6) * 2999 / 3000),
        # The cosine counts the warm-up's steps, too.
        (3000, 1e-5 + 2e-5 * 0.5 * (1 + math.cos(math.pi / 30))),
        (45_000, 2e-5),
        (90_000, 1e-5),
    ],
)
def test_the_rate_is_the_originals(step, rate):
    assert rate_at(step, STEPS, OFFICIAL) == pytest.approx(rate, rel=1e-12)


def test_without_warm_up_it_begins_at_its_peak():
    rate = rate_at(0, 12, OptimiserConfig(warm_up_steps=0))
    assert rate == pytest.approx(3e-5)


def test_vectors_biases_and_norms_do_not_decay():
    parameters = {
        "speech_query_tokens": torch.zeros(1, 1, 4),
        "proj.weight": torch.zeros(4, 4),
        "proj.bias": torch.zeros(4),
        "q_proj.lora_A.default.weight": torch.zeros(2, 4),
        "ln_speech.weight": torch.zeros(4),
        "ln_odd.weight": torch.zeros(4, 4),
        "LayerNorm.weight": torch.zeros(4),
        "relative_bias.weight": torch.zeros(4, 4),
    }
    named = {name: nn.Parameter(value) for name, value in parameters.items()}
    decayed, kept = groups(named.items(), 0.05)
    names = {id(parameter): name for name, parameter in named.items()}
    assert [names[id(p)] for p in decayed["params"]] == [
        "speech_query_tokens",
        "proj.weight",
        "q_proj.lora_A.default.weight",
    ]
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.05, 0.0)
    assert len(kept["params"]) == 5


def test_a_group_without_weights_is_left_out():
    assert len(groups([("bias", nn.Parameter(torch.zeros(2)))], 0.05)) == 1
