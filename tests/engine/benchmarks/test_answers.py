import numpy as np
import pytest

from engine.api import Mode
from engine.benchmarks import answers
from engine.benchmarks.answers import AnswerFigures, FirstToken, cut
from engine.benchmarks.statistics import quantiles
from engine.config import EncodingConfig, EngineConfig
from engine.local import LocalEngine
from tests.engine.tiny_head import tiny_head


@pytest.fixture
def engine(tiny_whisper):
    head = tiny_head("gemma3", beats=None)
    return LocalEngine(tiny_whisper, EngineConfig(), why="tiny", head=head)


def test_each_repetition_ends_elsewhere_in_a_block():
    clips = cut(np.zeros(16_000 * 4, np.float32), 3.0)
    ends = [len(clip) % 10_880 for clip in clips]
    assert len(clips[0]) == 48_000
    assert len(set(ends)) == answers.REPETITIONS


def test_the_first_token_is_timed_and_nothing_is_left(engine, noise, monkeypatch):
    modes, closed = [], []
    begin = engine.generate

    def generate(replies):
        modes.extend(reply.mode for reply in replies)
        begin(replies)
        closed.extend(reply.answer for reply in replies)

    monkeypatch.setattr(engine, "generate", generate)
    assert answers.ask_about_speech(engine, noise.numpy()) > 0
    assert answers.ask_about_sound(engine, noise.numpy()) > 0
    assert modes == [Mode.STREAMING] * 2
    for answer in closed:
        with pytest.raises(AssertionError, match="closed"):
            _ = answer.cache


def test_both_ways_are_asked_in_turns(engine, noise, monkeypatch):
    official = engine.with_encoding(EncodingConfig(replies="exact"))
    asked = []
    for one, way in ((engine, "live"), (official, "official")):
        begin = one.open
        monkeypatch.setattr(
            one,
            "open",
            lambda wish, way=way, begin=begin: asked.append(way) or begin(wish),
        )
    monkeypatch.setattr(answers, "LENGTHS_S", (1.0, 2.0, 3.0))
    steps = []
    found = answers.compare(engine, official, noise.numpy(), lambda: steps.append(1))
    assert [first.segment_s for first in found] == [1.0, 2.0, 3.0]
    assert asked == ["live", "official"] * 3 * answers.REPETITIONS
    assert len(steps) == 3 * answers.REPETITIONS
    for first in found:
        assert first.gain == pytest.approx(first.official_s / first.live_s)


def test_no_length_is_always_the_first(engine, noise, monkeypatch):
    asked = []

    def ask(_, clip):
        seconds = len(clip) / 16_000
        asked.append(min(answers.LENGTHS_S, key=lambda n: abs(n - seconds)))
        return 1.0

    monkeypatch.setattr(answers, "ask_about_speech", ask)
    long = np.zeros(16_000 * 28, np.float32)
    answers.compare(engine, engine, long, lambda: None)
    firsts = asked[:: 2 * len(answers.LENGTHS_S)]
    assert firsts[:4] == [3.0, 10.0, 28.0, 3.0]
    assert sorted(asked) == sorted(2 * answers.REPETITIONS * answers.LENGTHS_S)


def test_the_table_has_what_was_promised():
    figures = AnswerFigures(
        engine="tiny",
        language_model="gemma3",
        bridge="random",
        first_tokens=[FirstToken(3.0, 0.2, 0.8), FirstToken(28.0, 0.22, 1.1)],
        growth=1.1,
        sound=quantiles([1.0, 1.2], of="first token"),
        memory_mb=2345.6,
    )
    told = {row.what: (row.figure, row.promised) for row in figures.rows()}
    assert told["first token after 28 s"] == ("220 ms", "")
    assert told["  officially : live"] == ("5.0", "")
    assert told["memory of the process"] == ("2,346 MB", "")
    assert told["28 s : 3 s"] == ("1.10", "≤ 1.25")
    assert told["first token about 10 s of sound, p50 / p90 / p95"][1] == "p50 ≤ 1.5 s"
