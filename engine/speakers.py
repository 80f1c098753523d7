"""Who is who among voices: windows of a session are sorted into speakers as they come.

Pure: it knows numbers that stand for voices (engine/voices.py), no audio and no names.
A window has a speaker, counted from 1 and never numbered anew, or 0 while nobody can
tell.

    windows of a segment ─▶ the best path through the speakers, and "somebody new"
                              │ new for long enough: a speaker more
    the segment ends ─▶ centroids ─▶ speakers that turn out to be one are joined
                              └────▶ the last minutes are gone through again

A path pays for each change of speaker, so a turn is not cut by one window that sounds
odd.  What an earlier segment is told to be may change as more is heard: those are the
late corrections.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

Voices = NDArray[np.float32]
"""A row a window, (n, D), each of length 1."""
Labels = NDArray[np.intp]
"""A speaker a window, (n,)."""

UNKNOWN: Final = 0
MAX_RECENT: Final = 1_500
"""Windows that are kept to be gone through again: ten minutes of speech, 1.5 MB.  Of
older ones only their sums are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When two windows are one voice (docs/adr/0031)."""

    new_below: float = 0.70
    """Cosine to all centroids below which it may be somebody new."""
    change_costs: float = 0.25
    """What a change of speaker costs a path, in cosines."""
    founding: int = 4
    """Windows that somebody new must be heard for, one after the other."""
    same_from: float = 0.90
    """Cosine of two centroids from which they are one speaker, were they exact ..."""
    slack: float = 0.28
    """... and how much less will do of one that is a single window; of n, this / √n."""


@dataclass(slots=True)
class _Segment:
    voices: Voices
    labels: Labels
    ended: bool = False


class Clusters:
    """The speakers of a session."""

    def __init__(self, most: int, rules: Rules | None = None) -> None:
        """Begin without speakers.

        Args:
            most: The most speakers; beyond, each window is one of theirs.
            rules: When two windows are one voice.
        """
        self._most, self._rules = most, rules or Rules()
        self._centroids: dict[int, NDArray[np.float64]] = {}
        """By speaker, each of length 1."""
        self._counts: dict[int, float] = {}
        """By speaker, about how many windows it is the mean of."""
        self._older: dict[int, NDArray[np.float64]] = {}
        """By speaker, the sum of windows that are kept no longer."""
        self._segments: dict[int, _Segment] = {}
        self._enrolled: set[int] = set()
        """Speakers that are known by what a client brought of their voices."""
        self._joined: list[tuple[int, int]] = []
        self._num_founded = 0

    @property
    def speakers(self) -> list[int]:
        """Those that are told apart."""
        return sorted(self._centroids)

    @property
    def segments(self) -> set[int]:
        """Those that are kept, and may be told otherwise."""
        return set(self._segments)

    def enrol(self, voices: Voices) -> int:
        """Know somebody by windows of their own; return which speaker that is.

        Somebody who was heard before and is like them, and was not enrolled, is them;
        else they are one more, or, where there is no room, whoever is most like them.
        They are never joined with others who were enrolled, of whom there is one less
        than may be, at most.
        """
        total = voices.astype(np.float64).sum(0)
        self._found(total)
        new, self._counts[new] = self._num_founded, float(np.linalg.norm(total))
        heard = {
            number: self._likeness(number, new)
            for number in self._centroids
            if number != new and number not in self._enrolled
        }
        number = max(heard, key=lambda one: heard[one], default=new)
        if number == new or (heard[number] < 0 and len(self._centroids) <= self._most):
            number = new
        else:
            self._unfound(new)
        self._enrolled.add(number)
        self._older[number] = self._older.get(number, np.zeros_like(total)) + total
        self._centre()
        return number

    def add(self, segment: int, voices: Voices) -> list[int]:
        """Add the next windows of a segment; return the segments whose labels changed.

        While it goes on, its last windows are unknown where they are like nobody yet.
        """
        if segment not in self._segments:
            self._segments[segment] = _Segment(voices[:0], np.zeros(0, np.intp))
        known = self._segments[segment]
        assert not known.ended, "windows of a segment that has ended"
        before = known.labels
        # One by one: who is found must not depend on how many came at once.
        for index in range(len(voices)):
            known.voices = np.concatenate([known.voices, voices[index : index + 1]])
            known.labels = self._sorted(known)
        return [] if np.array_equal(before, known.labels) else [segment]

    def end(self, segment: int) -> list[int]:
        """End a segment; return the segments, of all, whose labels changed."""
        if segment not in self._segments:
            return []
        self._forget()  # before, so that all that changes now can still be told
        known = self._segments[segment]
        known.ended = True
        before = {number: kept.labels for number, kept in self._segments.items()}
        known.labels = self._sorted(known)
        self._settle()
        return [
            number
            for number, kept in self._segments.items()
            if not np.array_equal(before[number], kept.labels)
        ]

    def joined(self) -> list[tuple[int, int]]:
        """Return who was found to be whom since it was asked for last: gone, kept."""
        joined, self._joined = self._joined, []
        return joined

    def labels(self, segment: int) -> Labels:
        """Return the speaker of each window of a segment that is kept."""
        return self._segments[segment].labels

    def _sorted(self, segment: _Segment) -> Labels:
        """Return the labels of a segment's windows; found speakers it lets in."""
        while True:
            path = self._path(segment.voices, may_be_new=self._has_room)
            run = _first_run(path, self._rules.founding)
            if run is None:
                break
            number = self._found(self._seed(segment.voices[run[0] : run[1]]))
            if number not in self._path(segment.voices, may_be_new=self._has_room):
                self._unfound(number)  # nobody is like what they have in common
                break
        if segment.ended and self._centroids:
            return self._path(segment.voices, may_be_new=False)
        return path

    @property
    def _has_room(self) -> bool:
        return len(self._centroids) < self._most

    def _found(self, voice: NDArray[np.float64]) -> int:
        self._num_founded += 1
        self._centroids[self._num_founded] = _unit(voice)
        self._counts[self._num_founded] = 1.0
        return self._num_founded

    def _unfound(self, number: int) -> None:
        del self._centroids[number], self._counts[number]
        self._num_founded -= 1

    def _seed(self, voices: Voices) -> NDArray[np.float64]:
        """Return where to found a speaker, given windows of one or more new ones.

        The window that most others are like, and those that are like it.
        """
        cosines = voices @ voices.T
        alike = cosines[int(cosines.mean(1).argmax())] >= self._rules.new_below
        return voices[alike].astype(np.float64).mean(0)

    def _path(self, voices: Voices, *, may_be_new: bool) -> Labels:
        """Return the labels that fit best, changes paid for; 0 is somebody new.

        Viterbi's algorithm, where each change costs the same.
        """
        numbers = list(self._centroids)
        fits = np.zeros((len(voices), len(numbers)))
        if numbers:
            fits = voices @ np.stack([self._centroids[n] for n in numbers]).T
        if may_be_new or not numbers:
            new = np.full((len(voices), 1), self._rules.new_below)
            fits, numbers = np.concatenate([fits, new], 1), [*numbers, UNKNOWN]
        came_from = np.zeros(fits.shape, np.intp)
        best = np.zeros(len(numbers))
        everyone = np.arange(len(numbers))
        for index, fit in enumerate(fits):
            leader = int(best.argmax())
            changes = best[leader] - self._rules.change_costs > best
            came_from[index] = np.where(changes, leader, everyone)
            best = (
                np.where(changes, best[leader] - self._rules.change_costs, best) + fit
            )
        at = int(best.argmax()) if len(voices) else 0
        labels = np.zeros(len(voices), np.intp)
        for index in range(len(voices) - 1, -1, -1):
            labels[index] = numbers[at]
            at = came_from[index, at]
        return labels

    def _settle(self) -> None:
        """Bring centroids up to date, join speakers, go through what is kept again."""
        self._centre()
        while (pair := self._one_speaker()) is not None:
            self._join(*pair)
            self._centre()
        for segment in self._segments.values():
            if segment.ended and self._centroids:
                segment.labels = self._path(segment.voices, may_be_new=False)
        self._centre()

    def _centre(self) -> None:
        """Compute the centroids from all that is kept, and from what was."""
        sums = {number: total.copy() for number, total in self._older.items()}
        for segment in self._segments.values():
            for number, voices in _inner(segment):
                total = sums.setdefault(number, np.zeros(voices.shape[1]))
                total += voices.sum(0)
        for number, total in sums.items():
            self._centroids[number] = _unit(total)
            self._counts[number] = float(np.linalg.norm(total))

    def _one_speaker(self) -> tuple[int, int] | None:
        """Return the two speakers that are most likely one, if any are."""
        numbers = sorted(self._centroids)
        pairs = [
            (self._likeness(a, b), a, b)
            for i, a in enumerate(numbers)
            for b in numbers[i + 1 :]
            if not {a, b} <= self._enrolled
        ]
        likeness, first, second = max(pairs, default=(-1.0, 0, 0))
        if likeness < 0:
            return None
        return (second, first) if second in self._enrolled else (first, second)

    def _likeness(self, a: int, b: int) -> float:
        """Return by how much two speakers are alike enough to be one; negative if not.

        What few windows tell of a voice is off by more.
        """
        cosine = float(self._centroids[a] @ self._centroids[b])
        count = max(1.0, min(self._counts.get(a, 1.0), self._counts.get(b, 1.0)))
        return cosine - self._rules.same_from + self._rules.slack / count**0.5

    def _join(self, kept: int, other: int) -> None:
        """Make one speaker of two."""
        self._joined.append((other, kept))
        del self._centroids[other], self._counts[other]
        if (older := self._older.pop(other, None)) is not None:
            self._older[kept] = self._older.get(kept, np.zeros_like(older)) + older
        for segment in self._segments.values():
            segment.labels = np.where(segment.labels == other, kept, segment.labels)

    def _forget(self) -> None:
        """Keep no more than the last windows; of older ones, their sums."""
        total = sum(len(segment.labels) for segment in self._segments.values())
        for number in list(self._segments):
            segment = self._segments[number]
            if total <= MAX_RECENT:
                break
            if not segment.ended:
                continue
            for speaker, voices in _inner(segment):
                older = self._older.setdefault(speaker, np.zeros(voices.shape[1]))
                older += voices.sum(0)
            total -= len(segment.labels)
            del self._segments[number]


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def runs(labels: Labels) -> list[tuple[int, int, int]]:
    """Return the label of each run of equal ones, where it begins and where it ends."""
    borders = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return [
        (int(labels[start]), start, end)
        for start, end in pairwise(borders)
        if end > start
    ]


def _first_run(labels: Labels, least: int) -> tuple[int, int] | None:
    """Return the first run of windows of somebody new that is long enough."""
    for label, start, end in runs(labels):
        if label == UNKNOWN and end - start >= least:
            return start, end
    return None


def _inner(segment: _Segment) -> list[tuple[int, Voices]]:
    """Return the windows of each run, without those at a change: they hold two."""
    found = []
    last = len(segment.labels)
    for label, start, end in runs(segment.labels):
        if label == UNKNOWN:
            continue
        inner = slice(start + (start > 0), end - (end < last))
        if inner.stop <= inner.start:
            inner = slice(start, end)
        found.append((label, segment.voices[inner]))
    return found
