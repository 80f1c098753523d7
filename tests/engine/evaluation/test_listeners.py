"""What encoders hear, as numbers of a fixed length."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from engine.checkpoint import BeatsCheckpoint, write_beats
from engine.data.manifest import Clip
from engine.errors import WeightsError
from engine.evaluation.listeners import BeatsListener, WhisperListener, summary
from engine.fbank import fbank
from engine.training.features import FeatureSettings
from engine.training.frame_store import FrameReader, FrameWriter
from tests.engine.tiny_beats import LOOKS_BACK, WIDTH, tiny_beats

RATE = 16_000


def clip(name, file=Path("a"), duration_s=2.0):
    return Clip(name, file, duration_s, {"set": "x", "split": "dev"})


def tone(folder, seconds):
    samples = 0.1 * np.sin(np.arange(round(seconds * RATE)) / 9).astype(np.float32)
    soundfile.write(folder / "a.wav", samples, RATE, subtype="FLOAT")
    return samples, clip("a.wav", folder / "a.wav", seconds)


def test_silence_behind_kept_frames_is_not_heard(tmp_path):
    settings = FeatureSettings(encoder_sha256="", layers=(6,), layer_width=2)
    frames = np.ones((150, 2), np.float16)
    frames[:50, 0] = 3.0
    frames[100:] = 99.0  # behind two seconds of sound
    with FrameWriter(tmp_path, width=2, settings={}, max_bytes=10_000) as writer:
        writer.append("a", frames, {})
    listener = WhisperListener(settings, FrameReader(tmp_path, width=2))
    assert listener.hear(clip("a")) == pytest.approx([2.0, 1.0, 1.0, 0.0])


def test_mean_and_deviation_are_exact_for_large_values():
    frames = np.full((1000, 1), 540.0, np.float16)
    frames[::2] = 541.0
    assert summary(frames) == pytest.approx([540.5, 0.5])


def test_beats_hears_a_clip_whole(tmp_path):
    samples, one = tone(tmp_path, 1.3)
    path, beats = tmp_path / "beats.pt", tiny_beats(**LOOKS_BACK)
    write_beats(BeatsCheckpoint(beats, {}, frozenset({"b.wav"})), path)
    listener = BeatsListener.open(path)
    assert listener.taught == {"b.wav"}
    tokens = beats(fbank(torch.from_numpy(samples))[None])[0][0]
    expected = torch.cat([tokens.mean(0), tokens.std(0, unbiased=False)])
    assert listener.hear(one) == pytest.approx(expected.numpy(), abs=1e-5)


def test_a_clip_too_short_for_a_token_is_heard_with_silence_behind_it(tmp_path):
    _, one = tone(tmp_path, 0.05)
    heard = BeatsListener(tiny_beats()).hear(one)
    assert heard.shape == (2 * WIDTH,)
    assert np.isfinite(heard).all()


def test_what_is_no_beats_is_refused(tmp_path):
    with pytest.raises(WeightsError):
        BeatsListener.open(tmp_path / "none.pt")
