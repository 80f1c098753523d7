"""How a meeting is heard for `tests/diarise.py`: live as a server does it, and offline.

Nothing of captions, and nothing of scores.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

from engine.api import Turn, UtteranceOptions
from engine.speaker_turns import HOP_SAMPLES, WINDOW_SAMPLES, LocalSpeakers, turns_of
from engine.voices import VoiceEncoder
from stream.audio import FRAME_SAMPLES, SAMPLE_RATE, Frame, to_float, to_pcm
from stream.jobs import HearAudio, MakeFinal, OpenUtterance
from stream.segmenter import (
    SegmentAudio,
    SegmentEnded,
    Segmenter,
    SegmenterConfig,
    SegmentStarted,
)
from stream.vad import WebRtcVoiceDetector
from stream.voices import VoiceBook
from tests.meetings import Meeting

MOST: Final = 8
"""Speakers that are told apart: clients' default, not the number that there are."""
GRID: Final = 1_600
"""Samples; 0.1 s, the moments of which it is told when they settled."""
ALIKE_FROM: Final = 0.62
"""Mean cosine from which offline clustering joins two clusters; chosen by --tuning."""
SMOOTHED: Final = 5
"""Windows whose majority offline clustering takes."""

Spans = list[tuple[int, int, int]]
"""Start and end in samples of the meeting, and a speaker."""


@dataclass(slots=True)
class Heard:
    """What was told of a meeting."""

    live: Spans = field(default_factory=list)
    at_once: Spans = field(default_factory=list)
    offline: Spans = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    audio_s: float = 0.0
    taken_s: float | None = None


class Remembering:
    """An encoder of voices that keeps what it computed."""

    def __init__(self, encoder: VoiceEncoder, kept: Path | None) -> None:
        """Begin.

        Args:
            encoder: Computes.
            kept: A file of what it computed of the same windows, if it is there.
        """
        self._encoder, self._kept = encoder, kept
        self.voices: list[torch.Tensor] = []
        self._known: torch.Tensor | None = None
        if kept is not None and kept.exists():
            self._known = torch.from_numpy(np.load(kept))
        self._given = 0

    @property
    def computes(self) -> bool:
        """Whether it does not only repeat."""
        return self._known is None

    def embed(self, windows: torch.Tensor) -> torch.Tensor:
        """Return what the encoder does, or did."""
        if self._known is None:
            voices = self._encoder.embed(windows)
        else:
            voices = self._known[self._given : self._given + len(windows)]
        self._given += len(windows)
        self.voices.append(voices)
        return voices

    def close(self) -> None:
        """Write down what was computed; see that all that was known was wanted."""
        if self._known is not None:
            assert self._given == len(self._known), f"{self._kept} is of other windows"
        elif self._kept is not None:
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(self._kept, torch.cat(self.voices).numpy())


