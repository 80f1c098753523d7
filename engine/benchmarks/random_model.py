"""Language models of any shape with random weights, made where they are to run.

In few bits they are made layer by layer, so that they are never there whole.  Layers of
one size then share their values, which costs nothing that a full model would not.
"""

from functools import cache

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from engine.few_bits import Bits, computed_in, linear_in
from engine.llm import DTYPES, Dtype

SPREAD = 0.02  # as transformers initialises


def random_llm(
    config: PreTrainedConfig, kept: Dtype | Bits, device: torch.device
) -> PreTrainedModel:
    """Return a language model of a shape.

    Args:
        config: Its shape.
        kept: In what its linear layers are kept.
        device: Where it is to be.

    Raises:
        PackageError: If so few bits need a package that is not installed.
    """
    if kept == "8bit" or kept == "4bit":
        return _in_few_bits(config, kept, device)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=DTYPES[kept])
    return model.eval().requires_grad_(False)


def _in_few_bits(
    config: PreTrainedConfig, bits: Bits, device: torch.device
) -> PreTrainedModel:
    dtype = DTYPES[computed_in(str(device))]
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    head = model.get_output_embeddings()

    @cache
    def values(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=dtype).normal_(std=SPREAD)

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child is not head:
                layer = linear_in(bits, values(*child.weight.shape), device=device)
                setattr(parent, name, layer)
        for name, parameter in list(parent.named_parameters(recurse=False)):
            if parameter.is_meta:
                made = nn.Parameter(values(*parameter.shape).to(device, copy=True))
                setattr(parent, name, made)
    # Its frequencies are no weights: what makes them is made again.
    rotary = model.base_model.rotary_emb
    with torch.device(device):
        model.base_model.rotary_emb = type(rotary)(config)
    return model.eval().requires_grad_(False)
