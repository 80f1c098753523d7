import pytest
import torch

from engine.geometry import MAX_FRAMES
from engine.whisper_encoder import BlockEncoder, SlidingKeys


@pytest.fixture
def features():
    return torch.rand(3000, 80)


def encode_in_blocks(encoder, features, *, block, right):
    """Return the settled frames of all whole blocks."""
    state, settled = encoder.new_state(), []
    while len(features) >= 2 * (state.num_frames + block + right):
        first = 2 * state.num_frames
        stop = first + 2 * (block + right)
        part = features[max(0, first - 2) : stop]
        settled.append(encoder.encode(part, state, keep=block)[:block])
    return torch.cat(settled)


def test_one_block_over_a_whole_clip_is_the_official_encoder(tiny_model, features):
    encoder = BlockEncoder(tiny_model.model.encoder, left_frames=MAX_FRAMES)
    with torch.inference_mode():
        expected = tiny_model.model.encoder(features.T[None]).last_hidden_state[0]
    assert torch.allclose(encoder.encode(features), expected, atol=1e-5, rtol=0)


def test_blocks_match_a_full_pass_under_the_mask_that_they_stand_for(
    tiny_model, features
):
    """Without right context, blocks are one pass under a block-causal mask."""
    features, block = features[:400], 20
    encoder = BlockEncoder(tiny_model.model.encoder, left_frames=MAX_FRAMES)
    actual = encode_in_blocks(encoder, features, block=block, right=0)

    # Each convolution of a block looks one mel frame ahead, which is not there yet:
    # the frames of the full pass are taken from clips that end with the block.
    official = tiny_model.model.encoder
    with torch.inference_mode():
        x = torch.cat(
            [
                encoder._convolve(features[: 2 * end], at_start=True)[end - block : end]
                for end in range(block, 201, block)
            ]
        )
        x = (x + official.embed_positions.weight[: len(x)])[None]
        group = torch.arange(len(x[0])) // block
        mask = torch.where(group[None, :] <= group[:, None], 0.0, -torch.inf)
        for layer in official.layers:
            x = layer(x, mask[None, None])
            x = x[0] if isinstance(x, tuple) else x
        expected = official.layer_norm(x)[0]
    assert torch.allclose(actual, expected, atol=1e-4, rtol=0)


def test_later_audio_does_not_change_settled_frames(tiny_model, features):
    encoder = BlockEncoder(tiny_model.model.encoder, left_frames=MAX_FRAMES)
    shorter = encode_in_blocks(encoder, features[:500], block=17, right=17)
    longer = encode_in_blocks(encoder, features[:900], block=17, right=17)
    assert torch.equal(longer[: len(shorter)], shorter)


def test_a_bounded_left_context_forgets(tiny_model, features):
    encoder = BlockEncoder(tiny_model.model.encoder, left_frames=50)
    bounded = encode_in_blocks(encoder, features, block=17, right=17)
    changed = features.clone()
    changed[:100] = 0.0
    after = encode_in_blocks(encoder, changed, block=17, right=17)
    # Two layers of 50 frames each reach back 100 frames and a block or two.
    assert torch.equal(bounded[200:], after[200:])
    assert not torch.equal(bounded[:50], after[:50])


def test_encoding_without_keeping_leaves_no_trace(tiny_model, features):
    encoder = BlockEncoder(tiny_model.model.encoder, left_frames=MAX_FRAMES)
    disturbed, undisturbed = encoder.new_state(), encoder.new_state()
    for state in (disturbed, undisturbed):
        encoder.encode(features[:68], state, keep=17)
    encoder.encode(features[32:200], disturbed)
    a, b = (
        encoder.encode(features[32:102], state, keep=17)
        for state in (disturbed, undisturbed)
    )
    assert torch.equal(a, b)


@pytest.mark.parametrize("pieces", [[3], [5, 5], [4] * 7, [1] * 30])
def test_sliding_keys_hold_the_last_frames(pieces):
    cache, everything = SlidingKeys(2, 4, 5, torch.empty(0)), torch.empty(2, 2, 0, 4)
    for count in pieces:
        keys, values = torch.randn(2, count, 4), torch.randn(2, count, 4)
        everything = torch.cat([everything, torch.stack([keys, values])], 2)
        cache.append(keys, values)
        assert torch.equal(cache.view, everything[:, :, -5:])


def test_several_layers_are_the_official_hidden_states(tiny_model, features):
    encoder = BlockEncoder(
        tiny_model.model.encoder, left_frames=MAX_FRAMES, layers=(1, 2)
    )
    with torch.inference_mode():
        official = tiny_model.model.encoder(
            features.T[None], output_hidden_states=True
        ).hidden_states
    expected = torch.cat([official[1][0], official[2][0]], -1)
    assert torch.allclose(encoder.encode(features), expected, atol=1e-5, rtol=0)


def test_wanting_more_layers_does_not_change_the_last(tiny_model, features):
    official = tiny_model.model.encoder
    one = BlockEncoder(official, left_frames=50)
    both = BlockEncoder(official, left_frames=50, layers=(1, 2))
    last = encode_in_blocks(one, features, block=17, right=17)
    beside = encode_in_blocks(both, features, block=17, right=17)
    assert torch.equal(beside[:, 64:], last)
    assert both.no_frames().shape == (0, 128)
