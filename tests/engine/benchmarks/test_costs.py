"""What the language model's pieces take, on a tiny one."""

import pytest

from engine.benchmarks import costs
from engine.benchmarks.costs import reply_seconds
from engine.config import EngineConfig
from engine.local import LocalEngine
from tests.engine.tiny_head import tiny_head


@pytest.fixture(autouse=True)
def once(monkeypatch):
    monkeypatch.setattr(costs, "ROUNDS", 1)


def test_every_piece_of_the_language_model_is_timed(tiny_whisper, noise):
    head = tiny_head("gemma3", beats=None)
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny", head=head)
    found = reply_seconds(engine, noise.numpy(), block_s=0.0)
    assert min(found.read_s, found.prompt_s, found.step_s) > 0
    assert min(found.unread_s, found.step_each_s) >= 0


def test_who_answers_nothing_has_no_such_costs(tiny_whisper, noise):
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny")
    assert reply_seconds(engine, noise.numpy(), block_s=0.0) is None


def test_blocks_are_told_for_a_second_of_audio(tiny_whisper, noise):
    engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny")
    assert 0 < costs._block_s(engine, noise.numpy()) < 5
