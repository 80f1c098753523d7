"""Half an hour of speech, music and pauses, with sounds at known times.

Everything follows from a seed.  Beneath lie blocks, one after the other: sentences that
are read, music, a pause.  Over them, one at a time, lie sounds, louder than what is
beneath by a ratio that is drawn.  Where a sound is heard is told by its own energy:
clips are padded with silence.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from engine.api import Samples
from engine.data.audio import samples_of_clip
from engine.data.manifest import Clip

RATE: Final = 16_000
FRAME: Final = 320
"""Samples of which the energy is taken, 20 ms."""
BELOW_DB: Final = 40.0
"""So far below its loudest frame a sound is not heard."""
SPEECH_SETS: Final = ("librispeech_devclean20",)
MUSIC_SETS: Final = ("game_music",)
SOUND_SETS: Final = ("esc10", "instruments", "philharmonia", "donateacry")
MUSIC: Final = "music"
SPEECH_S: Final = (10.0, 30.0)
"""How long a block is: at least, at most."""
MUSIC_S: Final = (10.0, 20.0)
PAUSE_S: Final = (3.0, 8.0)
SHARES: Final = {"speech": 0.5, "music": 0.2, "pause": 0.3}
"""How often a block is of each kind."""
BETWEEN_S: Final = (4.0, 14.0)
"""From the end of a sound to the next one."""
MOST_S: Final = 6.0
"""Of a sound; what is longer is cut."""
RATIO_DB: Final = (0.0, 20.0)
"""How much louder a sound is than what is beneath."""
LOUDNESS: Final = 0.02
"""Root mean square of speech and of music, of full scale: of sounds ten
times as loud, hardly any are clipped."""
NOISE: Final = 0.0002
"""The same of the noise beneath all: 40 dB below."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A stretch in which something is heard, in samples."""

    label: str
    """Of a sound; of speech, its text."""
    start: int
    end: int
    ratio_db: float | None = None
    """How much louder it is than what is beneath; None of what is beneath."""


@dataclass(slots=True)
class Scene:
    """What is heard, and what there is in it."""

    samples: Samples
    speech: list[Heard] = field(default_factory=list)
    sounds: list[Heard] = field(default_factory=list)
    """With the blocks of music, under the label `music`."""


class _Clips:
    """Clips of one kind, in an order that is drawn, over and over."""

    def __init__(self, clips: Sequence[Clip], rng: np.random.Generator) -> None:
        ordered = sorted(clips, key=lambda clip: clip.path)
        self._clips = rng.permutation(np.array(ordered, object)).tolist()
        self._next = 0

    def __len__(self) -> int:
        return len(self._clips)

    def take(self) -> Clip:
        clip: Clip = self._clips[self._next % len(self._clips)]
        self._next += 1
        return clip


def mix_scene(clips: Sequence[Clip], *, length_s: float, seed: int) -> Scene:
    """Return a scene of clips of the sets above; other clips are not used.

    All labels come up as often as each other, as far as that goes.

    Raises:
        ValueError: If there are no sentences, or no sounds.
    """
    rng = np.random.default_rng(seed)
    length = round(length_s * RATE)
    scene = Scene(rng.normal(0.0, NOISE, length).astype(np.float32))
    speech, music = (
        _Clips(_of(clips, sets), rng) for sets in (SPEECH_SETS, MUSIC_SETS)
    )
    by_label: dict[str, list[Clip]] = defaultdict(list)
    for clip in _of(clips, SOUND_SETS):
        by_label[str(clip.facts["label"])].append(clip)
    if not speech or not by_label:
        raise ValueError("a scene wants sentences and sounds; one of them is missing")
    sounds = {label: _Clips(found, rng) for label, found in sorted(by_label.items())}
    _lay_blocks(scene, speech, music, rng)
    _lay_sounds(scene, sounds, rng)
    scene.samples = np.clip(scene.samples, -1.0, 1.0 - 1 / 32_768)
    return scene


def _of(clips: Sequence[Clip], sets: Sequence[str]) -> list[Clip]:
    return [clip for clip in clips if clip.facts.get("set") in sets]


def _lay_blocks(
    scene: Scene, speech: _Clips, music: _Clips, rng: np.random.Generator
) -> None:
    length, position = len(scene.samples), 0
    kinds = [kind for kind in SHARES if kind != "music" or len(music)]
    shares = np.array([SHARES[kind] for kind in kinds])
    while position < length:
        kind = str(rng.choice(kinds, p=shares / shares.sum()))
        if kind == "pause":
            position += round(rng.uniform(*PAUSE_S) * RATE)
        elif kind == "music":
            wanted = round(rng.uniform(*MUSIC_S) * RATE)
            piece = _scaled(samples_of_clip(music.take())[:wanted])
            end = _lay(scene, piece, position)
            if end > position:
                scene.sounds.append(Heard(MUSIC, position, end))
            position = end + RATE
        else:
            block_end = position + round(rng.uniform(*SPEECH_S) * RATE)
            while position < min(block_end, length):
                clip = speech.take()
                piece = _scaled(samples_of_clip(clip))
                if position + len(piece) > length:  # a sentence is whole, or not there
                    position = length
                    break
                end = _lay(scene, piece, position)
                scene.speech.append(Heard(str(clip.facts["text"]), position, end))
                position = end + round(rng.uniform(0.3, 1.5) * RATE)


def _lay_sounds(
    scene: Scene, sounds: dict[str, _Clips], rng: np.random.Generator
) -> None:
    length = len(scene.samples)
    position = round(rng.uniform(*BETWEEN_S) * RATE)
    waiting: list[str] = []
    while True:
        waiting = waiting or rng.permutation(sorted(sounds)).tolist()
        label = waiting.pop()
        piece = heard_part(samples_of_clip(sounds[label].take()))
        piece = piece[: round(MOST_S * RATE)]
        if position + len(piece) > length:
            break
        beneath = scene.samples[position : position + len(piece)]
        ratio_db = float(rng.uniform(*RATIO_DB))
        wanted = max(_rms(beneath), 4 * NOISE) * 10 ** (ratio_db / 20)
        piece = piece * (wanted / max(_rms(piece), 1e-6))
        end = _lay(scene, piece, position)
        scene.sounds.append(Heard(label, position, end, round(ratio_db, 1)))
        position = end + round(rng.uniform(*BETWEEN_S) * RATE)
    scene.sounds.sort(key=lambda heard: heard.start)


def heard_part(samples: Samples) -> Samples:
    """Return a clip from the first frame in which it is heard to the last."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    loud = np.flatnonzero(power > power.max(initial=0.0) * 10 ** (-BELOW_DB / 10))
    if not len(loud):
        return samples
    return samples[loud[0] * FRAME : (loud[-1] + 1) * FRAME]


def _lay(scene: Scene, piece: Samples, position: int) -> int:
    """Add a piece to what is heard, as far as it fits; return where it ends."""
    end = min(len(scene.samples), position + len(piece))
    scene.samples[position:end] += piece[: max(0, end - position)]
    return max(position, end)


def _scaled(samples: Samples) -> Samples:
    return samples * (LOUDNESS / max(_rms(samples), 1e-6))


def _rms(samples: Samples) -> float:
    return (
        float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))
        if len(samples)
        else 0.0
    )
