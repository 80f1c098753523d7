import numpy as np
import pytest

from stream.audio import FRAME_SAMPLES
from tests.compare_detectors import Sound, hear, in_noise, loud, row_of
from tests.fakes.engine import AnySound

SECOND = 50  # frames


def drawn(drawing):
    """Return samples, a frame a character: loud, soft or silent."""
    levels = {"#": 0.5, "-": 0.001, ".": 0.0}
    return np.repeat(np.array([levels[c] for c in drawing], np.float32), FRAME_SAMPLES)


class OnlyLoud:
    """Calls a frame voiced if it is loud."""

    def is_voiced(self, frame):
        return np.abs(np.frombuffer(frame.pcm, "<i2")).max() > 1000

    def reset(self):
        """Nothing is remembered."""


def figures(detector, drawing, *, is_speech):
    samples = drawn(drawing)
    sounds = [Sound(samples, samples if is_speech else None)]
    return row_of("drawn", "fake", [hear(detector, sound) for sound in sounds], sounds)


def test_speech_in_segments_is_not_missed():
    row = figures(OnlyLoud(), "." * 100 + "#" * 20 + "." * 100, is_speech=True)
    assert (row.missed, row.deaf, row.late_ms) == (0.0, 0, 0.0)
    assert row.voiced == pytest.approx(100 * 20 / 220)
    assert (row.accepted, row.in_segments) == (None, None)


def test_speech_outside_segments_is_missed():
    # Two frames are too few to start a segment.
    row = figures(OnlyLoud(), "." * 100 + "##" + "." * 100, is_speech=True)
    assert (row.missed, row.deaf, row.late_ms) == (100.0, 1, None)


def test_a_detector_that_hears_on_after_the_last_loud_frame_is_late():
    drawing = "." * 100 + "#" * 20 + "-" * 5 + "." * 100
    assert figures(AnySound(), drawing, is_speech=True).late_ms == 100.0


def test_noise_that_starts_a_segment_is_accepted():
    row = figures(AnySound(), "." * 50 + "-" * 20 + "." * 50, is_speech=False)
    assert row.accepted == 100.0
    assert row.in_segments == pytest.approx(100 * (15 + 20 + 10) / 120)
    assert (row.missed, row.deaf, row.late_ms) == (None, None, None)


def test_noise_that_starts_none_is_not():
    row = figures(OnlyLoud(), "." * 50 + "-" * 20 + "." * 50, is_speech=False)
    assert (row.accepted, row.in_segments) == (0.0, 0.0)


def test_what_is_35_db_below_the_loudest_is_not_loud():
    assert loud(drawn("#-.#")).tolist() == [True, False, False, True]


@pytest.mark.parametrize("snr_db", [10, 0])
def test_noise_has_the_distance_to_the_speech_that_was_asked_for(snr_db):
    speech = drawn("." * 100 + "#" * 100) * 0.1
    noise = (in_noise(speech, snr_db) - speech)[: 100 * FRAME_SAMPLES]
    ratio = np.mean(speech[speech != 0] ** 2) / np.mean(noise**2)
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.3)
