"""What was said lately, as far as a session knows it, for questions.

Pure: it is told of segments, and answers about passages.
"""

from collections import deque
from typing import Final

from stream.answers import PendingSegment
from stream.questions import Passage

MOST_SEGMENTS: Final = 64
"""That are remembered: what is asked about may lie far behind when it is asked."""
LONGEST_WORD: Final = 20
"""Characters; what has no space for longer is a script that needs none."""


class RecentWords:
    """Looks up what was said in a passage."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._segments: deque[PendingSegment] = deque(maxlen=MOST_SEGMENTS)

    def begin(self, segment: PendingSegment) -> None:
        """Note that a segment has begun."""
        self._segments.append(segment)

    def of(self, number: int) -> str | None:
        """Return the words of a segment; None if nothing is known of them now."""
        known = (s for s in self._segments if s.number == number)
        return next((s.words for s in known), None)

    def within(self, passage: Passage) -> str:
        """Return the words of a passage that is no segment; empty if none are known."""
        found = (_shared(segment, passage) for segment in self._segments)
        return " ".join(filter(None, found))


def _shared(segment: PendingSegment, passage: Passage) -> str:
    """Return the words of a segment that lie in a passage, by how far it reaches in.

    Where each was spoken is not known while it goes on: they are taken to be spoken
    evenly.
    """
    text, end = segment.words or "", segment.end or passage.end
    length = end - segment.start
    first = max(0, passage.start - segment.start)
    last = min(length, passage.end - segment.start)
    if first >= last:
        return ""
    return text[_word(text, first / length) : _word(text, last / length)].strip()


def _word(text: str, share: float) -> int:
    """Return where the word begins that stands at a share of a text."""
    place = round(share * len(text))
    start = text.rfind(" ", 0, place) + 1
    return place if place == len(text) or place - start > LONGEST_WORD else start
