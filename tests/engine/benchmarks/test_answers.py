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


def test_the_official_way_encodes_all_of_it_at_the_end(engine, noise):
    official = engine.with_encoding(EncodingConfig(replies="exact"))
    found = answers._compare(engine, official, noise.numpy(), 3.0)
    assert found.segment_s == 3.0
    assert found.gain == pytest.approx(found.official_s / found.live_s)


def test_the_table_has_what_was_promised():
    figures = AnswerFigures(
        engine="tiny",
        language_model="gemma3",
        bridge="random",
        first_tokens=[FirstToken(3.0, 0.2, 0.8), FirstToken(28.0, 0.22, 1.1)],
        growth=1.1,
        sound=quantiles([1.0, 1.2], of="first token"),
    )
    told = {row.what: (row.figure, row.promised) for row in figures.rows()}
    assert told["first token after 28 s"] == ("220 ms", "")
    assert told["  officially : live"] == ("5.0", "")
    assert told["28 s : 3 s"] == ("1.10", "≤ 1.25")
    assert told["first token about 10 s of sound, p50 / p90 / p95"][1] == "p50 ≤ 1.5 s"
