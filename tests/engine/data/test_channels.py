"""What a far microphone hears: echoes, bands and levels, measured on the samples."""

import numpy as np
import pytest

from engine.data.making.channels import (
    HIGH_HZ,
    LOW_HZ,
    banded,
    heard_far,
    overdriven,
    tilted,
)
from engine.data.making.made import power
from engine.data.making.rooms import in_a_room
from tests.engine.data.layouts import RATE


def seeded(seed=0):
    return np.random.default_rng(seed)


def tone(pitch_hz, seconds=1.0):
    time_s = np.arange(round(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * pitch_hz * time_s)).astype(np.float32)


def hiss(seconds=1.0, seed=99):
    return seeded(seed).normal(0, 0.05, round(seconds * RATE)).astype(np.float32)


def click(seconds=2.0):
    samples = np.zeros(round(seconds * RATE), np.float32)
    samples[0] = 0.5
    return samples


def gain_db(after, before):
    return 10 * np.log10(power(after) / power(before))


def decay_s(heard):
    """Reverberation time, from how the energy that is still to come falls.

    Between 5 and 25 dB below all echoes, as ISO 3382 has T20.
    """
    to_come = np.cumsum(np.square(heard[1:], dtype=np.float64)[::-1])[::-1]
    level_db = 10 * np.log10(to_come / to_come[0] + 1e-12)
    (used,) = np.nonzero((level_db < -5) & (level_db > -25))
    slope, _ = np.polyfit(used / RATE, level_db[used], 1)
    return -60 / slope


def band_gain_db(after, before, pitch_hz):
    """How much louder what lies within 40 Hz of a pitch became."""
    frequencies = np.fft.rfftfreq(len(before), 1 / RATE)
    near = np.abs(frequencies - pitch_hz) < 40
    energies = [np.square(np.abs(np.fft.rfft(s)))[near].sum() for s in (after, before)]
    return 10 * np.log10(energies[0] / energies[1])


def drawn(wanted, unwanted, samples, *, count=8, **options):
    """Copies that met some steps and not others, and how."""
    found = (heard_far(samples, seeded(seed), **options) for seed in range(2000))
    fit = (f for f in found if wanted <= f[1].keys() and not unwanted & f[1].keys())
    return [next(fit) for _ in range(count)]


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.2])
def test_echoes_fade_as_fast_as_is_said(seconds):
    heard, said_s = in_a_room(click(), seeded(), reverberation_s=(seconds, seconds))
    assert said_s == seconds
    assert decay_s(heard) == pytest.approx(seconds, rel=0.1)


@pytest.mark.parametrize("louder_db", [-4.0, 0.0, 10.0])
def test_the_direct_sound_is_so_much_louder_than_its_echoes(louder_db):
    heard, _ = in_a_room(click(), seeded(), direct_db=(louder_db, louder_db))
    echoes = np.square(heard[1:], dtype=np.float64).sum()
    assert 10 * np.log10(heard[0] ** 2 / echoes) == pytest.approx(louder_db, abs=0.05)


def test_a_click_that_is_heard_far_has_the_echoes_that_it_is_said_to_have():
    samples = np.roll(click(), 1000)
    copies = drawn({"reverberation_s"}, {"noise", "band_hz"}, samples)
    for heard, how in copies:
        # Before that there is what the tilt makes of the click itself.
        assert decay_s(heard[1008:]) == pytest.approx(how["reverberation_s"], rel=0.15)
    assert max(how["reverberation_s"] for _, how in copies) > 0.6


def test_at_the_edges_of_a_band_half_the_power_is_left():
    expected = {50: -36.1, 200: -3.01, 1000: 0.0, 4000: -3.01, 7800: -23.3}
    for pitch_hz, expected_db in expected.items():
        samples = tone(pitch_hz)
        found = gain_db(banded(samples, 200.0, 4000.0), samples)
        # A tone that begins and ends at once has a little of every frequency.
        assert found == pytest.approx(expected_db, abs=0.05 if found > -20 else 2.0)


def test_a_band_moves_nothing_in_time():
    samples = np.roll(click(), 1000)
    assert np.abs(banded(samples, 300.0, 3400.0)).argmax() == 1000
    # Nothing that rings at the end is heard at the beginning.
    assert np.abs(banded(samples[:1001], 80.0, 6500.0)[:100]).max() < 1e-3


def test_a_copy_has_the_band_that_it_is_said_to_have():
    samples = hiss(2.0)
    steps = {"reverberation_s", "noise"}
    for heard, how in drawn({"band_hz"}, steps, samples, count=12):
        low_hz, high_hz = how["band_hz"]
        assert LOW_HZ[0] <= low_hz <= LOW_HZ[1]
        assert HIGH_HZ[0] <= high_hz <= HIGH_HZ[1]
        # Of the tilt nothing is left in the bend between three frequencies.
        step = min(low_hz - 45, 150)
        bend = bend_db(heard, samples, low_hz, step)
        assert bend == pytest.approx(bend_of(low_hz, high_hz, low_hz, step), abs=1.5)
        step = min(7900 - high_hz, high_hz - 600)
        bend = bend_db(heard, samples, high_hz, step)
        assert bend == pytest.approx(bend_of(low_hz, high_hz, high_hz, step), abs=1.0)