class Moments:
    """What is told of each moment of a meeting, and since when."""

    def __init__(self, length: int) -> None:
        self._labels = np.zeros(length // GRID, np.intp)
        self._since = np.zeros(length // GRID)

    def tell(self, start: int, turns: Sequence[Turn], now: int) -> None:
        """Take the turns of a segment that begins at `start`, told at `now`."""
        for turn in turns:
            moments = slice((start + turn.start) // GRID, (start + turn.end) // GRID)
            changed = self._labels[moments] != turn.speaker
            self._since[moments] = np.where(changed, now, self._since[moments])
            self._labels[moments] = turn.speaker

    def delays_s(self) -> list[float]:
        """Return how long after it was heard each moment settled."""
        told = np.flatnonzero(self._labels)
        delays: list[float] = ((self._since[told] - told * GRID) / SAMPLE_RATE).tolist()
        return delays


def hear(meeting: Meeting, encoder: Remembering) -> Heard:
    """Hear a meeting as a server does: what is told is told of pieces as they come."""
    speakers = LocalSpeakers(encoder, MOST)  # type: ignore[arg-type]
    segmenter, detector = Segmenter(SegmenterConfig()), WebRtcVoiceDetector()
    book, told = VoiceBook(), Moments(len(meeting.samples))
    heard = Heard(audio_s=len(meeting.samples) / SAMPLE_RATE)
    starts: dict[int, int] = {}
    turns: dict[int, tuple[Turn, ...]] = {}
    windows: dict[int, list[torch.Tensor]] = {}
    pcm = to_pcm(meeting.samples)

    taken_s = 0.0

    def run(now: int) -> None:
        nonlocal taken_s
        while (work := book.next_turn()) is not None:
            began, before = time.process_time(), len(encoder.voices)
            news = [*speakers.push(work.segment, to_float(work.pcm)).segments]
            if work.is_last:
                news += speakers.end(work.segment).segments
            taken_s += time.process_time() - began
            windows.setdefault(work.segment, []).extend(encoder.voices[before:])
            for one in news:
                turns[one.segment] = one.turns
                told.tell(starts[one.segment], one.turns, now)
            if work.is_last:
                heard.at_once += spans(starts, {work.segment: turns[work.segment]})

    def follow(events: Sequence[object], now: int) -> None:
        for event in events:
            match event:
                case SegmentStarted(segment=number, start=start):
                    starts[number] = start
                    opened = OpenUtterance(
                        number, UtteranceOptions(), False, speakers=MOST
                    )
                    book.add("", opened)
                case SegmentAudio(segment=number, frame=frame):
                    book.add("", HearAudio(number, frame.pcm))
                case SegmentEnded(segment=number):
                    book.add("", MakeFinal(number))
            run(now)

    for start in range(0, len(meeting.samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        frame = Frame(start, pcm[2 * start : 2 * (start + FRAME_SAMPLES)])
        follow(segmenter.push(frame, voiced=detector.is_voiced(frame)), frame.end)
    follow(segmenter.flush(), len(meeting.samples))
    heard.live, heard.delays_s = spans(starts, turns), told.delays_s()
    heard.taken_s = taken_s if encoder.computes else None
    heard.offline = spans(starts, offline_turns(windows, turns))
    return heard


def spans(starts: dict[int, int], turns: dict[int, tuple[Turn, ...]]) -> Spans:
    """Return the turns of segments, in samples of the meeting."""
    return [
        (starts[number] + turn.start, starts[number] + turn.end, turn.speaker)
        for number, found in turns.items()
        for turn in found
        if turn.speaker
    ]


def offline_turns(
    windows: dict[int, list[torch.Tensor]], live: dict[int, tuple[Turn, ...]]
) -> dict[int, tuple[Turn, ...]]:
    """Return the turns by clustering all windows of a meeting at once."""
    found = {n: torch.cat(voices).numpy() for n, voices in windows.items() if voices}
    clustering = AgglomerativeClustering(
        n_clusters=None,
        metric="cosine",
        linkage="average",
        distance_threshold=1.0 - ALIKE_FROM,
    )
    labels = 1 + clustering.fit_predict(np.concatenate(list(found.values())))
    told, position = {}, 0
    for number, voices in found.items():
        length = live[number][-1].end
        own = smoothed(labels[position : position + len(voices)])
        position += len(voices)
        told[number] = turns_of(centres_of(len(voices), length), own, length)
    return told


def centres_of(count: int, length: int) -> list[float]:
    """Return the centres of a segment's windows: the last one ends where it does."""
    window = min(WINDOW_SAMPLES, length)
    centres = [i * HOP_SAMPLES + window / 2 for i in range(count)]
    return [*centres[:-1], min(centres[-1], length - window / 2)]


def smoothed(labels: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return for each window what most of its neighbours are."""
    half = SMOOTHED // 2
    return np.array(
        [
            np.bincount(labels[max(0, i - half) : i + half + 1]).argmax()
            for i in range(len(labels))
        ],
        np.intp,
    )
