import torch

from engine.layer_mix import LOUDEST, LayerMix


def test_a_mix_begins_as_the_average_of_the_layers():
    frames = torch.randn(2, 5, 3 * 4)
    expected = frames.unflatten(-1, (3, 4)).mean(2)
    assert torch.allclose(LayerMix(3, 4)(frames), expected, atol=1e-6)


def test_a_mix_may_become_one_layer():
    mix = LayerMix(3, 4)
    with torch.no_grad():
        mix.weight.copy_(torch.tensor([0.0, 50.0, 0.0]))
    frames = torch.randn(2, 5, 3 * 4)
    assert torch.allclose(mix(frames), frames[..., 4:8])


def test_loud_channels_become_as_large_as_others():
    mix = LayerMix(1, 2)
    frames = torch.randn(1, 1000, 2) * torch.tensor([0.1, 500.0]) + 3.0
    mix.mean.copy_(frames.mean((0, 1)))
    mix.deviation.copy_(frames.std((0, 1)))
    assert torch.allclose(mix.standardise(frames).std((0, 1)), torch.ones(2), atol=1e-2)
    louder = mix.standardise(frames.clone().fill_(1e6))
    assert float(louder.max()) == LOUDEST
