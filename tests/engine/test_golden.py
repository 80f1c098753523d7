"""BEATs and the bridge give the numbers that the original code gives."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.beats import shrink_padding
from engine.fbank import fbank
from tests import golden

VALUES = json.loads(Path("tests/golden.json").read_text())
LONG, SHORT = 32_000, 19_200
TOLERANCE = 1e-4


def assert_golden(name, actual):
    expected = VALUES[name]
    actual = actual.double().numpy()
    assert list(actual.shape) == expected["shape"]
    for index, value in expected["values"].items():
        place = tuple(ast.literal_eval(index))
        assert actual[place] == pytest.approx(value, abs=TOLERANCE), index
    assert np.abs(actual).sum() == pytest.approx(expected["abs_sum"], rel=TOLERANCE)
    assert actual.mean() == pytest.approx(expected["mean"], abs=TOLERANCE)
    assert actual.std() == pytest.approx(expected["std"], rel=TOLERANCE)


@pytest.fixture(scope="module")
def beats():
    return golden.golden_beats()


@pytest.fixture(scope="module")
def features():
    return fbank(golden.waveform(LONG))[None]


@pytest.fixture(scope="module")
def tokens(beats, features):
    with torch.inference_mode():
        return beats(features)[0]


def test_the_filter_bank_is_the_original_ones(features):
    assert_golden("fbank_norm_2s_float64", features)


def test_the_patches_are_the_original_ones(beats, features):
    assert_golden("beats_patch_ln_2s", beats.patches(features))


def test_the_tokens_are_the_original_ones(tokens):
    assert_golden("beats_out_2s", tokens)


def test_the_classes_are_the_original_ones(beats, features):
    assert_golden("beats_probs_2s", beats.classify(features))


def test_a_batch_with_padding_is_the_original_one(beats, tokens):
    waves = [golden.waveform(LONG), golden.waveform(SHORT)]
    padded, padding = golden.pad_together(waves)
    banks = torch.stack([fbank(row) for row in padded])
    out, masked = beats(banks, padding)
    assert int(masked[1].sum()) == VALUES["pad_batch"]["mask_true_count_row1"]
    assert int(masked[1].int().argmax()) == VALUES["pad_batch"]["first_true_row1"]
    assert_golden("beats_out_batch_row1", out[1])
    assert torch.allclose(out[0], tokens[0], atol=TOLERANCE)


def test_the_bridge_is_the_original_one(tokens):
    bridge = golden.golden_bridge()
    with torch.inference_mode():
        assert_golden("bridge_out_5120", bridge(golden.speech_features(1), tokens))


def test_the_weights_have_the_official_number(beats):
    bridge = golden.golden_bridge()
    for model, count in (
        (beats, "n_beats_float_keys"),
        (bridge, "n_bridge_float_keys"),
    ):
        assert len(model.state_dict()) == VALUES[count]


def test_a_mask_shrinks_to_where_all_is_padding():
    mask = torch.tensor([[False, True, True, True, True, True, False]])
    assert shrink_padding(mask, 3).tolist() == [[False, True, True]]
