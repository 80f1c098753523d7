"""Meetings mixed from clips of single speakers, and who speaks when in them.

Everything follows from a seed: the speakers, whose turn it is, how long it lasts, the
pauses and overlaps between turns, and how loud each speaker is.  A clip is cut into
phrases at its pauses, and a turn is some phrases of a clip.  Who speaks when is told by
the energy of the clean clips: a phrase is a stretch without a pause of 0.3 s.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.api import Samples
from engine.data.audio import samples_of_clip
from engine.data.manifest import Clip

RATE: Final = 16_000
FRAME: Final = 320
"""Samples of which the energy is taken, 20 ms."""
BELOW_DB: Final = 35.0
"""So far below a clip's loudest frame nobody speaks."""
PAUSE_FRAMES: Final = 15
"""0.3 s; a shorter one is within a phrase."""
TURN_S: Final = 5.0
"""A turn's mean length, drawn from an exponential distribution ..."""
LEAST_TURN_S: Final = 1.0
MOST_TURN_S: Final = 20.0
GAP_S: Final = (0.3, 0.5)
"""... and the gap behind it from a normal one: mean and deviation; below 0, two speak
at once."""
GAPS_S: Final = (-1.0, 2.0)
LEVEL_DB: Final = 3.0
"""How much louder or quieter than the others a speaker is, at most."""
LOUDNESS: Final = 0.05
"""Root mean square of speech, of full scale."""
NOISE: Final = 0.0005
"""Root mean square of the white noise beneath all: 40 dB below."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A stretch in which someone speaks, in samples."""

    speaker: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Meeting:
    """What is heard, and who speaks when."""

    samples: Samples
    spoken: tuple[Spoken, ...]

    @property
    def speakers(self) -> list[str]:
        """Those who speak."""
        return sorted({spoken.speaker for spoken in self.spoken})


def mix_meetings(
    clips: Sequence[Clip], *, counts: Sequence[int], length_s: float, seed: int
) -> Iterator[Meeting]:
    """Yield a meeting for each number of speakers in `counts`.

    All speakers of the clips come up before one comes up again.  A clip is heard once,
    as long as there are others of its speaker.
    """
    rng = np.random.default_rng(seed)
    by_speaker: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        by_speaker[str(clip.facts["speaker"])].append(clip)
    voices = {
        name: _Voice(rng.permutation(np.array(found, object)).tolist())
        for name, found in sorted(by_speaker.items())
    }
    waiting: list[str] = []
    for count in counts:
        if len(waiting) < count:
            others = [name for name in voices if name not in waiting]
            waiting += rng.permutation(others).tolist()
        chosen, waiting = waiting[:count], waiting[count:]
        yield _mix({name: voices[name] for name in chosen}, length_s, rng)


class _Voice:
    """The phrases of a speaker, clip by clip, over and over."""

    def __init__(self, clips: list[Clip]) -> None:
        self._clips, self._next = clips, 0
        self._phrases: list[Samples] = []

    def turn(self, length_s: float) -> list[Samples]:
        """Return phrases of one clip that make about so long a turn."""
        while not self._phrases:
            clip = self._clips[self._next % len(self._clips)]
            self._next += 1
            self._phrases = phrases(samples_of_clip(clip))
        turn = [self._phrases.pop(0)]
        while self._phrases and sum(map(len, turn)) < length_s * RATE:
            turn.append(self._phrases.pop(0))
        return turn


def phrases(samples: Samples) -> list[Samples]:
    """Return the phrases of a clip, scaled to one loudness, without what is between."""
    bounds = list(_stretches(_loud(samples)))
    if not bounds:
        return []
    spoken = np.concatenate([samples[start:end] for start, end in bounds])
    scale = LOUDNESS / max(float(np.sqrt(np.mean(spoken**2))), 1e-6)
    return [samples[start:end] * scale for start, end in bounds]


def _loud(samples: Samples) -> NDArray[np.bool_]:
    """Return for each frame whether someone speaks in it."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.mean(frames**2, axis=1)
    return power > power.max(initial=0.0) * 10 ** (-BELOW_DB / 10)


def _stretches(loud: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield where someone speaks, in samples; short pauses do not count."""
    start = last = None
    for index in np.flatnonzero(loud):
        if last is not None and index - last > PAUSE_FRAMES:
            yield start * FRAME, (last + 1) * FRAME
            start = None
        start = index if start is None else start
        last = index
    if last is not None:
        yield start * FRAME, (last + 1) * FRAME


def _mix(
    voices: dict[str, _Voice], length_s: float, rng: np.random.Generator
) -> Meeting:
    length = round(length_s * RATE)
    samples = rng.normal(0.0, NOISE, length).astype(np.float32)
    level = {n: 10 ** (rng.uniform(-LEVEL_DB, LEVEL_DB) / 20) for n in voices}
    spoken: list[Spoken] = []
    position, name = round(0.5 * RATE), ""
    while True:
        name = str(rng.choice([other for other in voices if other != name]))
        wanted_s = float(np.clip(rng.exponential(TURN_S), LEAST_TURN_S, MOST_TURN_S))
        for phrase in voices[name].turn(wanted_s):
            end = position + len(phrase)
            if end > length:
                return Meeting(samples, tuple(spoken))
            samples[position:end] += phrase * level[name]
            spoken.append(Spoken(name, position, end))
            position = end + round(rng.uniform(0.1, 0.6) * RATE)
        position = spoken[-1].end + round(
            float(np.clip(rng.normal(*GAP_S), *GAPS_S)) * RATE
        )
        position = max(position, spoken[-1].start)
