import pytest
import torch
from torch import nn

from engine.quantise import Int8Linear, quantise


@pytest.mark.parametrize("shape", [(64,), (5, 64), (2, 3, 64)])
@pytest.mark.parametrize("bias", [True, False])
def test_eight_bits_are_near_the_layer_they_replace(shape, bias):
    linear, x = nn.Linear(64, 48, bias=bias), torch.randn(shape)
    expected, actual = linear(x), Int8Linear(linear)(x)
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() < 0.03 * expected.abs().max()


def test_the_largest_products_are_not_cut_off():
    linear = nn.Linear(64, 3, bias=False)
    nn.init.constant_(linear.weight, 1.0)
    assert Int8Linear(linear)(torch.ones(1, 64)).allclose(torch.tensor(64.0), rtol=0.02)


def test_an_output_of_large_weights_does_not_blur_the_others():
    linear = nn.Linear(64, 2, bias=False)
    with torch.no_grad():
        linear.weight[0] *= 1000.0
    x = torch.randn(5, 64)
    error = (Int8Linear(linear)(x) - linear(x))[:, 1].abs().max()
    assert error < 0.03 * linear(x)[:, 1].abs().max()


@pytest.mark.parametrize("bias", [True, False])
def test_a_loud_row_does_not_blur_the_others(bias):
    linear, x = nn.Linear(64, 48, bias=bias), torch.randn(5, 64)
    x[2] *= 1000.0
    error = (Int8Linear(linear)(x) - linear(x)).abs().amax(1)
    assert (error < 0.03 * linear(x).abs().amax(1)).all()


def test_all_linear_layers_of_a_model_are_replaced():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.GELU(), nn.Linear(4, 4)))
    quantise(model)
    kinds = [type(module).__name__ for module in model.modules()]
    assert "Linear" not in kinds
    assert kinds.count("Int8Linear") == 2
