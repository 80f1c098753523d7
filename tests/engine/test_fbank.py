import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from engine.fbank import HOP_SAMPLES, NUM_BINS, WINDOW_SAMPLES, StreamingFbank, fbank


@given(sizes=st.lists(st.integers(0, 900), max_size=12))
def test_frames_do_not_depend_on_how_the_stream_was_cut(sizes):
    samples = torch.randn(sum(sizes), generator=torch.Generator().manual_seed(1))
    stream = StreamingFbank()
    pushed = [stream.push(piece) for piece in samples.split(sizes)] if sizes else []
    streamed = torch.cat([torch.empty(0, NUM_BINS), *pushed])
    assert_close(streamed, fbank(samples), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("count", "frames"), [(0, 0), (399, 0), (400, 1), (560, 2)])
def test_only_whole_frames_count(count, frames):
    assert len(StreamingFbank().push(torch.zeros(count))) == frames
    assert frames == max(0, 1 + (count - WINDOW_SAMPLES) // HOP_SAMPLES)
