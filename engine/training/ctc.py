"""CTC of the bridge's embeddings against the language model's own words.

    embeddings (B, N, D) ─▶ similarity with the rows of the words ─▶ (B, N, 1 + V)

Before a language model can read embeddings they must mean something to it: each is
drawn towards the embedding of the token that is heard there, or towards a learned blank
where nothing new is.  Only tokens that occur in the training texts take part.  The rows
stay as they are.  Knows neither audio nor how texts become tokens.
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLANK = 0
SHARPNESS = 64.0  # of similarities, -1 to 1, at first; with 20 none could be sure


class Rows:
    """The tokens that take part, and their places in the head."""

    def __init__(self, tokens: Iterable[int]) -> None:
        self.tokens = tuple(sorted(set(tokens)))
        self._places = {token: place for place, token in enumerate(self.tokens, 1)}

    def places(self, tokens: Iterable[int]) -> list[int]:
        """Return the places of tokens; those that take no part are left out."""
        return [self._places[token] for token in tokens if token in self._places]

    def at(self, places: Iterable[int]) -> list[int]:
        """Return the tokens of places."""
        return [self.tokens[place - 1] for place in places]


class TokenHead(nn.Module):
    """Log-probabilities of the blank and of each row, by similarity."""

    rows: Tensor

    def __init__(self, rows: Tensor) -> None:
        """Take the rows of the language model's embeddings, (V, D); they stay."""
        super().__init__()
        unit = F.normalize(rows.float(), dim=-1)
        self.register_buffer("rows", unit, persistent=False)
        self.blank = nn.Parameter(torch.randn(1, rows.shape[1]))
        self.bias = nn.Parameter(torch.zeros(1 + len(rows)))
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return log-probabilities, (B, N, 1 + V), for embeddings, (B, N, D)."""
        unit = F.normalize(embeddings, dim=-1)
        # Apart, or a gradient for all rows would be computed and thrown away.
        blank = unit @ F.normalize(self.blank, dim=-1).T
        similar = torch.cat([blank, unit @ self.rows.T], -1)
        return (self.sharpness * similar + self.bias).log_softmax(-1)


def ctc_loss(
    logprobs: Tensor, lengths: Sequence[int], targets: Sequence[Sequence[int]]
) -> Tensor:
    """Return the loss for a token; all clips of the batch count alike.

    A sound's two words weigh as much as a sentence's twenty.

    Args:
        logprobs: (B, N, 1 + V).
        lengths: Embeddings of each clip; what stands behind them is padding.
        targets: Places of each clip's tokens.  One that is too long to be aligned
            counts as learned.
    """
    flat = torch.tensor([place for target in targets for place in target])
    return F.ctc_loss(
        logprobs.transpose(0, 1),
        flat,
        torch.tensor(lengths),
        torch.tensor([len(target) for target in targets]),
        blank=BLANK,
        reduction="mean",
        zero_infinity=True,
    )


def greedy_places(logprobs: Tensor, length: int) -> list[int]:
    """Return what a clip, (N, 1 + V), says: repeats merged, blanks left out."""
    best = torch.unique_consecutive(logprobs[:length].argmax(-1))
    return [place for place in best.tolist() if place != BLANK]
