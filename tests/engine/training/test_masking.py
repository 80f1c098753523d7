"""SpecAugment."""

import torch

from engine.training.config import MaskConfig
from engine.training.masking import mask

FRAMES = torch.arange(1.0, 51.0)[:, None] * torch.ones(50, 8)


def holes(config, *, num_frames=50, seed="0"):
    masked = mask(FRAMES, num_frames, config, seed)
    mean = FRAMES[:num_frames].mean(0)
    return (masked != FRAMES) & (masked == mean)


def test_without_masks_nothing_changes():
    assert torch.equal(mask(FRAMES, 50, MaskConfig(), "0"), FRAMES)


def test_holes_are_the_clips_mean_and_all_channels_of_a_moment():
    config = MaskConfig(time_masks=2, max_frames=10)
    moments = holes(config)
    assert moments.any()
    assert torch.equal(moments.any(1), moments.all(1))
    assert moments.any(1).sum() <= 20


def test_masked_channels_are_masked_throughout():
    channels = holes(MaskConfig(channel_masks=1, max_channels=4), seed="1")
    assert channels.any()
    assert channels.any(0).sum() <= 4
    # The mean itself occurs in no frame, so every frame shows the hole.
    assert torch.equal(channels.any(0), channels.all(0))


def test_no_hole_is_wider_than_its_share_of_the_clip():
    config = MaskConfig(time_masks=1, max_frames=40, max_share=0.1)
    for seed in range(50):
        assert holes(config, num_frames=30, seed=str(seed)).any(1).sum() <= 3


def test_padding_stays_as_it_is():
    config = MaskConfig(time_masks=5, max_frames=20, max_share=1.0)
    for seed in range(50):
        masked = mask(FRAMES, 10, config, str(seed))
        assert torch.equal(masked[10:], FRAMES[10:])


def test_the_seed_decides():
    config = MaskConfig(time_masks=2, channel_masks=2)
    first = mask(FRAMES, 50, config, "a")
    assert torch.equal(first, mask(FRAMES, 50, config, "a"))
    assert not torch.equal(first, mask(FRAMES, 50, config, "b"))
