"""The last seconds of everything heard, voiced or not.

Pure: frames in, samples out.  It knows no segments.
"""

from collections import deque
from typing import Final

from stream.audio import FRAME_SAMPLES, SAMPLE_RATE, Frame

MAX_SECONDS: Final = 30
"""Of one question: what SALMONN's encoders hear at once.  About 1 MB a session."""


class RecentAudio:
    """Holds the last seconds of a stream; what is older is forgotten."""

    def __init__(self, seconds: float = MAX_SECONDS) -> None:
        """Begin with nothing; hold so many seconds, rounded up to a frame."""
        most = -(-round(seconds * SAMPLE_RATE) // FRAME_SAMPLES)
        self._frames: deque[Frame] = deque(maxlen=most)

    @property
    def end(self) -> int:
        """The sample after the last that was heard, as its frames count them."""
        return self._frames[-1].end if self._frames else 0

    def push(self, frame: Frame) -> None:
        """Add the next frame."""
        self._frames.append(frame)

    def last(self, seconds: float, *, until: int | None = None) -> tuple[int, bytes]:
        """Return audio in whole frames, `seconds` of it or what there is.

        Args:
            seconds: How much, rounded up to a frame.
            until: The sample before which it ends, the start of a frame; None means
                the end.

        Returns:
            The position of its first sample, and s16le samples, perhaps none.
        """
        end = self.end if until is None else until
        start = end - round(seconds * SAMPLE_RATE)
        frames = [
            frame for frame in self._frames if start < frame.end and frame.start < end
        ]
        first = frames[0].start if frames else end
        return first, b"".join(frame.pcm for frame in frames)
