from pathlib import Path

import pytest
import soundfile
import soxr
import torch
from torch.testing import assert_close

from engine.config import EngineConfig
from engine.errors import WeightsError
from engine.speaker_turns import LocalSpeakers
from engine.voices import (
    LEVEL,
    WIDTH,
    VoiceEncoder,
    levelled,
    load_voices,
    mel_power,
    read_voices,
)
from engine.weights import resolve
from tests.weights import require_weights

SPEECH = Path(__file__).parents[2] / "demo" / "jfk.ogg"
WINDOW = 25_600
# The largest numbers that Resemblyzer 0.1.4 itself computes of the demo's clip, by the
# sample where 1.6 s of it begin: torch 2.13, librosa 0.10.2.
GOLDEN = {
    16_000: {148: 0.213706, 169: 0.212009, 30: 0.207751, 178: 0.182007, 162: 0.176656},
    80_000: {203: 0.238308, 63: 0.231205, 100: 0.203566, 174: 0.202315, 162: 0.198778},
}
MEL = {  # the sum over its first 160 frames, and the start of the first two
    16_000: (2049.9102, [[0.012777, 0.041352], [0.001681, 0.004159]]),
    80_000: (1113.7693, [[0.000255, 0.000614], [0.000840, 0.008722]]),
}


@pytest.fixture(scope="module")
def speech():
    samples, rate = soundfile.read(SPEECH, dtype="float32")
    assert rate == 16_000
    return torch.from_numpy(samples)


@pytest.fixture(scope="module")
def encoder():
    require_weights("voices")
    return load_voices(resolve("voices", EngineConfig(), fetch=False))


@pytest.mark.parametrize("start", GOLDEN)
def test_the_features_are_those_of_the_package(speech, start):
    mel = mel_power(levelled(speech[None, start : start + WINDOW]))[0]
    total, first = MEL[start]
    assert mel.shape == (160, 40)
    assert mel.sum().item() == pytest.approx(total, rel=1e-5)
    assert_close(mel[:2, :2], torch.tensor(first), atol=1e-6, rtol=0)


@pytest.mark.parametrize("start", GOLDEN)
def test_the_numbers_are_those_of_the_package_to_1e_5(encoder, speech, start):
    (voice,) = encoder.embed(speech[None, start : start + WINDOW])
    for index, expected in GOLDEN[start].items():
        assert voice[index].item() == pytest.approx(expected, abs=1e-5)
    assert voice.argmax().item() == next(iter(GOLDEN[start]))


def test_windows_of_one_voice_point_the_same_way(encoder, speech):
    first, second = encoder.embed(
        torch.stack([speech[start : start + WINDOW] for start in GOLDEN])
    )
    assert (first @ second).item() == pytest.approx(0.785082, abs=1e-4)


def test_a_window_is_embedded_alike_in_any_company():
    torch.manual_seed(0)
    encoder = VoiceEncoder().eval()
    windows = torch.randn(3, WINDOW) * 0.01
    together = encoder.embed(windows)
    assert together.shape == (3, WIDTH)
    for window, expected in zip(windows, together, strict=True):
        assert_close(encoder.embed(window[None])[0], expected, atol=1e-6, rtol=0)


def test_only_what_is_quiet_is_raised():
    loud, quiet = torch.full((1, 800), 0.5), torch.full((1, 800), 0.001)
    assert_close(levelled(loud), loud)
    assert_close(levelled(quiet), torch.full((1, 800), LEVEL))
    assert not levelled(torch.zeros(1, 800)).any()


def test_silence_gives_numbers_not_nan():
    torch.manual_seed(0)
    assert torch.isfinite(VoiceEncoder().embed(torch.zeros(1, WINDOW))).all()


def test_a_file_of_something_else_is_refused_by_name(tmp_path):
    path = tmp_path / "pretrained.pt"
    torch.save({"model_state": {"linear.bias": torch.zeros(3)}}, path)
    with pytest.raises(WeightsError, match=r"pretrained\.pt holds no voice encoder"):
        read_voices(path)
    with pytest.raises(WeightsError, match=r"pretrained\.pt has .* bytes; expected"):
        load_voices(tmp_path)


def test_a_pickle_that_could_run_code_is_not_opened(tmp_path):
    path = tmp_path / "pretrained.pt"
    torch.save({"model_state": {"x": Path("x")}}, path)
    with pytest.raises(WeightsError, match="holds no voice encoder"):
        read_voices(path)


def test_who_was_enrolled_by_a_recording_is_told_from_another_voice(encoder, speech):
    samples = speech.numpy()
    higher = soxr.resample(samples, 16_000, 16_000 / 1.3).astype("float32")
    speakers = LocalSpeakers(encoder, 4)
    kennedy = speakers.enrol(samples[:96_000])
    told = []
    for segment, heard in enumerate((samples[100_000:], higher)):
        speakers.push(segment, heard)
        (found,) = (t for t in speakers.end(segment).segments if t.segment == segment)
        told.append({turn.speaker for turn in found.turns})
    assert told[0] == {kennedy}
    assert kennedy not in told[1]
