"""How clips are heard in training."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from engine.beats import Beats
from engine.config import EncodingConfig
from engine.data.lists import read_examples
from engine.fbank import fbank
from engine.training.clips import read_joined
from engine.training.features import FeatureSettings, stream_frames
from engine.training.hearing import (
    ExactEars,
    ExactListener,
    ReadyEars,
    StreamingListener,
)
from engine.training.order import Visit
from engine.training.reading import Reader, Speller, collate
from engine.whisper_encoder import BlockEncoder
from tests.engine.tiny_checkpoint import TINY_BEATS
from tests.engine.training.tiny import END, ByteTokenizer, write_clips

SETTINGS = FeatureSettings(encoder_sha256="", layers=(1, 2), layer_width=64)


@dataclass
class Kept:
    """Frames of one clip, as a store has them."""

    key: str
    rows: np.ndarray

    def __contains__(self, key):
        return key == self.key

    def read(self, key):
        assert key == self.key
        return self.rows


@pytest.fixture
def examples(tmp_path):
    return read_examples([write_clips(tmp_path, 3)], "train").items


@pytest.fixture
def encoder(tiny_model):
    return BlockEncoder(tiny_model.model.encoder, left_frames=750, layers=(1, 2))


def test_exact_features_are_whispers_own(examples):
    extractor = WhisperFeatureExtractor()
    samples = read_joined(examples[1])
    expected = extractor(samples, sampling_rate=16_000, return_tensors="pt")
    heard = ExactListener(has_audio=True).hear(examples[1], None)
    assert torch.allclose(heard["mel"].T, expected.input_features[0], atol=1e-4)
    assert torch.equal(heard["fbank"], fbank(torch.from_numpy(samples)))


def test_exact_ears_are_both_encoders_over_a_whole_clip(examples, tiny_model):
    torch.manual_seed(0)
    beats = Beats(TINY_BEATS).eval()
    listener = ExactListener(has_audio=True)
    speller = Speller(ByteTokenizer(), END, max_target_tokens=9)
    reader = Reader(examples, listener, speller, seed=0)
    items = [reader[Visit(0, example)] for example in range(3)]
    ears = ExactEars(tiny_model.model.encoder, beats).eval()
    with torch.no_grad():
        frames = ears(collate(items))
        alone = ears(collate(items[1:2]))
        expected, _ = beats(items[1].features["fbank"][None])
        speech = tiny_model.model.encoder(items[1].features["mel"].T[None])
    assert frames.counts.tolist() == [1500] * 3
    assert torch.allclose(alone.speech, speech.last_hidden_state, atol=1e-5)
    assert torch.allclose(alone.audio, expected, atol=1e-5)
    assert torch.allclose(frames.speech[1], alone.speech[0], atol=1e-5)
    assert frames.audio.shape[1] > alone.audio.shape[1]


def test_without_a_second_encoder_there_is_no_filter_bank(examples, tiny_model):
    heard = ExactListener(has_audio=False).hear(examples[0], None)
    assert heard.keys() == {"mel"}


def test_dev_clips_are_heard_in_the_blocks_that_are_served(examples, encoder):
    listener = StreamingListener(encoder, SETTINGS, None)
    expected = stream_frames(
        encoder,
        torch.from_numpy(read_joined(examples[0])),
        EncodingConfig(),
        closing_silence_s=1.0,
    )
    assert torch.equal(listener.hear(examples[0], None)["speech"], expected)


def test_blocks_are_drawn_for_each_visit_and_always_the_same(examples, encoder):
    listener = StreamingListener(encoder, SETTINGS, None)
    long = replace(examples[0], files=examples[0].files * 4)
    heard = [listener.hear(long, f"0 {n}")["speech"] for n in range(8)]
    again = [listener.hear(long, f"0 {n}")["speech"] for n in range(8)]
    assert all(torch.equal(*pair) for pair in zip(heard, again, strict=True))
    assert any(not torch.equal(heard[0], other) for other in heard[1:])
    assert not heard[0].is_inference()


def test_kept_frames_are_read_in_place_of_the_clip(examples, encoder):
    rows = np.ones((30, 128), np.float16)
    listener = StreamingListener(encoder, SETTINGS, Kept(examples[0].key, rows))
    heard = listener.hear(examples[0], "0 0")["speech"]
    assert torch.equal(heard, torch.ones(30, 128))
    assert len(listener.hear(examples[1], "0 0")["speech"]) > 60


def test_ready_ears_pass_on_what_the_listener_heard(examples, encoder):
    listener = StreamingListener(encoder, SETTINGS, None)
    speller = Speller(ByteTokenizer(), END, max_target_tokens=9)
    reader = Reader(examples, listener, speller, seed=0)
    batch = collate([reader[Visit(0, example)] for example in range(3)])
    frames = ReadyEars()(batch)
    assert frames.audio is None
    assert frames.speech is batch.features["speech"]
    assert frames.counts.tolist() == batch.lengths["speech"].tolist()
