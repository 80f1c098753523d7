from pathlib import Path

import numpy as np
import pytest
import soundfile

from stream.audio import FRAME_BYTES, SAMPLE_RATE, Frame, Framer, to_pcm
from stream.segmenter import Segmenter, SegmenterConfig, SegmentStarted
from stream.vad import WebRtcVoiceDetector, flatness

DEMO = Path(__file__).parents[2] / "demo"
MODES = [0, 1, 2, 3]


def frames(samples):
    return Framer().push(to_pcm(np.asarray(samples, np.float32)))


def white_noise(seconds, dbfs):
    generator = np.random.default_rng(0)
    return generator.standard_normal(seconds * SAMPLE_RATE) * 10 ** (dbfs / 20)


def drawing(detector, samples):
    return "".join("#" if detector.is_voiced(f) else "." for f in frames(samples))


@pytest.fixture(scope="module")
def speech():
    samples, rate = soundfile.read(DEMO / "jfk.ogg")
    assert rate == SAMPLE_RATE
    return samples


@pytest.mark.parametrize("mode", MODES)
def test_digital_silence_is_never_voiced(mode):
    assert "#" not in drawing(WebRtcVoiceDetector(mode), np.zeros(10 * SAMPLE_RATE))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dbfs", [-60, -40, -30, -20, -10])
def test_white_noise_is_hardly_ever_voiced_at_any_level(mode, dbfs):
    heard = drawing(WebRtcVoiceDetector(mode), white_noise(20, dbfs))
    assert heard.count("#") <= 0.005 * len(heard)
    assert "##" not in heard


@pytest.mark.parametrize("mode", MODES)
def test_speech_is_voiced_and_its_pauses_are_not(mode, speech):
    heard = drawing(WebRtcVoiceDetector(mode), speech)
    assert 0.8 < heard.count("#") / len(heard) < 0.92
    assert "#" * 50 in heard
    assert "." * 20 in heard


def test_speech_is_told_from_loud_hiss(speech):
    quiet = np.zeros(2 * SAMPLE_RATE)
    clip = np.concatenate([quiet, speech, quiet])
    noise = white_noise(15, -30)[: len(clip)]
    heard = drawing(WebRtcVoiceDetector(), 0.5 * clip + noise)
    assert heard[:100].count("#") + heard[-100:].count("#") <= 2
    assert "#" * 20 in heard[100:-100]


def test_quiet_speech_is_heard_by_default(speech):
    heard = drawing(WebRtcVoiceDetector(), 0.1 * speech)
    assert heard.count("#") > 0.65 * len(heard)


def test_a_detector_that_was_reset_is_as_new(speech):
    new, used = WebRtcVoiceDetector(), WebRtcVoiceDetector()
    drawing(used, white_noise(5, -30))
    used.reset()
    assert drawing(used, speech) == drawing(new, speech)


def test_two_detectors_do_not_disturb_each_other(speech):
    alone, first, second = (WebRtcVoiceDetector() for _ in range(3))
    noise = frames(white_noise(12, -20))
    for frame, other in zip(frames(speech), noise, strict=False):
        expected = alone.is_voiced(frame)
        second.is_voiced(other)
        assert first.is_voiced(frame) == expected


def starts(samples):
    """Return the segments that start in `samples`, with all defaults."""
    detector, segmenter = WebRtcVoiceDetector(), Segmenter(SegmenterConfig())
    events = [
        event
        for frame in frames(samples)
        for event in segmenter.push(frame, voiced=detector.is_voiced(frame))
    ]
    return [event for event in events if isinstance(event, SegmentStarted)]


@pytest.mark.parametrize("dbfs", [-90, -60, -40, -30, -20, -10])
def test_white_noise_that_sets_in_after_silence_starts_no_segment(dbfs):
    silence = np.zeros(SAMPLE_RATE)
    assert starts(np.concatenate([silence, white_noise(10, dbfs)])) == []


def test_speech_starts_a_segment_with_its_first_sound(speech):
    silence = np.zeros(SAMPLE_RATE)
    first = starts(np.concatenate([silence, speech]))[0]
    assert 0.7 * SAMPLE_RATE <= first.start <= 0.9 * SAMPLE_RATE  # its pre-roll


def test_flatness_tells_a_tone_from_noise():
    time = np.arange(320) / SAMPLE_RATE
    (tone,) = frames(0.1 * np.sin(2 * np.pi * 300 * time))
    (noise,) = frames(white_noise(1, -20)[:320])
    assert flatness(tone.pcm) < 0.01
    assert 0.42 < flatness(noise.pcm) < 0.75


def test_the_flatness_of_silence_is_a_number():
    assert flatness(Frame(0, bytes(FRAME_BYTES)).pcm) == pytest.approx(1, abs=1e-3)
