import io
import json
from dataclasses import replace

import pytest

from clients.questions import QuestionBook
from clients.replay import Receipts
from clients.speakers import SpeakerPrinter, spoken
from clients.subtitles import TranscriptFile, TranscriptPrinter
from clients.terminal import LinePrinter
from stream.events import (
    Error,
    NameSpeaker,
    SpeakerNamed,
    Speakers,
    SpeakerTurn,
    Started,
)
from tests.clients.events import FAILED, PROGRESS, arrived, final, partial

SECOND = 16_000
HELLO = final("Hello. Good day.")
DEAF = Error(seq=1, code="engine", message="no", segment=1, task="speakers")


def speakers(*turns, segment=1, complete=True):
    """Return an event of turns: speaker, text, start and end in seconds, name."""
    return Speakers(
        seq=1,
        segment=segment,
        complete=complete,
        turns=tuple(
            SpeakerTurn(
                speaker=speaker,
                text=text,
                start=round(start_s * SECOND),
                end=round(end_s * SECOND),
                name="".join(name),
            )
            for speaker, text, start_s, end_s, *name in turns
        ),
    )


TWO = speakers((1, "Hello.", 0.3, 2.0), (2, "Good day.", 2.0, 4.2))
ONE = speakers((1, "Hello. Good day.", 0.3, 4.2))
NAMED = SpeakerNamed(seq=1, speaker=2, name="Anna")


def lines(*events):
    stream = io.StringIO()
    printer = SpeakerPrinter(LinePrinter(stream, named=False, verbose=False))
    for event in events:
        printer.show(arrived(event))
    printer.close()
    return stream.getvalue().splitlines()


def written(path, *events, tasks=("transcribe",)):
    file = TranscriptFile(path)
    printer = TranscriptPrinter(file, tasks=tasks, name=None, speakers=True)
    for event in events:
        printer.show(arrived(event))
    before = path.read_text()
    printer.close()
    file.close()
    return before, path.read_text()


def test_a_line_a_turn_with_who_speaks():
    assert lines(partial("He"), HELLO, PROGRESS, TWO) == [
        "[0.3–2.0] speaker 1: Hello.",
        "[2.0–4.2] speaker 2: Good day.",
    ]


def test_a_name_stands_for_a_number_from_when_it_was_given():
    assert lines(NAMED, HELLO, TWO)[1] == "[2.0–4.2] Anna: Good day."


def test_a_correction_is_a_line_of_its_own_and_told_once():
    assert lines(HELLO, TWO, ONE, ONE)[2:] == [
        "[0.3–4.2] corrected: speaker 1: Hello. Good day."
    ]


def test_who_is_not_known_has_no_label():
    assert lines(HELLO, speakers((0, "Hello. Good day.", 0.3, 4.2))) == [
        "[0.3–4.2] Hello. Good day."
    ]


@pytest.mark.parametrize("event", [DEAF, FAILED])
def test_where_nobody_can_tell_the_line_comes_without(event, capsys):
    assert lines(HELLO, event) == ["[0.3–4.2] Hello. Good day."]
    assert "segment 1" in capsys.readouterr().err


def test_what_is_held_at_the_end_is_shown():
    assert lines(HELLO) == ["[0.3–4.2] Hello. Good day."]


def test_turns_without_words_are_no_turns_and_those_of_one_are_joined():
    told = speakers(
        (1, "Hello.", 0, 1), (2, "", 1, 1.4), (1, "Good", 1.4, 2), (3, "day.", 2, 3)
    )
    assert [(t.speaker, t.text, t.end) for t in spoken(told)] == [
        (1, "Hello. Good", 2 * SECOND),
        (3, "day.", 3 * SECOND),
    ]


def test_a_subrip_file_has_the_speaker_before_the_text(tmp_path):
    _, text = written(tmp_path / "a.srt", HELLO, TWO)
    assert text == (
        "1\n00:00:00,300 --> 00:00:02,000\nspeaker 1: Hello.\n\n"
        "2\n00:00:02,000 --> 00:00:04,200\nspeaker 2: Good day.\n\n"
    )


def test_a_webvtt_file_has_the_speaker_as_its_voice(tmp_path):
    _, text = written(tmp_path / "a.vtt", NAMED, HELLO, TWO)
    assert "\n<v speaker 1>Hello.\n" in text
    assert "\n<v Anna>Good day.\n" in text


def test_a_translation_stands_with_the_longest_turn(tmp_path):
    german = final("Hallo. Guten Tag.", task="translate:de")
    tasks = ("transcribe", "translate:de")
    _, text = written(tmp_path / "a.srt", HELLO, german, TWO, tasks=tasks)
    assert "speaker 1: Hello.\n\n" in text
    assert "speaker 2: Good day.\nHallo. Guten Tag.\n\n" in text


def test_a_correction_is_in_the_file_at_the_end(tmp_path):
    before, after = written(tmp_path / "a.srt", HELLO, TWO, ONE)
    assert "speaker 2: Good day." in before
    assert after == (
        "1\n00:00:00,300 --> 00:00:04,200\nspeaker 1: Hello. Good day.\n\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.srt"]


def test_a_name_given_late_is_in_the_file_from_its_beginning(tmp_path):
    _, after = written(tmp_path / "a.vtt", HELLO, TWO, NAMED)
    assert after.startswith("WEBVTT\n\n")
    assert "<v Anna>Good day." in after
    assert "speaker 2" not in after


def test_json_lines_have_turns_and_later_ones_replace_them(tmp_path):
    going_on = speakers((1, "", 0.3, 2.0), complete=False)
    _, text = written(tmp_path / "a.jsonl", going_on, HELLO, TWO, ONE, NAMED)
    told = [json.loads(line) for line in text.splitlines()]
    assert [one["type"] for one in told] == [
        "final",
        "speakers",
        "speakers",
        "speaker_named",
    ]
    assert told[1]["turns"][1] == {
        "speaker": 2,
        "name": None,
        "text": "Good day.",
        "start_s": 2.0,
        "end_s": 4.2,
    }
    assert (told[3]["speaker"], told[3]["name"]) == (2, "Anna")


def started(*, resumed):
    return Started(
        seq=1,
        version=1,
        session="a",
        model="m",
        tasks=("transcribe",),
        resumed=resumed,
        accepted=0,
        settled=0,
    )


def test_where_speakers_cannot_be_told_is_no_part_of_where_to_resume():
    receipts = Receipts()
    receipts.begin(started(resumed=False))
    for seq, segment in enumerate((1, 2, 3), 2):
        receipts.is_new(replace(final("A", segment=segment, end_s=segment), seq=seq))
    receipts.is_new(replace(DEAF, seq=9))
    assert receipts.resume(0).segment == 3


def test_names_are_sent_again_to_a_server_that_has_the_session_and_to_no_other():
    book = QuestionBook()
    for name in ("An", "Anna"):
        book.name(1, name)
    assert book.take(0).name == "Anna"
    book.begin(started(resumed=True))
    assert book.take(0) == NameSpeaker(speaker=1, name="Anna")
    assert book.take(0) is None
    book.begin(started(resumed=False))
    assert book.take(0) is None
