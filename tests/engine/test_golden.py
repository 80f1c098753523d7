"""BEATs and the bridge give the numbers that the original code gives."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from engine import fbank as kaldi
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
def batch(beats):
    """Return tokens of two waveforms padded together, and which of them are none."""
    waves = [golden.waveform(LONG), golden.waveform(SHORT)]
    padded, padding = golden.pad_together(waves)
    with torch.inference_mode():
        return beats(torch.stack([fbank(row) for row in padded]), padding)


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


def test_a_batch_with_padding_is_the_original_one(batch):
    out, masked = batch
    expected = VALUES["pad_batch"]
    assert out.shape[1] == expected["out_len"]
    assert int(masked[1].sum()) == expected["mask_true_count_row1"]
    assert int(masked[1].int().argmax()) == expected["first_true_row1"]
    assert_golden("beats_out_batch_row1", out[1])


def test_in_a_batch_a_waveform_without_padding_is_as_alone(batch, tokens):
    difference = (batch[0][0] - tokens[0]).abs().max().item()
    expected = VALUES["row0_same_as_single_maxdiff"]
    assert difference == pytest.approx(expected, abs=TOLERANCE)


def test_float32_would_not_do_and_is_no_further_off_than_the_original_is(
    features, monkeypatch
):
    narrow = {
        name: getattr(kaldi, name)().float() for name in ("_povey_window", "_triangles")
    }
    for name, table in narrow.items():
        monkeypatch.setattr(kaldi, name, lambda table=table: table)
    monkeypatch.setattr(torch.Tensor, "double", torch.Tensor.float)
    difference = (fbank(golden.waveform(LONG)) - features[0]).abs().max().item()
    # Which digits are lost depends on the order of the operations.
    assert TOLERANCE < difference < VALUES["fbank_f32_vs_f64_maxdiff"] + TOLERANCE


def test_the_bridge_is_the_original_one(tokens):
    bridge = golden.golden_bridge()
    with torch.inference_mode():
        embeddings = bridge(golden.speech_features(1), tokens)
    assert_golden("bridge_out_5120", embeddings)
    shape, attended = VALUES["bridge_att"]
    assert list(embeddings.shape[:2]) == shape
    assert embeddings.shape[1] == attended, "the original masks none of them"


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
