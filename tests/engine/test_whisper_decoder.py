import pytest
import torch

from engine.whisper_decoder import TokenDecoder
from tests.engine.conftest import NUM_WORDS


@pytest.fixture
def frames():
    return torch.randn(150, 64)


@pytest.fixture
def tokens():
    return torch.randint(0, NUM_WORDS, (2, 9))


def cross_of(decoder, frames, size=40):
    """Return the keys and values of frames that settled in pieces."""
    store = decoder.new_cross()
    cross = store.write(decoder.project(frames[:0]), settle=0)
    for piece in frames.split(size):
        cross = store.write(decoder.project(piece), settle=len(piece))
    return cross


def test_tokens_in_pieces_match_one_official_pass(tiny_model, frames, tokens):
    with torch.inference_mode():
        expected = tiny_model(
            encoder_outputs=(frames.expand(2, -1, -1),), decoder_input_ids=tokens
        ).logits
    decoder = TokenDecoder(tiny_model)
    state = decoder.begin(cross_of(decoder, frames))
    pieces = [decoder.hidden(part, state) for part in tokens.split([4, 1, 4], 1)]
    actual = decoder.logits(torch.cat(pieces, 1))
    assert torch.allclose(actual, expected, atol=1e-4, rtol=0)


def test_cropped_tokens_are_forgotten(tiny_model, frames, tokens):
    decoder = TokenDecoder(tiny_model)
    state = decoder.begin(cross_of(decoder, frames))
    decoder.hidden(tokens, state)
    state.crop(4)
    fresh = decoder.begin(state.cross)
    decoder.hidden(tokens[:, :4], fresh)
    again, expected = (decoder.hidden(tokens[:, 4:6], s) for s in (state, fresh))
    assert torch.allclose(again, expected, atol=1e-5, rtol=0)


def test_provisional_frames_are_overwritten(tiny_model, frames):
    decoder = TokenDecoder(tiny_model)
    store = decoder.new_cross()
    store.write(decoder.project(frames[:50]), settle=30)
    cross = store.write(decoder.project(frames[30:]), settle=0)
    assert torch.equal(cross, cross_of(decoder, frames, size=len(frames)))
    assert store.settled == 30


def test_attention_is_that_of_the_official_heads(tiny_model, frames, tokens):
    tiny_model.set_attn_implementation("eager")
    with torch.inference_mode():
        official = tiny_model(
            encoder_outputs=(frames[None],),
            decoder_input_ids=tokens[:1],
            output_attentions=True,
        ).cross_attentions
    tiny_model.set_attn_implementation("sdpa")
    decoder = TokenDecoder(tiny_model)
    heads = torch.tensor([[0, 1], [1, 2], [1, 3]])
    state = decoder.begin(cross_of(decoder, frames), watch=heads)
    for piece in tokens[:1].split([4, 1, 4], 1):
        decoder.hidden(piece, state)
    actual = state.attention
    expected = torch.stack([official[layer][0, head] for layer, head in heads])
    assert torch.allclose(actual, expected, atol=1e-5, rtol=0)
