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


def test_neighbouring_rounds_end_elsewhere_in_a_block():
    samples = np.zeros(16_000 * 4, np.float32)
    clips = [cut(samples, 3.0, number) for number in range(10)]
    ends = [len(clip) % 10_880 for clip in clips]
    assert len(clips[0]) == len(clips[5]) == 48_000
    assert len(set(ends)) == 5


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
    assert modes == [Mode.STREAMING, Mode.EXACT]
    for answer in closed:
        with pytest.raises(AssertionError, match="closed"):
            _ = answer.cache


def test_a_further_question_does_not_hear_again(engine, noise, monkeypatch):
    encoded = []
    begin = engine._encoder.encode

    def encode(features, *arguments, **options):
        encoded.append(len(features))
        return begin(features, *arguments, **options)

    monkeypatch.setattr(engine._encoder, "encode", encode)
    assert answers.ask_about_sound(engine, noise.numpy()) > 0
    once = len(encoded)
    first_s, further_s = answers.ask_twice(engine, noise.numpy())
    assert min(first_s, further_s) > 0
    assert len(encoded) == 2 * once


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
    monkeypatch.setattr(answers, "SOUND_S", 2.0)
    steps = []
    found = answers.compare(engine, official, noise.numpy(), 2, lambda: steps.append(1))
    assert [first.audio_s for first in found] == [1.0, 2.0, 3.0, 2.0]
    assert asked == ["live", "official"] * 4 * 2
    assert len(steps) == 4 * 2
    for first in found:
        assert first.live_s.count == first.official_s.count == 2
        gain = first.official_s.p50 / first.live_s.p50
        assert first.gain == pytest.approx(gain)


def test_nothing_is_always_the_first(engine, monkeypatch):
    asked = []

    def ask(_, clip):
        seconds = len(clip) / 16_000
        asked.append(min((3.0, 10.0, 28.0), key=lambda n: abs(n - seconds)))
        return 1.0

    def ask_about_sound(_, clip):
        asked.append("sound")
        return 1.0

    monkeypatch.setattr(answers, "ask_about_speech", ask)
    monkeypatch.setattr(answers, "ask_about_sound", ask_about_sound)
    long = np.zeros(16_000 * 28, np.float32)
    answers.compare(engine, engine, long, 4, lambda: None)
    assert asked[:: 2 * 4] == [3.0, 10.0, 28.0, "sound"]
    assert sorted(map(str, asked)) == sorted(
        2 * 4 * list(map(str, (*answers.LENGTHS_S, "sound")))
    )


def test_the_table_has_what_was_promised():
    figures = AnswerFigures(
        engine="tiny",
        first_tokens=[
            FirstToken(3.0, spread(0.2), spread(0.8)),
            FirstToken(28.0, spread(0.22), spread(1.1)),
        ],
        growth=1.1,
        sound=FirstToken(10.0, spread(1.1), spread(3.3)),
        further_s=spread(0.3),
        further=0.27,
        memory_mb=2345.6,
    )
    rows = figures.rows()
    told = {row.what: (row.figure, row.promised) for row in rows}
    assert told["  after 28 s of speech"] == ("0.22 / 0.22 / 0.22 s (n 1)", "")
    assert [row.figure for row in rows if "officially :" in row.what] == [
        "4.0",
        "5.0",
        "3.0",
    ]
    assert told["memory of the process"] == ("2,346 MB", "")
    assert told["28 s : 3 s"] == ("1.10", "≤ 1.25")
    assert told["    further : first"] == ("0.27", "≤ 0.5")
    assert told["  about 10 s of sound"] == (
        "1.10 / 1.10 / 1.10 s (n 1)",
        "p50 ≤ 1.5 s",
    )


def spread(seconds):
    return quantiles([seconds], of="first token")
