import pytest
import torch
from torch.testing import assert_close

from engine.beats_streaming import BlockBeats, StreamingBeats
from engine.fbank import HOP_SAMPLES, WINDOW_SAMPLES, fbank
from tests.engine.tiny_beats import LOOKS_AHEAD, LOOKS_BACK, WIDTH, tiny_beats

COLUMN = 16 * HOP_SAMPLES
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
CLIP = 40 * COLUMN + WINDOW_SAMPLES + 1_234


@pytest.fixture(params=[LOOKS_AHEAD, LOOKS_BACK], ids=["official", "ours"])
def beats(request):
    return tiny_beats(**request.param)


@pytest.fixture
def clip():
    return torch.randn(CLIP) * 0.1


def heard(beats, clip, size=CLIP, **options):
    stream = StreamingBeats(BlockBeats(beats, **options))
    settled = [stream.push(piece) for piece in clip.split(size)]
    return torch.cat(settled), stream.rest()


def offline(beats, clip):
    with torch.inference_mode():
        return beats(fbank(clip)[None])[0][0]


def test_weights_that_look_back_give_streamed_what_they_give_offline(clip):
    beats = tiny_beats(**LOOKS_BACK)
    assert_close(torch.cat(heard(beats, clip)), offline(beats, clip), **CLOSE)


def test_official_weights_are_streamed_as_one_pass_under_a_mask(clip):
    """Each block has its own right context, which no other block sees."""
    beats = tiny_beats(**LOOKS_AHEAD)
    block = BlockBeats(beats)
    new, right = 8 * block.block_columns, 8 * block.right_columns
    with torch.inference_mode():
        unplaced = beats.post_extract_proj(beats.patches(fbank(clip)[None]))
        official = beats.encoder.place(unplaced)
        tokens, positions, passes, is_new = [], [], [], []
        count = (unplaced.shape[1] - right) // new
        for number in range(count):
            first, stop = number * new, (number + 1) * new + right
            placed = beats.encoder.place(unplaced[:, :stop])
            tokens += [official[:, first : first + new], placed[:, first + new :]]
            positions.append(torch.arange(first, stop))
            passes.append(torch.full((new + right,), number))
            is_new.append(torch.arange(new + right) < new)
        x, position = torch.cat(tokens, 1), torch.cat(positions)
        number, kept = torch.cat(passes), torch.cat(is_new)
        earlier = kept[None] & (number[None] < number[:, None])
        seen = earlier | (number[None] == number[:, None])
        for layer in beats.encoder.layers:
            x = layer(x, beats.encoder.bias(position, position), ~seen)
    settled, _ = heard(beats, clip)
    assert len(settled) == count * new > 0
    assert_close(settled, x[0, kept], **CLOSE)


def test_what_comes_in_one_block_is_the_official_computation(clip):
    beats = tiny_beats(**LOOKS_AHEAD)
    short = clip[: 8 * COLUMN]
    settled, rest = heard(beats, short)
    assert len(settled) == 0
    assert_close(rest, offline(beats, short), **CLOSE)


@pytest.mark.parametrize("size", [7, 320, 5_000])
def test_it_does_not_matter_how_a_clip_is_cut(beats, clip, size):
    clip = clip[: 30 * COLUMN]
    for cut, whole in zip(heard(beats, clip, size), heard(beats, clip), strict=True):
        assert_close(cut, whole, **CLOSE)


def test_every_token_comes_once(beats, clip):
    settled, rest = heard(beats, clip)
    assert len(settled) + len(rest) == len(offline(beats, clip)) == 8 * 40


def test_later_audio_does_not_change_settled_tokens(beats, clip):
    settled, _ = heard(beats, clip[: 30 * COLUMN])
    longer, _ = heard(beats, clip)
    assert len(longer) > len(settled) > 0
    assert torch.equal(longer[: len(settled)], settled)


def test_a_guess_leaves_no_trace(beats, clip):
    stream = StreamingBeats(BlockBeats(beats))
    settled = []
    for piece in clip.split(COLUMN):
        settled.append(stream.push(piece))
        stream.rest()
    assert_close(torch.cat(settled), heard(beats, clip)[0], **CLOSE)


def test_a_bounded_left_context_forgets(beats):
    clip = torch.randn(64 * COLUMN) * 0.1
    changed = clip.clone()
    changed[: 2 * COLUMN] = 0.0
    streams = [heard(beats, x, left_context_s=0.5)[0] for x in (clip, changed)]
    first, second = (s.view(-1, 8, WIDTH) for s in streams)
    # Three layers reach back three blocks, and the convolution a little more.
    assert torch.equal(first[-8:], second[-8:])
    assert not torch.equal(first[:2], second[:2])


def test_less_than_a_column_has_no_tokens(beats):
    settled, rest = heard(beats, torch.zeros(COLUMN))
    assert settled.shape == rest.shape == (0, WIDTH)
