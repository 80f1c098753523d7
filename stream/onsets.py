"""When something that is scored again and again begins, and when it is over.

    score    .1  .8  .9  .6  .6  .3  .1 …
                 ├── onset       └── end, told with the first score below the release
    passages [    [    [   …              each scored as a whole, they overlap

Pure: scores of passages in, spans out.  A passage that scores high has it somewhere,
and the one before had it not: so it began where that one ended.  The first passage that
scores low again begins behind it.  A threshold to begin, a lower one to end, a least
duration and a pause keep scores that waver from being told again and again.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class OnsetRules:
    """From when on something counts as heard."""

    threshold: float
    """Score from which it may have begun."""
    release: float
    """Score below which it is over; at most the threshold."""
    min_samples: int = 0
    """How much must be heard of it before it is told."""
    cooldown_samples: int = 0
    """How long after its end nothing new begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch in which something is heard, in samples."""

    start: int
    end: int
    score: float
    """The highest so far."""
    complete: bool
    """Whether it is over; else it has just begun."""


class OnsetTracker:
    """Follows the scores of one thing."""

    def __init__(self, rules: OnsetRules) -> None:
        """Begin with nothing heard."""
        self.rules = rules
        self._before = 0
        """Where the last passage ended."""
        self._free_from = 0
        """Before this sample nothing new begins."""
        self._span: Span | None = None
        """What is going on, told or not."""
        self._first_end = 0
        """Where the passage ended in which it was heard first."""
        self._is_told = False

    @property
    def goes_on(self) -> bool:
        """Whether it is heard now, told or not."""
        return self._span is not None

    def push(self, start: int, end: int, score: float) -> Span | None:
        """Take the score of the next passage; return what has begun, or is over.

        Args:
            start: Of the passage; not before the last one's.
            end: The same; behind `start` and the last one's.
            score: Of the whole passage.
        """
        before, self._before = self._before, end
        if self._span is None:
            if score < self.rules.threshold or end <= self._free_from:
                return None
            began = max(start, before, self._free_from)
            self._span = Span(start=began, end=end, score=score, complete=False)
            self._first_end = end
        elif score < self.rules.release:
            return self._over(min(before, max(start, self._first_end)))
        else:
            highest = max(score, self._span.score)
            self._span = replace(self._span, end=end, score=highest)
        if self._is_told or end - self._span.start < self.rules.min_samples:
            return None
        self._is_told = True
        return self._span

    def flush(self) -> Span | None:
        """End what goes on, where it was heard last; return it if it was told."""
        return None if self._span is None else self._over(self._span.end)

    def _over(self, end: int) -> Span | None:
        assert self._span, "something goes on"
        span, is_told = self._span, self._is_told
        self._span, self._is_told = None, False
        if not is_told:
            return None
        self._free_from = end + self.rules.cooldown_samples
        return replace(span, end=end, complete=True)
