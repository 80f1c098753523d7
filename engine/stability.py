"""Which tokens of a hypothesis will not change.

Pure: tokens in, tokens out.  It knows neither the model nor what a token means.
"""

from collections.abc import Sequence


class LocalAgreement:
    """Call a token stable once hypotheses agree on it for long enough.

    The decoder forces the stable tokens at the start of the next hypothesis, so
    the stable prefix only grows.

    Source:
        Liu et al. 2020, arXiv:2005.11185; used so by whisper_streaming,
        arXiv:2307.14743.  They ask for two hypotheses in a row; ours come at
        different distances, so that we ask for an age.
    """

    def __init__(self, min_age: int, stable: Sequence[int] = ()) -> None:
        """Begin with nothing said, or with what is stable already.

        Args:
            min_age: How much audio must have been heard since a hypothesis first
                said what is now called stable, in samples.
            stable: Tokens that were told before.
        """
        self._min_age = min_age
        self._recent: list[tuple[int, tuple[int, ...]]] = []
        self.stable = self.newest = tuple(stable)

    def update(self, tokens: Sequence[int], *, heard: int, num_sure: int) -> None:
        """Take the newest hypothesis; extend the stable prefix by what it confirms.

        Args:
            tokens: The hypothesis; it begins with the stable prefix.
            heard: How much audio it is about, in samples; at least as much as the
                last one's.
            num_sure: How many of its first tokens may become stable at all; those
                after may be about a word that is not spoken to its end.
        """
        self.newest = tuple(tokens)
        assert self.newest[: len(self.stable)] == self.stable, (
            "stable tokens not forced"
        )
        oldest = heard - self._min_age
        old = [i for i, (at, _) in enumerate(self._recent) if at <= oldest]
        if old:
            del self._recent[: old[-1]]
            agreed = min(common_prefix(said, self.newest) for _, said in self._recent)
            count = max(min(agreed, num_sure), len(self.stable))
            self.stable = self.newest[:count]
        self._recent.append((heard, self.newest))


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return how many leading elements two sequences share."""
    count = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        count += 1
    return count
