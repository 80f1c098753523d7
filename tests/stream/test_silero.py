"""Silero's detector: its windows with a scripted network, its ears with its own."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from engine.api import silero_weights
from engine.config import EngineConfig
from stream.audio import FRAME_SAMPLES, SAMPLE_RATE, Framer, to_float, to_pcm
from stream.silero import (
    CONTEXT_SAMPLES,
    STATE_SHAPE,
    WINDOW_SAMPLES,
    SileroVoiceDetector,
    load_network,
)
from tests.weights import require_weights

DEMO = Path(__file__).parents[2] / "demo"


def frames(samples):
    return Framer().push(to_pcm(np.asarray(samples, np.float32)))


def drawing(detector, samples):
    return "".join("#" if detector.is_voiced(f) else "." for f in frames(samples))


class ScriptedNetwork:
    """Answers with the next of some probabilities; remembers what it was shown."""

    def __init__(self, *probabilities):
        self._probabilities = iter(probabilities)
        self.windows, self.states = [], []

    def __call__(self, window, state):
        self.windows.append(window)
        self.states.append(state)
        return next(self._probabilities, 0.0), state + 1


@given(st.integers(0, 40))
def test_the_network_sees_every_sample_once_with_context_in_front(num_frames):
    samples = np.arange(1, 1 + num_frames * FRAME_SAMPLES, dtype=np.float32) / 2**15
    network = ScriptedNetwork()
    drawing(SileroVoiceDetector(network), samples)
    before = np.concatenate([np.zeros(CONTEXT_SAMPLES, np.float32), samples])
    assert len(network.windows) == len(samples) // WINDOW_SAMPLES
    for index, window in enumerate(network.windows):
        start = index * WINDOW_SAMPLES
        expected = before[start : start + CONTEXT_SAMPLES + WINDOW_SAMPLES]
        assert np.array_equal(window, expected)


def test_the_state_goes_from_window_to_window():
    network = ScriptedNetwork()
    drawing(SileroVoiceDetector(network), np.zeros(3 * WINDOW_SAMPLES + 100))
    assert [state[0, 0, 0] for state in network.states] == [0, 1, 2]
    assert network.states[0].shape == STATE_SHAPE


def test_a_frame_is_answered_with_the_last_window_that_was_whole():
    # Windows end with samples 512, 1024, 1536, 2048, 2560; frames with 320, 640, …
    network = ScriptedNetwork(1.0, 0.0, 1.0, 0.0, 1.0)
    heard = drawing(SileroVoiceDetector(network), np.zeros(8 * FRAME_SAMPLES))
    assert heard == ".##.##.#"


def test_an_answer_is_late_by_14_ms_on_average_and_28_at_most():
    ends = range(WINDOW_SAMPLES, 100 * WINDOW_SAMPLES, WINDOW_SAMPLES)
    frame_ends = range(2 * FRAME_SAMPLES, 82 * FRAME_SAMPLES, FRAME_SAMPLES)
    late_ms = [
        (frame - max(end for end in ends if end <= frame)) * 1000 / SAMPLE_RATE
        for frame in frame_ends
    ]
    assert (max(late_ms), np.mean(late_ms)) == (28, 14)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ((0.49, 0.49, 0.49, 0.49, 0.49), "........"),
        ((0.50, 0.49, 0.36, 0.49, 0.49), ".#######"),  # it fades, and is still there
        ((0.50, 0.34, 0.49, 0.50, 0.50), ".##...##"),
    ],
)
def test_a_voice_begins_with_more_than_it_goes_on_with(probabilities, expected):
    network = ScriptedNetwork(*probabilities)
    heard = drawing(SileroVoiceDetector(network), np.zeros(8 * FRAME_SAMPLES))
    assert heard == expected


def test_a_detector_that_was_reset_is_as_new():
    seen = ScriptedNetwork(1.0, 1.0)
    detector = SileroVoiceDetector(seen)
    drawing(detector, np.full(5 * FRAME_SAMPLES, 0.5))
    detector.reset()
    assert drawing(detector, np.zeros(FRAME_SAMPLES)) == "."
    drawing(detector, np.zeros(FRAME_SAMPLES))
    assert not seen.windows[-1].any()
    assert not seen.states[-1].any()


@pytest.fixture(scope="module")
def network():
    config = EngineConfig()
    require_weights("silero")
    return load_network(silero_weights(config))


def read(name):
    samples, rate = soundfile.read(DEMO / name, dtype="float32")
    assert rate == SAMPLE_RATE
    return samples


@pytest.mark.end_to_end
def test_speech_is_voiced_and_its_pauses_are_not(network):
    heard = drawing(SileroVoiceDetector(network), read("jfk.ogg"))
    assert 0.6 < heard.count("#") / len(heard) < 0.8
    assert "#" * 50 in heard
    assert "." * 20 in heard


@pytest.mark.end_to_end
@pytest.mark.parametrize("name", ["guitar.ogg", "crow.ogg"])
def test_a_guitar_and_a_crow_are_no_voice(network, name):
    assert "#" not in drawing(SileroVoiceDetector(network), read(name))


@pytest.mark.end_to_end
@pytest.mark.parametrize("dbfs", [-90, -60, -40, -20, -10])
def test_neither_silence_nor_noise_is_voiced_at_any_level(network, dbfs):
    generator = np.random.default_rng(0)
    noise = generator.standard_normal(10 * SAMPLE_RATE) * 10 ** (dbfs / 20)
    samples = np.concatenate([np.zeros(2 * SAMPLE_RATE), noise])
    assert "#" not in drawing(SileroVoiceDetector(network), samples)


@pytest.mark.end_to_end
def test_two_streams_over_one_network_do_not_disturb_each_other(network):
    speech, music = frames(read("jfk.ogg")), frames(read("guitar.ogg"))
    alone, first, second = (SileroVoiceDetector(network) for _ in range(3))
    for frame, other in zip(speech, music, strict=False):
        expected = alone.is_voiced(frame)
        second.is_voiced(other)
        assert first.is_voiced(frame) == expected


@pytest.mark.end_to_end
def test_quiet_speech_is_heard(network):
    speech = np.concatenate([to_float(frame.pcm) for frame in frames(read("jfk.ogg"))])
    heard = drawing(SileroVoiceDetector(network), 0.1 * speech)
    assert heard.count("#") > 0.5 * len(heard)
