import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.training.batches import cut_batches, pad_frames


@given(
    lengths=st.lists(st.integers(1, 300), max_size=60),
    max_frames=st.integers(100, 900),
    epoch=st.integers(0, 3),
)
def test_an_epoch_has_each_clip_once_in_batches_that_fit(lengths, max_frames, epoch):
    batches = cut_batches(lengths, max_frames=max_frames, seed=1, epoch=epoch)
    assert sorted(index for batch in batches for index in batch) == [
        *range(len(lengths))
    ]
    for batch in batches:
        padded = len(batch) * max(lengths[index] for index in batch)
        assert padded <= max_frames or len(batch) == 1


def test_seed_and_epoch_decide():
    lengths = [10 + i % 37 for i in range(200)]

    def cut(seed, epoch):
        return cut_batches(lengths, max_frames=300, seed=seed, epoch=epoch)

    assert cut(1, 0) == cut(1, 0)
    assert cut(1, 0) != cut(1, 1)
    assert cut(1, 0) != cut(2, 0)


def test_a_batch_holds_clips_of_similar_length():
    lengths = [10, 1000] * 100
    batches = cut_batches(lengths, max_frames=3000, seed=0, epoch=0)
    mixed = [b for b in batches if len({lengths[index] for index in b}) > 1]
    assert len(mixed) <= 1


def test_shorter_clips_end_in_zeros():
    clips = [np.ones((2, 3), np.float16), np.full((4, 3), 2, np.float16)]
    padded = pad_frames(clips, least=1)
    assert padded.shape == (2, 4, 3)
    assert padded.dtype == torch.float32
    assert not padded[0, 2:].any()
    assert torch.equal(padded[1], torch.full((4, 3), 2.0))
    assert pad_frames(clips, least=17).shape == (2, 17, 3)
