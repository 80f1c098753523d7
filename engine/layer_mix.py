"""Several layers of an encoder as one: standardised, then mixed as is learned.

What is said is heard best in the last layers, how it is said and what else sounds in
earlier ones.  Knows neither the encoder nor what its frames are used for.
"""

import torch
from torch import Tensor, nn

LOUDEST = 8.0  # deviations; a few channels of a few frames are far louder


class LayerMix(nn.Module):
    """Several layers of an encoder, standardised, and their learned mix."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        # Of the training clips: some channels are a hundred times as loud as others.
        self.register_buffer("mean", torch.zeros(layers * width))
        self.register_buffer("deviation", torch.ones(layers * width))
        self.weight = nn.Parameter(torch.zeros(layers))

    def standardise(self, frames: Tensor) -> Tensor:
        """Return frames (B, T, L·D), each channel about as large as any other."""
        return ((frames - self.mean) / self.deviation).clamp(-LOUDEST, LOUDEST)

    def forward(self, frames: Tensor) -> Tensor:
        """Return the mix, (B, T, D), of standardised frames, (B, T, L·D)."""
        layers = frames.unflatten(-1, (len(self.weight), -1))
        return torch.einsum("btld,l->btd", layers, self.weight.softmax(0))
