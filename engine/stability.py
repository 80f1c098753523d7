"""Which tokens of a hypothesis will not change.

Pure: tokens in, tokens out.  It knows neither the model nor what a token means.
"""

from collections.abc import Sequence


class LocalAgreement:
    """Call a token stable once two hypotheses in a row agree on it.

    The decoder forces the stable tokens at the start of the next hypothesis, so
    the stable prefix only grows.

    Source:
        Liu et al. 2020, arXiv:2005.11185; used so by whisper_streaming,
        arXiv:2307.14743.
    """

    def __init__(self) -> None:
        self.stable: tuple[int, ...] = ()
        self.newest: tuple[int, ...] = ()

    def update(self, tokens: Sequence[int], *, num_sure: int) -> None:
        """Take the newest hypothesis; extend the stable prefix by what it confirms.

        Args:
            tokens: The hypothesis; it begins with the stable prefix.
            num_sure: How many of its first tokens may become stable at all; those
                after may be about a word that is not spoken to its end.
        """
        newest = tuple(tokens)
        assert newest[: len(self.stable)] == self.stable, "stable tokens not forced"
        agreed = min(common_prefix(self.newest, newest), num_sure)
        self.stable = newest[: max(agreed, len(self.stable))]
        self.newest = newest


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many leading elements two sequences share."""
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count
