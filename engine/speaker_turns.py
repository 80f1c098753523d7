"""The speakers of one session: audio of its segments in, turns out.

    samples ─▶ windows of 1.6 s, every 0.4 s ─▶ voices ─▶ speakers ─▶ turns
                                        engine/voices.py   engine/speakers.py

Windows do not reach over the border of a segment.  What it holds of a voice are the
numbers of the last ten minutes, and sums; it writes nothing down, and `close` forgets
all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from engine.api import Samples, SegmentSpeakers, SpeakerNews, Turn
from engine.speakers import Clusters, Labels, Rules, Voices, runs
from engine.voices import WIDTH, VoiceEncoder

WINDOW_SAMPLES: Final = 25_600
"""1.6 s, what the encoder was trained on."""
HOP_SAMPLES: Final = 6_400
"""0.4 s: a border between two voices is found to about half of it."""
LEAST_SAMPLES: Final = 6_400
"""A segment of less than 0.4 s has no voice that could be told."""


@dataclass(slots=True)
class _Segment:
    held: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    """Its last samples, those that a window may still need."""
    length: int = 0
    """Samples heard."""
    centres: list[float] = field(default_factory=list)
    """Of its windows, in samples."""
    ended: bool = False

    def window(self, start: int) -> Samples:
        """Return the window that begins at a sample; shorter if the segment is."""
        first = start - (self.length - len(self.held))
        return self.held[first : first + WINDOW_SAMPLES]


class LocalSpeakers:
    """Implements `engine.api.Speakers`."""

    def __init__(
        self, encoder: VoiceEncoder, most: int, rules: Rules | None = None
    ) -> None:
        self._encoder = encoder
        self._clusters = Clusters(most, rules)
        self._segments: dict[int, _Segment] = {}

    def enrol(self, samples: Samples) -> int:
        """Know somebody by their voice; see `engine.api.Speakers`."""
        last = max(0, len(samples) - WINDOW_SAMPLES)
        starts = {*range(0, last + 1, WINDOW_SAMPLES // 2), last}
        windows = [samples[start : start + WINDOW_SAMPLES] for start in sorted(starts)]
        return self._clusters.enrol(self._embed(windows))

    def push(self, segment: int, samples: Samples) -> SpeakerNews:
        """Hear more of a segment; see `engine.api.Speakers`."""
        known = self._segments.setdefault(segment, _Segment())
        known.held = np.concatenate([known.held, samples])
        known.length += len(samples)
        windows = []
        while (
            start := len(known.centres) * HOP_SAMPLES
        ) + WINDOW_SAMPLES <= known.length:
            known.centres.append(start + WINDOW_SAMPLES / 2)
            windows.append(known.window(start))
        known.held = known.held[-WINDOW_SAMPLES:]
        if not windows:
            return SpeakerNews()
        return self._told(self._clusters.add(segment, self._embed(windows)))

    def end(self, segment: int) -> SpeakerNews:
        """End a segment; see `engine.api.Speakers`."""
        known = self._segments.get(segment)
        if known is None:
            return SpeakerNews()
        known.ended = True
        self._close_windows(segment, known)
        changed = set(self._clusters.end(segment))
        news = self._told(sorted({segment} | changed))
        kept = self._clusters.segments
        for number in [n for n, s in self._segments.items() if s.ended]:
            if number not in kept:
                del self._segments[number]
        return news

    def close(self) -> None:
        """Forget all voices."""
        self._segments.clear()
        self._clusters = Clusters(1)

    def _close_windows(self, segment: int, known: _Segment) -> None:
        """Add the window that ends where the segment does, unless that was the last."""
        start = max(0, known.length - WINDOW_SAMPLES)
        end_of_last = known.centres[-1] + WINDOW_SAMPLES / 2 if known.centres else 0
        if known.length == end_of_last or known.length < LEAST_SAMPLES:
            return
        known.centres.append((start + known.length) / 2)
        self._clusters.add(segment, self._embed([known.window(start)]))

    def _embed(self, windows: list[Samples]) -> Voices:
        stacked = torch.from_numpy(np.stack(windows).astype(np.float32))
        voices: Voices = self._encoder.embed(stacked).cpu().numpy()
        assert voices.shape[1] == WIDTH, "a voice has 256 numbers"
        return voices

    def _told(self, segments: list[int]) -> SpeakerNews:
        return SpeakerNews(
            segments=tuple(
                SegmentSpeakers(segment=number, turns=self._turns(number))
                for number in segments
            ),
            joined=tuple(self._clusters.joined()),
        )

    def _turns(self, number: int) -> tuple[Turn, ...]:
        """Return the turns of a segment, as its windows are sorted now."""
        segment = self._segments[number]
        if not segment.centres:
            return (Turn(speaker=0, start=0, end=segment.length),)
        labels = self._clusters.labels(number)
        return turns_of(segment.centres, labels, segment.length)


def turns_of(centres: Sequence[float], labels: Labels, length: int) -> tuple[Turn, ...]:
    """Return the turns of a segment: borders lie between the centres of windows.

    Args:
        centres: Of its windows, in samples of the segment.
        labels: A speaker a window.
        length: Of the segment, in samples.
    """
    places: NDArray[np.float64] = np.array(centres)
    borders = [0, *((places[1:] + places[:-1]) / 2).tolist(), length]
    return tuple(
        Turn(speaker=label, start=round(borders[start]), end=round(borders[end]))
        for label, start, end in runs(labels)
    )
