import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from engine.features import LogMel, normalise, of_clip
from engine.geometry import HOP, SAMPLE_RATE


def test_log_mel_matches_the_library_to_1e_5(noise):
    expected = WhisperFeatureExtractor()(
        noise.numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt"
    ).input_features[0]
    log_mel = LogMel()
    to_thirty_seconds = 30 * SAMPLE_RATE - len(noise)
    frames = torch.cat([log_mel.push(noise), log_mel.closing(to_thirty_seconds)])
    actual = normalise(frames[:3000], float(frames.max()))
    assert torch.allclose(actual.T, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seconds", [5, 30])
def test_features_of_a_clip_match_the_library_to_1e_5(seconds):
    clip = torch.zeros(30 * SAMPLE_RATE)
    clip[: seconds * SAMPLE_RATE] = torch.randn(seconds * SAMPLE_RATE) * 0.1
    expected = WhisperFeatureExtractor()(
        clip.numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt"
    ).input_features[0]
    assert torch.allclose(of_clip(clip).T, expected, atol=1e-5, rtol=0)


@given(sizes=st.lists(st.integers(0, 3000), max_size=12))
def test_frames_do_not_depend_on_how_the_stream_was_cut(sizes):
    samples = torch.sin(torch.arange(12_000) ** 1.1)
    whole, pieces = LogMel(), LogMel()
    expected = torch.cat([whole.push(samples), whole.closing(1600)])
    parts = []
    for size in sizes:
        parts.append(pieces.push(samples[:size]))
        samples = samples[size:]
    parts += [pieces.push(samples), pieces.closing(1600)]
    assert torch.equal(torch.cat(parts), expected)


def test_closing_leaves_no_trace(noise):
    disturbed, undisturbed = LogMel(), LogMel()
    disturbed.push(noise[:8000])
    undisturbed.push(noise[:8000])
    disturbed.closing(1600)
    assert torch.equal(disturbed.push(noise[8000:]), undisturbed.push(noise[8000:]))


@pytest.mark.parametrize("samples", [0, 1, 160, 200, 201])
def test_a_stream_shorter_than_a_window_has_the_frames_of_its_silence(samples):
    log_mel = LogMel()
    log_mel.push(torch.ones(samples))
    assert len(log_mel.closing(1600)) >= 1600 // HOP


def test_normalising_keeps_eight_decades_below_the_peak():
    frames = torch.tensor([[1.0, -3.0, -9.0]])
    assert normalise(frames, 1.0).tolist() == [[1.25, 0.25, -0.75]]
