"""Clips in noise and in rooms: the same labels, harder to hear.

Noise is made (white, pink, brown) or taken from clips that are no speech; a room is an
impulse response of decaying noise behind the direct sound, which is how a small room
sounds to a microphone.  The direct sound stays where it was, so times stay right.

Source:
    Exponentially decaying noise as late reverberation: Polack 1988.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from engine.api import Samples
from engine.data.audio import samples_of_clip
from engine.data.making.made import (
    Made,
    at_level,
    fitting,
    made_of,
    one_of,
    one_split,
    pick,
    within_full_scale,
)
from engine.data.manifest import Clip, ManifestError
from engine.geometry import SAMPLE_RATE

SNR_DB = (0.0, 20.0)
REVERBERATION_S = (0.1, 0.6)  # until 60 dB softer
DIRECT_DB = (0.0, 12.0)  # how much louder the direct sound is than all echoes
COLOURS = {"white": 0.0, "pink": 1.0, "brown": 2.0}
"""How fast power falls with frequency: 1 / f to this."""


def noisy(
    clips: Sequence[Clip], count: int, rng: np.random.Generator
) -> Iterator[Made]:
    """Yield clips with noise, in a room, or both, in turn.

    Clips without a text are noise for those that have one; where there are none, noise
    is made.

    Raises:
        ManifestError: If no clip has a text, or splits differ.
    """
    fit = fitting(clips)
    spoken = [clip for clip in fit if clip.facts.get("text")]
    sounds = [c for c in fit if not c.facts.get("text") and not c.facts.get("speaker")]
    if not spoken:
        raise ManifestError("there is no clip with a text to put into noise")
    split = one_split([*spoken, *sounds])
    for number in range(count):
        clip = one_of(rng, spoken)
        samples, used = samples_of_clip(clip), [clip]
        facts = dict(clip.facts) | {"set": "made_noisy", "split": split}
        if number % 3 != 0:
            samples, facts["reverberation_s"] = in_a_room(samples, rng)
        if number % 3 != 1:
            if sounds:
                used += pick(rng, sounds, 1)
                noise = looped(samples_of_clip(used[1]), len(samples), rng)
            else:
                colour = one_of(rng, list(COLOURS))
                noise = coloured(len(samples), COLOURS[colour], rng)
            snr_db = float(rng.uniform(*SNR_DB))
            samples = samples + at_level(noise, samples, -snr_db)
            facts["snr_db"] = round(snr_db, 1)
        facts["source"] = made_of(*used)
        facts.pop("start_s", None)
        yield Made(within_full_scale(samples.astype(np.float32)), facts)


def coloured(length: int, slope: float, rng: np.random.Generator) -> Samples:
    """Return noise whose power falls by frequency to the power of `slope`."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    frequencies = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    frequencies[0] = frequencies[1] if length > 1 else 1.0
    shaped = np.fft.irfft(spectrum / frequencies ** (slope / 2), n=length)
    return (0.1 * shaped / (np.std(shaped) + 1e-12)).astype(np.float32)


def looped(samples: Samples, length: int, rng: np.random.Generator) -> Samples:
    """Return a stretch of a sound, begun anywhere and repeated as needed."""
    start = int(rng.integers(len(samples)))
    turned = np.roll(samples, -start)
    return np.resize(turned, length).astype(np.float32)


def in_a_room(
    samples: Samples,
    rng: np.random.Generator,
    *,
    reverberation_s: tuple[float, float] = REVERBERATION_S,
    direct_db: tuple[float, float] = DIRECT_DB,
) -> tuple[Samples, float]:
    """Return samples as they sound in a room, and its reverberation time in s.

    Args:
        samples: (n,), as they are afterwards: the last echoes are cut off.
        rng: Draws the room.
        reverberation_s: The least and the most time until echoes are 60 dB softer.
        direct_db: The least and the most that the direct sound is louder than echoes.
    """
    decay_s = float(rng.uniform(*reverberation_s))
    length = round(decay_s * SAMPLE_RATE)
    time_s = np.arange(1, length) / SAMPLE_RATE
    tail = rng.normal(size=length - 1) * 10 ** (-3 * time_s / decay_s)
    louder_db = rng.uniform(*direct_db)
    tail *= np.sqrt(10 ** (-louder_db / 10) / np.sum(tail**2))
    response = np.concatenate([[1.0], tail])
    size = 1 << (len(samples) + length - 1).bit_length()
    product = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    heard = np.fft.irfft(product, size)[: len(samples)]
    return heard.astype(np.float32), round(decay_s, 3)
