import json

from clients.marks import Mark, WaitingMarks
from clients.records import JsonPrinter
from clients.subtitles import TranscriptFile, TranscriptPrinter
from stream.events import Progress
from stream.subtitles import Cue
from tests.clients.events import arrived, final


def mark(number, seconds):
    return Mark(number, round(seconds * 16_000), round(seconds * 48_000))


def shown(cues):
    return [cue.lines[0] for cue in cues]


def test_a_mark_waits_for_speech_from_before_it():
    marks = WaitingMarks()
    marks.push(mark(1, 2.0))
    marks.push(mark(2, 9.0))
    assert marks.before(Cue(1_000, 3_000, ("early",))) == []
    assert shown(marks.before(Cue(2_000, 3_000, ("late",)))) == ["[mark 1]"]
    assert marks.settled(9 * 16_000) == []  # in the client's samples it is not
    assert shown(marks.settled(9 * 48_000)) == ["[mark 2]"]
    assert marks.flush() == []


def save(path, *steps):
    file = TranscriptFile(path)
    printer = TranscriptPrinter(file, tasks=("transcribe",), name="a.wav")
    for step in steps:
        if isinstance(step, Mark):
            printer.mark(step)
        else:
            printer.show(arrived(step))
    printer.close()
    file.close()
    return path.read_text("utf-8")


def test_marks_stand_in_subtitles_where_they_belong(tmp_path):
    said = final("One.", start_s=0.5, end_s=3.0), final("Two.", start_s=5, end_s=6)
    steps = mark(1, 2.0), said[0], mark(2, 4.0), said[1], mark(3, 7.0)
    text = save(tmp_path / "a.srt", *steps)
    assert [line for line in text.splitlines() if line.startswith(("O", "T", "["))] == [
        *("One.", "[mark 1]", "[mark 2]", "Two.", "[mark 3]")
    ]
    assert "2\n00:00:02,000 --> 00:00:03,000\n[mark 1]\n" in text
    assert "00:00:07.000 --> 00:00:08.000\n[mark 3]\n" in save(
        tmp_path / "a.vtt", *steps
    )


def test_a_mark_in_silence_is_written_once_it_is_known_to_be(tmp_path):
    path = tmp_path / "a.vtt"
    file = TranscriptFile(path)
    printer = TranscriptPrinter(file, tasks=("transcribe",), name=None)
    printer.mark(mark(1, 2.0))
    assert "mark" not in path.read_text()
    progress = Progress(seq=1, accepted=200_000, settled=2 * 48_000)
    printer.show(arrived(progress))
    assert "[mark 1]" in path.read_text()
    file.close()


def test_a_mark_is_a_line_with_the_fields_of_all_lines(tmp_path, capsys):
    text = save(tmp_path / "a.jsonl", mark(1, 2.0), final("One."))
    first, second = map(json.loads, text.splitlines())
    assert (first["type"], first["text"], first["start_s"]) == ("mark", "mark 1", 2.0)
    assert first["file"] == "a.wav"
    assert first.keys() <= second.keys()


def test_programs_are_told_of_marks(tmp_path):
    with (tmp_path / "out").open("w+") as stream:
        JsonPrinter(stream, file=None).mark(mark(2, 1.5))
        stream.seek(0)
        assert json.loads(stream.read())["end_s"] == 1.5
