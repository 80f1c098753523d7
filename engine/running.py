"""Mean and deviation of all frames since a stream began, at the end of each window.

Sums are carried on, so a window costs the same however late it comes, and what was
pushed in pieces is what one push of everything gives.  Knows no model.
"""

import torch
from torch import Tensor


class RunningStatistics:
    """Statistics of one stream, or of several side by side.

    Sums of windows are added in double precision: a deviation is a small difference of
    large sums.
    """

    def __init__(self) -> None:
        self._count = 0
        self._sums: Tensor | None = None  # of frames and of their squares, (B, 1, 2·D)

    def push(self, windows: Tensor) -> Tensor:
        """Add windows; return what is known at the end of each.

        Args:
            windows: Frames without overlap, (B, W, F, D), W at least 1.

        Returns:
            Means, then standard deviations, (B, W, 2·D), in the type of the windows.
        """
        sums = torch.cat([windows.sum(2), windows.square().sum(2)], -1).double()
        if self._sums is not None:
            sums[:, :1] += self._sums
        sums = sums.cumsum(1)
        self._sums = sums[:, -1:].detach()
        num_windows, size = windows.shape[1:3]
        counts = self._count + size * torch.arange(
            1, num_windows + 1, device=windows.device
        )
        self._count += num_windows * size
        mean, square = (sums / counts[:, None]).chunk(2, -1)
        deviation = (square - mean.square()).clamp(min=0.0).sqrt()
        return torch.cat([mean, deviation], -1).to(windows.dtype)
