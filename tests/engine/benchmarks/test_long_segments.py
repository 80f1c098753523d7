from pathlib import Path

import pytest
from rich.console import Console

from engine.benchmarks.long_segments import encodings, hear_long
from engine.benchmarks.report import Setup
from engine.benchmarks.sounds import white_noise, write_wav
from engine.config import EncodingConfig, EngineConfig
from engine.data.manifest import Clip
from engine.local import LocalEngine


@pytest.fixture
def tiny_engine(tiny_whisper):
    return LocalEngine(tiny_whisper, EngineConfig(), why="tiny")


def setup_of(tmp_path: Path, durations_s: list[float]) -> Setup:
    clips = []
    for index, duration_s in enumerate(durations_s):
        samples = white_noise(duration_s, dbfs=-20)
        file = write_wav(tmp_path / f"{index}.wav", samples)
        clips.append(Clip(file.name, file, duration_s, {"text": "w1 w2"}))
    return Setup(clips, None, None, Console(quiet=True))


def test_what_is_compared_differs_in_left_context_and_in_the_closing_pass():
    compared = encodings(EncodingConfig(), [15.0, 30.0])
    assert [(e.left_context_s, e.closing) for e in compared.values()] == [
        (15.0, "streaming"),
        (30.0, "streaming"),
        (15.0, "exact"),
    ]


def test_clips_of_a_speaker_are_heard_as_one_segment(tiny_engine, tmp_path):
    setup = setup_of(tmp_path, [12.0, 13.0])
    found = hear_long(tiny_engine, setup, encodings(EncodingConfig(), [15.0]))
    assert found.segments == 1
    assert found.audio_s == pytest.approx(25.3)
    assert found.wer.keys() == {"streaming, 15 s left context", "exact, in one pass"}
    assert found.details[0]["reference"] == "w1 w2 w1 w2"
    assert found.details[0]["paths"] == ["0.wav", "1.wav"]


def test_clips_that_make_no_long_segment_give_no_figure(tiny_engine, tmp_path):
    setup = setup_of(tmp_path, [11.0])
    assert hear_long(tiny_engine, setup, encodings(EncodingConfig(), [15.0])) is None
