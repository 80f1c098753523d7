"""Sounds and what watches notice, in lines, records and subtitles."""

import io
import json

import pytest

from clients.records import record
from clients.sounds import SoundReceipts, cue_of
from clients.subtitles import TranscriptFile, TranscriptPrinter
from clients.terminal import LinePrinter, failure
from stream.events import Error
from stream.sound_events import Noticed, Sound
from tests.clients.events import arrived, final


def sound(start_s, end_s, *, text="dog barking", complete=True, seq=1):
    return Sound(
        seq=seq,
        label=f"the {text}",
        text=text,
        score=0.91,
        start=round(start_s * 16_000),
        end=round(end_s * 16_000),
        complete=complete,
    )


def noticed(start_s, end_s, *, name="1", complete=False, audio=""):
    return Noticed(
        seq=1,
        id=name,
        text="a crying baby",
        score=0.934,
        start=round(start_s * 16_000),
        end=round(end_s * 16_000),
        complete=complete,
        audio=audio,
    )


def test_a_sound_is_a_line_when_it_begins():
    stream = io.StringIO()
    printer = LinePrinter(stream, named=False, verbose=False)
    for event in (
        sound(1, 3, complete=False),
        final("Hello."),
        sound(1, 6),
        noticed(7, 8),
        noticed(7, 9, complete=True),
    ):
        printer.show(arrived(event))
    assert stream.getvalue() == (
        "[1.0] [dog barking]\n[0.3–4.2] Hello.\n[7.0] [a crying baby] (0.93)\n"
    )


def test_what_steers_a_terminal_is_no_part_of_a_line():
    stream = io.StringIO()
    printer = LinePrinter(stream, named=False, verbose=False)
    printer.show(arrived(sound(1, 2, text="a\x1b[2J\nb", complete=False)))
    assert stream.getvalue() == "[1.0] [a[2J b]\n"
    assert cue_of(sound(1, 2, text="a\nb")).lines == ("[a b]",)


def test_subtitles_have_sounds_between_the_words_in_the_order_of_time(tmp_path):
    path = tmp_path / "a.srt"
    file = TranscriptFile(path)
    printer = TranscriptPrinter(file, tasks=("transcribe",), name=None, sounds=True)
    first = final("Hello.", start_s=0, end_s=2)
    second = final("Again.", segment=2, start_s=5, end_s=6)
    for event in (
        sound(1, 3, complete=False),
        first,
        second,
        sound(1, 5.5),
        noticed(3, 7, complete=True),
    ):
        printer.show(arrived(event))
    written = path.read_text()
    assert "[dog barking]" in written, "it is there before the end"
    printer.close()
    file.close()
    lines = path.read_text().splitlines()
    assert lines[2::4] == ["Hello.", "[dog barking]", "[a crying baby]", "Again."]
    assert lines[::4] == ["1", "2", "3", "4"]
    assert lines[5] == "00:00:01,000 --> 00:00:05,500"


def test_subtitles_without_sounds_are_written_once(tmp_path, monkeypatch):
    file = TranscriptFile(tmp_path / "a.vtt")
    monkeypatch.setattr(file, "rewrite_cues", None)
    printer = TranscriptPrinter(file, tasks=("transcribe",), name=None, sounds=True)
    printer.show(arrived(final("Hello.")))
    printer.close()
    file.close()
    assert "Hello." in (tmp_path / "a.vtt").read_text()


def test_json_lines_keep_what_is_over(tmp_path):
    path = tmp_path / "a.jsonl"
    file = TranscriptFile(path)
    printer = TranscriptPrinter(file, tasks=("transcribe",), name="x", sounds=True)
    for event in (sound(1, 2, complete=False), sound(1, 3)):
        printer.show(arrived(event))
    printer.close()
    file.close()
    (line,) = map(json.loads, path.read_text().splitlines())
    assert (line["type"], line["text"], line["label"]) == (
        *("sound", "dog barking", "the dog barking"),
    )
    assert (line["start_s"], line["end_s"], line["complete"]) == (1.0, 3.0, True)


def test_a_record_has_what_a_program_needs():
    told = record(noticed(1, 2, audio="AAAA"), file="f")
    assert told == {
        "file": "f",
        "type": "noticed",
        "segment": None,
        "task": None,
        "text": "a crying baby",
        "start_s": 1.0,
        "end_s": 2.0,
        "latency_s": None,
        "language": None,
        "mode": None,
        "id": "1",
        "score": 0.934,
        "complete": False,
        "audio": "AAAA",
    }
    assert "audio" not in record(noticed(1, 2))
    refused = Error(seq=1, code="limit", message="too many", watch="7")
    assert record(refused)["id"] == "7"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ({"watch": "7"}, "watch 7: no (engine)"),
        ({"task": "sounds"}, "sounds: no (engine)"),
        ({"task": "describe", "segment": 2}, "segment 2, describe: no (engine)"),
    ],
    ids=str,
)
def test_an_error_says_what_it_is_about(error, line):
    event = Error(seq=1, code="engine", message="no", **error)
    assert not event.ends_session
    assert failure(event) == line


def test_a_cue_is_never_without_length():
    assert cue_of(sound(1, 1)).end_ms == cue_of(sound(1, 1)).start_ms + 1


def test_what_another_server_hears_again_is_not_told_twice():
    receipts = SoundReceipts()
    assert receipts.is_new(sound(1, 2, complete=False))
    assert receipts.is_new(sound(1, 4))
    assert receipts.is_new(sound(10, 11, complete=False))
    # The server is gone; the next one hears again from sample 3 s on.
    assert not receipts.is_new(sound(3, 3.5, complete=False))
    assert not receipts.is_new(sound(3, 4))
    assert not receipts.is_new(sound(10.5, 12, complete=False))
    assert receipts.is_new(sound(10.5, 13))
    assert receipts.is_new(sound(20, 21, complete=False))
    assert receipts.is_new(sound(10, 11, text="rain", complete=False))
