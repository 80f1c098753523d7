"""A language model in eight or four bits, by bitsandbytes.

    8 bits   LLM.int8() (arXiv:2208.07339): outlying channels stay in 16 bits
    4 bits   NF4 (arXiv:2305.14314): blocks of 64 weights, a float32 for each

Linear layers become smaller as they are read, so the model is never there whole; head,
embeddings and norms stay in 16 bits, which is also what it computes in.  Adapters are
put in afterwards and stay as they are.  It is for GPUs.  On the CPU, four bits work,
and eight are `engine.eight_bits`' affair.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from transformers import BitsAndBytesConfig

from engine.errors import PackageError
from engine.llm import DTYPES, Dtype, LanguageModel, load_llm

PACKAGE, EXTRA = "bitsandbytes", "bits"
Bits = Literal["8bit", "4bit"]
NAMES: Final[dict[Bits, str]] = {"8bit": "eight bits", "4bit": "four bits"}


def load_in(bits: Bits, folder: Path, *, device: str) -> LanguageModel:
    """Load a language model in few bits; see `engine.llm.load_llm`.

    Args:
        bits: How many.
        folder: As transformers writes it.
        device: As torch names it.

    Raises:
        PackageError: If bitsandbytes is not installed.
        WeightsError: As `load_llm` does.
    """
    if find_spec(PACKAGE) is None:
        raise PackageError(f"{NAMES[bits]} on {device}", PACKAGE, EXTRA)
    dtype = computed_in(device)
    kept = BitsAndBytesConfig(
        load_in_8bit=bits == "8bit",
        load_in_4bit=bits == "4bit",
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=DTYPES[dtype],
    )
    return load_llm(folder, dtype, device=device, kept=kept)


def linear_in(bits: Bits, weight: Tensor, *, device: torch.device) -> nn.Module:
    """Return a linear layer without a bias that is kept in few bits.

    Args:
        bits: How many.
        weight: Its weight, (out, in), on the CPU, in what is computed in; left as it
            is.
        device: Where the layer is to be.

    Raises:
        PackageError: If bitsandbytes is not installed.
    """
    if find_spec(PACKAGE) is None:
        raise PackageError(f"{NAMES[bits]} on {device}", PACKAGE, EXTRA)
    from bitsandbytes.nn import modules as few

    outputs, inputs = weight.shape
    layer: Any
    kept: Any
    if bits == "8bit":
        layer = few.Linear8bitLt(
            inputs, outputs, bias=False, has_fp16_weights=False, threshold=6.0
        )
        kept = few.Int8Params(
            weight.clone(), requires_grad=False, has_fp16_weights=False
        )
    else:
        layer = few.Linear4bit(
            inputs,
            outputs,
            bias=False,
            compute_dtype=weight.dtype,
            compress_statistics=False,
            quant_type="nf4",
        )
        kept = few.Params4bit(
            weight.clone(),
            requires_grad=False,
            compress_statistics=False,
            quant_type="nf4",
            module=layer,
        )
    layer.weight = kept
    made: nn.Module = layer.to(device)
    return made


def computed_in(device: str) -> Dtype:
    """Return in what a device computes: float16, as the original, or bfloat16."""
    return "bfloat16" if device == "cpu" else "float16"
