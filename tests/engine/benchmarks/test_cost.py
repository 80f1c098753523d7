from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.benchmarks.cost import Block, cost_between, cost_of, time_blocks
from engine.config import EncodingConfig, EngineConfig
from engine.local import LocalEngine


@pytest.fixture
def tiny_engine(tiny_whisper):
    return LocalEngine(tiny_whisper, EngineConfig(), why="tiny")


def test_audio_costs_its_share_of_the_block_that_settled_it():
    blocks = [Block(0.0, 2.0, 1.0), Block(2.0, 4.0, 3.0)]
    assert cost_between(blocks, 1.0, 2.0) == pytest.approx(0.5)
    assert cost_between(blocks, 1.5, 2.5) == pytest.approx(0.25 + 0.75)
    assert cost_between(blocks, 4.0, 5.0) == 0.0


@given(st.lists(st.tuples(st.floats(0.1, 2.0), st.floats(0.0, 1.0)), min_size=1))
def test_the_costs_of_parts_sum_up_to_the_whole(drawn):
    blocks, end_s = [], 0.0
    for length_s, taken_s in drawn:
        blocks.append(Block(end_s, end_s + length_s, taken_s))
        end_s += length_s
    bounds = [end_s * part / 7 for part in range(8)]
    total = sum(cost_between(blocks, *part) for part in pairwise(bounds))
    assert total == pytest.approx(sum(taken_s for _, taken_s in drawn), abs=1e-6)


def test_the_last_second_is_compared_with_the_second_one():
    dear = [Block(0.0, 1.0, 9.0), Block(1.0, 2.0, 1.0), Block(2.0, 3.5, 3.0)]
    cheap = [Block(b.start_s, b.stop_s, b.taken_s / 3) for b in dear]
    found = cost_of([dear, cheap, dear], left_context_s=15.0, floor_s=0.5)
    assert found.second_s == [9.0, 1.0, 2.0]
    assert found.last_s == pytest.approx(2.0)
    assert found.growth == pytest.approx(2.0)


def test_blocks_settle_one_behind_the_other(tiny_engine, noise):
    blocks = time_blocks(tiny_engine.new_encoding(), noise.numpy())
    assert blocks[0].start_s == 0.0
    assert [b.stop_s for b in blocks[:-1]] == [b.start_s for b in blocks[1:]]
    assert all(block.taken_s > 0 for block in blocks)


def test_an_engine_with_less_left_context_encodes_otherwise(tiny_engine, noise):
    bounded = tiny_engine.with_encoding(EncodingConfig(left_context_s=1.0))
    frames, other = (e.new_encoding().push(noise) for e in (tiny_engine, bounded))
    assert frames.shape == other.shape
    assert torch.allclose(frames[:34], other[:34])
    assert not torch.allclose(frames[-34:], other[-34:])
