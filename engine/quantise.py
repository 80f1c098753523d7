"""Eight-bit weights for linear layers on the CPU.

Weights are int8 with a scale for each output; activations are quantised as they come,
with a scale for each row.  PyTorch's own kernels do the work (docs/adr/0010).

On processors without instructions for it (VNNI), those kernels add pairs of products
in 16 bits, and large ones saturate.  There, activations get 7 bits, which always fit.
"""

import warnings
from functools import cache

import torch
from torch import Tensor, nn

LARGEST = 127.0
SMALLEST = 1e-8  # that is divided by


class Int8Linear(nn.Module):
    """A linear layer with int8 weights; takes and gives float32."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        bias = None if linear.bias is None else linear.bias.detach().float()
        self._packed = _pack(linear.weight.detach().float(), bias)
        self._bias = bias
        self._reduced = kernels_saturate()

    def forward(self, x: Tensor) -> Tensor:
        """Return (…, D_out) for (…, D_in)."""
        rows = x.reshape(-1, x.shape[-1])
        out = self._product(rows) if len(rows) == 1 else self._scaled_product(rows)
        return out.reshape(*x.shape[:-1], -1)

    def _product(self, rows: Tensor) -> Tensor:
        out: Tensor = torch.ops.quantized.linear_dynamic(
            rows, self._packed, self._reduced
        )
        return out

    def _scaled_product(self, rows: Tensor) -> Tensor:
        """Return the product of rows, each as fine as if it were alone.

        The kernels have one scale for a call: one loud row, and the others are coarse.
        """
        largest = rows.abs().amax(-1, keepdim=True).clamp_(min=SMALLEST)
        out = self._product(rows / largest)
        if self._bias is None:
            return out.mul_(largest)
        return out.sub_(self._bias).mul_(largest).add_(self._bias)


@cache
def kernels_saturate() -> bool:
    """Return whether products of the largest activations and weights are cut off."""
    width = 64
    product = torch.ops.quantized.linear_dynamic(
        torch.ones(1, width), _pack(torch.ones(1, width), None)
    )
    return product.item() < 0.9 * width


def _pack(weight: Tensor, bias: Tensor | None) -> torch.ScriptObject:
    """Return weights, (D_out, D_in), as the kernels take them."""
    scales = (weight.abs().amax(1).clamp(min=SMALLEST) / LARGEST).double()
    zeros = torch.zeros(len(scales), dtype=torch.long)
    with warnings.catch_warnings():
        # Quantised tensors are to leave PyTorch; the version is pinned below that.
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        rounded = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(rounded, bias)
    return packed


def quantise(model: nn.Module, *, but: str | None = None) -> None:
    """Replace every linear layer of a model, in place.

    Args:
        model: In float32.
        but: Beginning of the names of modules that stay as they are.
    """
    for name, child in list(model.named_children()):
        if but is not None and name.startswith(but):
            continue
        if isinstance(child, nn.Linear):
            setattr(model, name, Int8Linear(child))
        else:
            quantise(child, but=but)