def bend_db(after, before, pitch_hz, step_hz):
    below, at, above = (
        band_gain_db(after, before, pitch_hz + side * step_hz) for side in (-1, 0, 1)
    )
    return below - 2 * at + above


def bend_of(low_hz, high_hz, pitch_hz, step_hz):
    middles = pitch_hz + step_hz * np.array([-1.0, 0.0, 1.0])
    pitch = middles[:, None] + np.linspace(-39.5, 39.5, 80)
    left = 1 / (1 + (low_hz / pitch) ** 6) / (1 + (pitch / high_hz) ** 8)
    return 10 * np.log10(left.mean(1)) @ [1, -2, 1]


def test_a_tilt_lifts_one_end_of_the_spectrum_and_lowers_the_other():
    for pitch_hz, expected_db in ((80, -5.94), (4000, 0.0), (7920, 5.94)):
        samples = tone(pitch_hz, 2.0)
        found = gain_db(tilted(samples, 12.0), samples)
        assert found == pytest.approx(expected_db * 0.99, abs=0.1)


def test_what_is_overdriven_has_overtones_and_its_level():
    samples = tone(1000)

    def third_db(heard):
        return band_gain_db(heard, samples, 3000) - band_gain_db(heard, samples, 1000)

    soft, hard = overdriven(samples, -10.0), overdriven(samples, 22.0)
    for heard in (soft, hard):
        assert gain_db(heard, samples) == pytest.approx(0.0, abs=0.01)
    spectrum = np.abs(np.fft.rfft(hard))
    # Of a square wave the third harmonic is a third as loud, and there is no second.
    assert 0.25 < spectrum[3000] / spectrum[1000] < 0.34
    assert spectrum[2000] < 1e-3 * spectrum[1000]
    assert np.abs(np.fft.rfft(soft))[3000] < 0.02 * np.abs(np.fft.rfft(soft))[1000]


def test_only_what_may_be_overdriven_is():
    found = [heard_far(hiss(0.2), seeded(n), may_overdrive=True) for n in range(400)]
    drives = [how["drive_db"] for _, how in found if "drive_db" in how]
    assert 110 < len(drives) < 170
    assert -10 <= min(drives) < -8
    assert 20 < max(drives) <= 22
    assert not any("drive_db" in heard_far(hiss(0.2), seeded(n))[1] for n in range(99))


def test_copies_meet_each_step_as_often_as_is_said():
    samples = hiss(0.5)
    found = [heard_far(samples, seeded(seed)) for seed in range(400)]
    shares = {"reverberation_s": 0.65, "band_hz": 0.45, "noise": 0.7}
    for name, share in shares.items():
        met = sum(name in how for _, how in found)
        assert met == pytest.approx(400 * share, abs=32)
    times = [how["reverberation_s"] for _, how in found if "reverberation_s" in how]
    assert 0.15 <= min(times) < 0.25
    assert 1.2 < max(times) <= 1.3
    ratios = [how["snr_db"] for _, how in found if "snr_db" in how]
    assert 4 <= min(ratios) < 5
    assert 25 < max(ratios) <= 26
    assert {how.get("noise") for _, how in found} == {None, "white", "pink", "brown"}


def test_noise_behind_a_tone_is_as_loud_as_it_is_said_to_be():
    samples = tone(1000, 4.0)
    steps = {"reverberation_s", "band_hz"}
    for heard, how in drawn({"noise"}, steps, samples):
        spectrum = np.square(np.abs(np.fft.rfft(heard * np.hanning(len(heard)))))
        signal = spectrum[3992:4009].sum()
        found = 10 * np.log10(signal / (spectrum.sum() - signal))
        # Brown noise has most of its power in a few waves, which a window weighs.
        assert found == pytest.approx(how["snr_db"], abs=4.0)


def test_copies_are_loud_and_soft_and_never_beyond_full_scale():
    found = [heard_far(hiss(0.5), seeded(seed))[0] for seed in range(200)]
    levels = [10 * np.log10(power(heard)) for heard in found]
    assert -40.1 < min(levels) < -38
    assert -20 < max(levels) < -17.9
    assert all(heard.dtype == np.float32 for heard in found)
    # A lone click that is as loud on average would be.
    peaks = [np.abs(heard_far(click(), seeded(seed))[0]).max() for seed in range(20)]
    assert max(peaks) == pytest.approx(0.99)


def test_a_seed_gives_the_same_samples_and_another_one_others():
    once, again, other = (heard_far(hiss(), seeded(seed)) for seed in (3, 3, 4))
    assert np.array_equal(once[0], again[0])
    assert once[1] == again[1]
    assert not np.array_equal(once[0], other[0])


def test_digital_silence_is_no_error_and_gets_no_sound_but_noise():
    for seed in range(20):
        silent, how = heard_far(np.zeros(RATE, np.float32), seeded(seed))
        assert np.isfinite(silent).all()
        assert silent.any() == ("noise" in how)
