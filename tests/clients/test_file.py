import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from clients.file import FileSource, main
from clients.pcm import AudioFile
from tests.clients.scripted_server import ScriptedServer, expected_texts
from tests.clients.threaded_server import threaded_server

DEMO = Path(__file__).parents[2] / "demo"


@pytest.fixture
def server():
    with threaded_server() as server:
        yield server


@pytest.fixture
def stereo(tmp_path) -> Path:
    path = tmp_path / "stereo.wav"
    samples = np.random.default_rng(0).integers(-9, 9, (8000, 2), dtype=np.int16)
    soundfile.write(path, samples, 44_100)
    return path


def run(server: ScriptedServer, *argv: object) -> int:
    return main(["--url", server.url, *map(str, argv)])


def finals(text: str) -> list[dict]:
    events = [json.loads(line) for line in text.splitlines()]
    return [event for event in events if event["type"] == "final"]


def test_a_file_is_sent_whole(server, capsys):
    assert run(server, DEMO / "crow.ogg", "--fast", "--json", "-") == 0
    audio = b"".join(AudioFile(DEMO / "crow.ogg").pieces(10**6))
    assert bytes(server.audio) == audio
    texts = [event["text"] for event in finals(capsys.readouterr().out)]
    assert texts == expected_texts(audio, rate=16_000)


def test_several_files_are_several_sessions_in_order(server, stereo, capsys):
    assert run(server, stereo, DEMO / "crow.ogg", "--fast", "--json", "-") == 0
    files = [event["file"] for event in finals(capsys.readouterr().out)]
    assert list(dict.fromkeys(files)) == [str(stereo), str(DEMO / "crow.ogg")]
    assert [start.rate for start in server.starts] == [44_100, 16_000]


def test_another_format_is_declared_and_told(server, stereo, capsys):
    assert run(server, stereo, "--fast") == 0
    assert (server.starts[0].rate, server.starts[0].channels) == (44_100, 2)
    told = "44100 Hz, 2 channels, s16le; the server mixes and resamples it"
    assert told in capsys.readouterr().err


def test_a_file_is_paced_as_it_was_spoken(server, stereo, capsys):
    assert run(server, stereo, "--json", "-") == 0
    assert all(e["latency_s"] >= 0 for e in finals(capsys.readouterr().out))


def test_a_file_that_is_no_audio_fails_and_the_others_are_heard(
    server, stereo, tmp_path, capsys
):
    notes = tmp_path / "notes.txt"
    notes.write_text("to whom it may concern")
    assert run(server, notes, stereo, "--fast") == 1
    assert f"salmonn-file: {notes}: not audio" in capsys.readouterr().err
    assert server.audio


def test_subtitles_are_kept(server, stereo, tmp_path):
    path = tmp_path / "a.srt"
    assert run(server, stereo, "--fast", "--save", path) == 0
    assert path.read_text().startswith("1\n00:00:00,000 --> ")


def test_subtitles_of_several_files_are_wrong_usage(server, stereo, capsys):
    with pytest.raises(SystemExit) as info:
        run(server, stereo, stereo, "--save", "a.srt")
    assert info.value.code == 2
    assert "subtitles belong to one file" in capsys.readouterr().err


def test_no_server_is_one_sentence_and_a_failed_run(stereo, capsys):
    assert main([str(stereo), "--url", "ws://127.0.0.1:1"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("salmonn-file: no server answers at ws://127.0.0.1:1")


async def test_a_source_that_is_stopped_ends_after_its_piece():
    source = FileSource(DEMO / "jfk.ogg", fast=True)
    pieces = source.pieces()
    await anext(pieces)
    source.stop()
    assert [piece async for piece in pieces] == []
