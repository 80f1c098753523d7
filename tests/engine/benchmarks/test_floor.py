import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from engine.benchmarks.floor import EncoderShape, multiply_add_rate
from engine.config import EncodingConfig
from engine.errors import WeightsError
from engine.geometry import ENCODER_STRIDE, N_MELS, WINDOW
from engine.whisper_encoder import BlockEncoder

BASE = {
    "encoder_layers": 6,
    "d_model": 512,
    "encoder_ffn_dim": 2048,
    "num_mel_bins": 80,
}


def test_a_checkpoint_says_what_shape_its_encoder_has(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(BASE))
    assert EncoderShape.read(tmp_path) == EncoderShape(6, 512, 2048, 80)


def test_a_checkpoint_without_an_encoder_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        WeightsError, match=r"config\.json does not describe an encoder"
    ):
        EncoderShape.read(tmp_path)


def test_no_more_left_context_counts_than_there_is():
    shape = EncoderShape(6, 512, 2048, 80)
    encoding = EncodingConfig(left_context_s=15.0)
    assert shape.multiply_adds(encoding, at_s=20.0) == shape.multiply_adds(
        encoding, at_s=15.0
    )
    assert shape.multiply_adds(encoding, at_s=1.0) < shape.multiply_adds(
        encoding, at_s=2.0
    )


def test_the_multiply_adds_are_those_that_torch_counts(tiny_model):
    config = tiny_model.config
    shape = EncoderShape(2, config.d_model, config.encoder_ffn_dim, N_MELS)
    encoder = BlockEncoder(tiny_model.model.encoder, left_frames=1500)
    rows = 4 * WINDOW
    with FlopCounterMode(display=False) as counted:
        encoder.encode(torch.zeros(rows * ENCODER_STRIDE, N_MELS))
    encoding = EncodingConfig(block_windows=2, right_windows=2)
    blocks_per_second = 50 / (2 * WINDOW)
    found = shape.multiply_adds(encoding, at_s=0.0) / blocks_per_second
    # Torch knows no formula for the CPU's own attention: queries by keys, by values.
    attention = shape.layers * 2 * rows * rows * shape.width
    assert found == counted.get_total_flops() / 2 + attention


def test_a_product_is_measured_in_multiply_adds_a_second():
    assert multiply_add_rate(torch.float32) > 1e8
