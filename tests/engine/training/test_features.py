import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from engine.config import EncodingConfig
from engine.data.manifest import read_manifest
from engine.geometry import MAX_FRAMES, SAMPLE_RATE, frames_of
from engine.training.features import (
    FeatureSettings,
    feature_folder,
    keep,
    open_features,
    stream_frames,
)
from engine.training.frame_store import FrameWriter
from engine.whisper_encoder import BlockEncoder

SETTINGS = FeatureSettings(encoder_sha256="0" * 64, layers=(1, 2), layer_width=64)


@pytest.fixture
def encoder(tiny_model):
    return BlockEncoder(tiny_model.model.encoder, left_frames=750, layers=(1, 2))


@pytest.fixture
def clips(tmp_path):
    lines = []
    for index, split in enumerate(["train"] * 3 + ["dev"]):
        noise = np.random.default_rng(index).normal(0, 0.1, 16_000 + 4_000 * index)
        soundfile.write(tmp_path / f"{index}.wav", noise, SAMPLE_RATE)
        line = {"path": f"{index}.wav", "duration_s": 1.0, "split": split}
        lines.append(json.dumps(line))
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(lines))
    return read_manifest(manifest)


def writer(cache):
    folder = feature_folder(cache, SETTINGS)
    return FrameWriter(folder, width=SETTINGS.width, settings={}, max_bytes=10**7)


def test_frames_are_kept_as_a_live_utterance_has_them(clips, encoder, tmp_path):
    with writer(tmp_path) as out:
        assert [clip.path for clip in keep(clips, encoder, out, SETTINGS)] == [
            clip.path for clip in clips
        ]
    found = open_features(tmp_path, SETTINGS)
    for clip in clips:
        samples, _ = soundfile.read(clip.file, dtype="float32")
        facts = found.entries[clip.path].facts
        encoding = EncodingConfig(
            block_windows=facts["block_windows"], right_windows=facts["right_windows"]
        )
        expected = stream_frames(
            encoder, torch.from_numpy(samples), encoding, closing_silence_s=1.0
        )
        actual = torch.from_numpy(found.read(clip.path)).float()
        assert len(actual) == frames_of(len(samples)) + 50
        assert torch.allclose(actual, expected, atol=2e-3, rtol=1e-3)


def test_what_is_kept_is_not_encoded_again(clips, encoder, tmp_path):
    with writer(tmp_path) as out:
        list(keep(clips[:2], encoder, out, SETTINGS))
    with writer(tmp_path) as out:
        again = list(keep(clips, encoder, out, SETTINGS))
    assert [clip.path for clip in again] == ["2.wav", "3.wav"]


def test_a_clip_that_changed_is_encoded_again(clips, encoder, tmp_path):
    with writer(tmp_path) as out:
        list(keep(clips, encoder, out, SETTINGS))
        soundfile.write(clips[1].file, np.zeros(8_000), SAMPLE_RATE)
        assert [c.path for c in keep(clips, encoder, out, SETTINGS)] == ["1.wav"]
    assert len(open_features(tmp_path, SETTINGS).read("1.wav")) == 25 + 50


def test_blocks_are_drawn_for_training_and_served_otherwise(clips):
    served = EncodingConfig()
    assert SETTINGS.encoding(clips[3]) == served
    drawn = {SETTINGS.encoding(clip) for clip in clips}
    assert {SETTINGS.encoding(clip) for clip in clips} == drawn
    assert len(drawn) > 1


def test_other_settings_lie_in_another_folder():
    other = FeatureSettings(encoder_sha256="0" * 64, layers=(2,), layer_width=64)
    cache = Path("cache")
    assert feature_folder(cache, other) != feature_folder(cache, SETTINGS)
    assert (SETTINGS.width, other.width) == (128, 64)


def test_of_a_long_clip_what_fits_is_heard(encoder):
    noise = torch.randn(40 * SAMPLE_RATE) * 0.1
    encoding = EncodingConfig(block_windows=8)
    frames = stream_frames(encoder, noise, encoding, closing_silence_s=1.0)
    assert frames.shape == (MAX_FRAMES, 128)
