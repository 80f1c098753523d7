"""Clips as a far microphone and a narrow channel pass them on.

    overdrive ─▶ room ─▶ band ─▶ tilt ─▶ noise ─▶ level

Whoever learns from clean, close recordings alone takes speech in a hall for something
else.  Each step but the tilt and the level is left out of some copies.  Knows no
labels: who calls says what may be overdriven.

Source:
    Edges that are 3 dB down, flat between them: Butterworth 1930.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from engine.api import Samples
from engine.data.making.made import at_level, one_of, power, within_full_scale
from engine.data.making.rooms import COLOURS, coloured, in_a_room
from engine.geometry import SAMPLE_RATE

Range = tuple[float, float]
"""The least and the most of what is drawn evenly."""

SHARES: Final[Mapping[str, float]] = {
    "overdrive": 0.35,
    "room": 0.65,
    "band": 0.45,
    "noise": 0.7,
}
"""Of the copies, so many meet each step; the first, of what may be overdriven."""
DRIVE_DB: Final = (-10.0, 22.0)
"""How loud samples are before `tanh`, beside 1: from warm to nearly square."""
REVERBERATION_S: Final = (0.15, 1.3)
"""Until 60 dB softer: from a furnished room to a hall."""
DIRECT_DB: Final = (-4.0, 10.0)
"""How much louder the direct sound is than all echoes."""
LOW_HZ: Final = (80.0, 500.0)
HIGH_HZ: Final = (2600.0, 6500.0)
"""Edges of a band; a telephone's are 300 and 3400 Hz."""
LOW_ORDER: Final = 3
HIGH_ORDER: Final = 4
"""6 dB an octave each, beyond the edge."""
TILT_DB: Final = 10.0
SNR_DB: Final = (4.0, 26.0)
LEVEL_DBFS: Final = (-40.0, -18.0)
"""Root mean square beside full scale: 16 dB below −24 to 6 dB above it."""


def heard_far(
    samples: Samples, rng: np.random.Generator, *, may_overdrive: bool = False
) -> tuple[Samples, dict[str, Any]]:
    """Return samples as heard far away, (n,) → (n,), and how.

    How: `drive_db`, `reverberation_s`, `band_hz` as its two edges, `noise` and
    `snr_db`, each where it was drawn.  Of digital silence only noise is heard.
    """
    how: dict[str, Any] = {}
    if may_overdrive and rng.random() < SHARES["overdrive"]:
        drive_db = float(rng.uniform(*DRIVE_DB))
        samples = overdriven(samples, drive_db)
        how["drive_db"] = round(drive_db, 1)
    if rng.random() < SHARES["room"]:
        samples, how["reverberation_s"] = in_a_room(
            samples, rng, reverberation_s=REVERBERATION_S, direct_db=DIRECT_DB
        )
    if rng.random() < SHARES["band"]:
        low_hz, high_hz = float(rng.uniform(*LOW_HZ)), float(rng.uniform(*HIGH_HZ))
        samples = banded(samples, low_hz, high_hz)
        how["band_hz"] = [round(low_hz), round(high_hz)]
    samples = tilted(samples, float(rng.uniform(-TILT_DB, TILT_DB)))
    samples, noise = in_noise(samples, rng, SHARES["noise"], tuple(COLOURS), SNR_DB)
    level_dbfs = float(rng.uniform(*LEVEL_DBFS))
    louder = samples * np.sqrt(10 ** (level_dbfs / 10) / power(samples))
    return within_full_scale(louder.astype(np.float32)), how | noise


def overdriven(samples: Samples, drive_db: float) -> Samples:
    """Return samples bent as an amplifier bends them that is driven too hard.

    Args:
        samples: Of any level, which they keep.
        drive_db: Root mean square of what enters `tanh`, beside 1; 0 dB is audible.
    """
    entering = samples * (10 ** (drive_db / 20) / np.sqrt(power(samples)))
    return at_level(np.tanh(entering), samples, 0.0)


def banded(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    """Return what lies between two frequencies; at either one, half of the power.

    Times stay right: no frequency is late.
    """
    size = 1 << (2 * len(samples) - 1).bit_length()  # the end rings into zeros
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    above = (low_hz / np.maximum(frequencies, 1e-3)) ** (2 * LOW_ORDER)
    below = (frequencies / high_hz) ** (2 * HIGH_ORDER)
    gains = 1 / np.sqrt((1 + above) * (1 + below))
    passed = np.fft.irfft(np.fft.rfft(samples, size) * gains, size)[: len(samples)]
    return passed.astype(np.float32)


def tilted(samples: Samples, tilt_db: float) -> Samples:
    """Return samples with a spectrum that rises by so many decibels to its end.

    Evenly over frequencies in Hz; the middle one stays as loud as it was.
    """
    spectrum = np.fft.rfft(samples)
    place = np.linspace(-0.5, 0.5, len(spectrum))
    turned = np.fft.irfft(spectrum * 10 ** (tilt_db * place / 20), len(samples))
    return turned.astype(np.float32)


def in_noise(
    samples: Samples,
    rng: np.random.Generator,
    share: float,
    colours: Sequence[str],
    snr_db: Range,
) -> tuple[Samples, dict[str, Any]]:
    """Return samples with noise behind them, or, but for a share, as they were.

    With them `noise`, one of the colours, and `snr_db`, drawn from a range; nothing if
    there is no noise.
    """
    if rng.random() >= share:
        return samples, {}
    colour = one_of(rng, colours)
    drawn_db = float(rng.uniform(*snr_db))
    noise = coloured(len(samples), COLOURS[colour], rng)
    heard = samples + at_level(noise, samples, -drawn_db)
    return heard, {"noise": colour, "snr_db": round(drawn_db, 1)}
