"""Which sounds are heard that are no speech, of those that a model was taught.

    scores of a passage, one a class ─▶ the likeliest of each kind ─▶ onsets ─▶ Sound

No I/O.  Classes whose captions begin alike up to a colon (`music: cello`, `music:
flute`) are of one kind: one of them is heard at a time, and the one that goes on stays
as long as it may.  The one without a colon (`music`) is told where no other is sure.
"""

from collections.abc import Sequence

from engine.api import SoundClass
from stream.onsets import OnsetRules, OnsetTracker, Span
from stream.sound_events import Sound


class SoundTeller:
    """Follows the scores of some classes of sounds."""

    def __init__(self, classes: Sequence[SoundClass], rules: OnsetRules) -> None:
        """Begin with nothing heard."""
        self._classes, self._rules = tuple(classes), rules
        self.names = tuple(one.label for one in self._classes)
        """What is weighed in each passage; the scores come in this order."""
        self._onsets = [OnsetTracker(rules) for _ in classes]
        self._kinds: dict[str, list[int]] = {}
        """Numbers of the classes of each kind."""
        for number, one in enumerate(self._classes):
            kind = one.caption.partition(":")[0]
            self._kinds.setdefault(kind, []).append(number)

    def push(self, start: int, end: int, scores: Sequence[float]) -> list[Sound]:
        """Take the scores of the next passage; return what has begun, or is over.

        Args:
            start: Of the passage, in samples of the stream.
            end: The same.
            scores: Of each class, 0 to 1.
        """
        likeliest = {self._chosen(kind, scores) for kind in self._kinds.values()}
        spans = [
            onsets.push(start, end, score if number in likeliest else 0.0)
            for number, (onsets, score) in enumerate(
                zip(self._onsets, scores, strict=True)
            )
        ]
        return self._told(spans)

    def flush(self) -> list[Sound]:
        """End what goes on."""
        return self._told([onsets.flush() for onsets in self._onsets])

    def _chosen(self, kind: Sequence[int], scores: Sequence[float]) -> int:
        """Return which class of a kind is heard, if any is."""
        special = [n for n in kind if ":" in self._classes[n].caption] or kind
        for number in special:
            onsets = self._onsets[number]
            if onsets.goes_on and scores[number] >= self._rules.release:
                return number
        likeliest = max(special, key=lambda number: scores[number])
        general = next((n for n in kind if n not in special), likeliest)
        is_sure = scores[likeliest] >= self._rules.threshold
        return likeliest if is_sure else general

    def _told(self, spans: Sequence[Span | None]) -> list[Sound]:
        told = [
            Sound(
                seq=0,
                label=one.label,
                text=one.caption,
                score=round(span.score, 4),
                start=span.start,
                end=span.end,
                complete=span.complete,
            )
            for one, span in zip(self._classes, spans, strict=True)
            if span is not None
        ]
        # What is over comes before what begins in its place.
        return sorted(told, key=lambda sound: not sound.complete)
