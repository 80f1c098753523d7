import json

import pytest

from clients.errors import OutputError
from clients.subtitles import Captions, TranscriptFile, TranscriptPrinter
from stream.subtitles import Cue
from tests.clients.events import (
    PROGRESS,
    REFUSED,
    TASK_FAILED,
    arrived,
    final,
    partial,
)

TASKS = ("transcribe", "translate:de")


def test_the_tasks_of_a_segment_share_its_cue():
    captions = Captions(TASKS)
    assert captions.push(final("Hello.")) == []
    assert captions.push(final("Hallo.", task="translate:de")) == [
        Cue(300, 4200, ("Hello.", "Hallo."))
    ]


def test_cues_come_in_the_order_of_their_segments():
    captions = Captions(TASKS)
    captions.push(final("One.", segment=1))
    captions.push(final("Two.", segment=2, start_s=5, end_s=6))
    first = captions.push(final("Eins.", segment=1, task="translate:de"))
    assert [cue.lines for cue in first] == [("One.", "Eins.")]
    assert [cue.lines for cue in captions.flush()] == [("Two.",)]
    assert captions.flush() == []


def test_a_final_that_will_not_come_holds_up_no_other():
    captions = Captions(TASKS)
    captions.push(final("One.", segment=1))
    captions.push(final("Three.", segment=3, start_s=5, end_s=6))
    first = captions.miss(1, "translate:de")
    assert [cue.lines for cue in first] == [("One.",)]
    assert captions.miss(2, None) == []
    last = captions.push(final("Drei.", segment=3, task="translate:de"))
    assert [cue.lines for cue in last] == [("Three.", "Drei.")]


def test_what_is_missing_is_passed_on_to_the_cues(tmp_path):
    file = TranscriptFile(tmp_path / "a.srt")
    printer = TranscriptPrinter(file, tasks=("transcribe", "describe"), name=None)
    for event in (final("One."), TASK_FAILED, REFUSED):
        printer.show(arrived(event))
    file.close()
    assert "One." in (tmp_path / "a.srt").read_text()


def test_a_segment_without_words_has_no_cue():
    assert Captions(("transcribe",)).push(final("")) == []


def written(path, tasks=("transcribe",), events=()) -> str:
    file = TranscriptFile(path)
    printer = TranscriptPrinter(file, tasks=tasks, name="a.wav")
    for event in events:
        printer.show(arrived(event))
    printer.close()
    file.close()
    return path.read_text(encoding="utf-8")


EVENTS = (
    PROGRESS,
    partial("He"),
    final("Hello."),
    final("Again.", segment=2, start_s=5, end_s=6),
)


def test_a_subrip_file_numbers_its_cues(tmp_path):
    assert written(tmp_path / "a.srt", events=EVENTS) == (
        "1\n00:00:00,300 --> 00:00:04,200\nHello.\n\n"
        "2\n00:00:05,000 --> 00:00:06,000\nAgain.\n\n"
    )


def test_a_webvtt_file_begins_with_its_name(tmp_path):
    assert written(tmp_path / "a.vtt", events=EVENTS) == (
        "WEBVTT\n\n"
        "00:00:00.300 --> 00:00:04.200\nHello.\n\n"
        "00:00:05.000 --> 00:00:06.000\nAgain.\n\n"
    )


def test_a_file_of_json_lines_has_a_line_for_each_final(tmp_path):
    lines = written(tmp_path / "a.jsonl", TASKS, EVENTS).splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["Hello.", "Again."]
    assert json.loads(lines[0])["file"] == "a.wav"


def test_what_lacks_a_task_at_the_end_is_written_all_the_same(tmp_path):
    assert "Hello." in written(tmp_path / "a.srt", TASKS, EVENTS)


def test_what_was_written_is_on_disk_at_once(tmp_path):
    path = tmp_path / "a.srt"
    file = TranscriptFile(path)
    TranscriptPrinter(file, tasks=("transcribe",), name=None).show(arrived(EVENTS[2]))
    assert "Hello." in path.read_text()
    file.close()


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"a\.srt: cannot be written: No such file"):
        TranscriptFile(tmp_path / "none" / "a.srt")
