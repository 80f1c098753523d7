"""Spectra that are drawn anew."""

import random

import numpy as np
import pytest
import torch

from engine.fbank import MEAN, SPREAD, fbank
from engine.training.spectra import SILENCE, excerpt, holed, louder, together, varied

RATE = 16_000
TIME = np.arange(RATE) / RATE


def heard(samples):
    return fbank(torch.from_numpy(samples.astype(np.float32)))


def noise(seed, level=0.05):
    return level * np.random.default_rng(seed).normal(size=RATE)


def energy(spectrum):
    return float((spectrum * SPREAD + MEAN).exp().sum())


def test_a_gain_is_what_louder_samples_give():
    one = noise(0)
    expected = heard(one * 10 ** (-6 / 20))
    assert torch.allclose(louder(heard(one), -6.0), expected, atol=1e-4)


def test_a_tilt_leaves_the_middle_and_lifts_the_highest_bin():
    spectrum = heard(noise(1))
    change = louder(spectrum, 0.0, 8.0) - spectrum
    gained = louder(spectrum, 4.0) - spectrum
    assert torch.allclose(change[:, -1], gained[:, -1], atol=1e-6)
    assert torch.allclose(change[:, 0], -gained[:, 0], atol=1e-6)
    assert change[:, 63].abs().max() < 0.01


def test_nothing_is_softer_than_silence():
    silent = heard(np.zeros(RATE))
    assert silent.min() == pytest.approx(SILENCE, abs=1e-4)
    assert louder(silent, -20.0).min() == pytest.approx(SILENCE)


def test_two_sounds_at_once_are_nearly_their_sum():
    # Two noises: in all their phases do not matter, in a single bin they do.
    one, other = noise(2), noise(3, 0.03)
    both = together(heard(one), heard(other))
    assert energy(both) == pytest.approx(energy(heard(one + other)), rel=0.05)
    assert (both >= torch.maximum(heard(one), heard(other)) - 1e-5).all()
    assert (both - heard(one)).mean() > 0.01


def test_silence_adds_nothing():
    spectrum = heard(noise(4))
    beside = together(spectrum, torch.full_like(spectrum, SILENCE))
    assert torch.allclose(beside, spectrum, atol=1e-5)


def test_an_excerpt_is_a_part():
    spectrum = torch.arange(50.0)[:, None].expand(50, 128)
    part = excerpt(spectrum, 20, random.Random(0))
    assert part.shape == (20, 128)
    assert torch.equal(part[:, 0], part[0, 0] + torch.arange(20.0))


def test_a_short_clip_is_heard_again_and_again():
    spectrum = torch.arange(8.0)[:, None].expand(8, 128)
    part = excerpt(spectrum, 20, random.Random(0))[:, 0]
    assert part.shape == (20,)
    assert torch.equal(part[:8].sort().values, torch.arange(8.0))
    assert torch.equal(part[8:16], part[:8])


def test_a_bark_between_silences_is_heard_more_often_than_by_chance():
    spectrum = torch.full((100, 128), SILENCE)
    spectrum[50] = 0.0
    drawn = random.Random(0)
    found = [excerpt(spectrum, 20, drawn).max() == 0.0 for _ in range(400)]
    by_chance = 20 / 81
    assert np.mean(found) == pytest.approx(1 - (1 - by_chance) ** 2, abs=0.07)


def test_the_seed_decides():
    spectrum = heard(noise(5))

    def changed(seed):
        drawn = random.Random(seed)
        return holed(varied(spectrum, drawn), drawn)

    assert torch.equal(changed(1), changed(1))
    assert not torch.equal(changed(1), changed(2))


def test_holes_hide_moments_and_bins():
    spectrum = heard(noise(6))
    mean = spectrum.mean(0)
    hidden = holed(spectrum, random.Random(3)) == mean
    assert hidden.all(1).any()
    assert hidden.all(0).any()
    assert hidden.float().mean() < 0.6
