import io
import json

import pytest

from clients.records import JsonPrinter, record
from stream.events import Error, SpeechEnded
from tests.clients.events import (
    FAILED,
    PROGRESS,
    REFUSED,
    STARTED,
    TASK_FAILED,
    answer,
    answer_partial,
    answer_started,
    arrived,
    final,
    partial,
    word,
)

FIELDS = {
    "file",
    "type",
    "segment",
    "task",
    "text",
    "start_s",
    "end_s",
    "latency_s",
    "language",
    "mode",
}


@pytest.mark.parametrize(
    ("event", "more"),
    [
        (STARTED, set()),
        (partial("so"), {"stable"}),
        (SpeechEnded(seq=1, segment=1, end=16_000), set()),
        (final("so far"), {"source"}),
        (final("so", words=(word("so", 0, 1),)), {"words", "source"}),
        (FAILED, {"code", "message"}),
        (TASK_FAILED, {"code", "message"}),
    ],
    ids=lambda x: getattr(x, "type", None),
)
def test_each_event_about_a_segment_has_the_same_fields_and_its_own(event, more):
    fields = record(event)
    assert fields.keys() == FIELDS | more
    assert (fields["type"], fields["segment"]) == (event.type, 1)


@pytest.mark.parametrize(
    ("event", "more"),
    [
        (answer_started(), {"id", "question"}),
        (answer_partial("It"), {"id"}),
        (answer("It is I."), {"id", "finish", "source"}),
        (REFUSED, {"id", "code", "message"}),
    ],
    ids=lambda x: getattr(x, "type", None),
)
def test_each_event_about_a_question_has_them_too_and_its_id(event, more):
    fields = record(event, latency_s=1.23456)
    assert fields.keys() == FIELDS | more
    assert (fields["type"], fields["id"], fields["segment"]) == (event.type, "1", None)
    assert fields["latency_s"] == 1.235


def test_an_answer_says_which_audio_it_is_about():
    fields = record(answer("It is I.", finish="length"))
    assert (fields["start_s"], fields["end_s"]) == (0.3, 4.2)
    assert (fields["text"], fields["finish"]) == ("It is I.", "length")


@pytest.mark.parametrize("event", [PROGRESS, Error(seq=1, code="limit", message="")])
def test_events_about_no_segment_have_no_line(event):
    assert record(event) is None


def test_a_final_says_what_when_and_how():
    words = (word("hello", 0.3, 1.0),)
    fields = record(final("hello", words=words), file="a.wav", latency_s=0.41239)
    assert fields == {
        "file": "a.wav",
        "type": "final",
        "segment": 1,
        "task": "transcribe",
        "text": "hello",
        "start_s": 0.3,
        "end_s": 4.2,
        "latency_s": 0.412,
        "language": "en",
        "mode": "streaming",
        "source": "audio",
        "words": [{"text": "hello", "start_s": 0.3, "end_s": 1.0}],
    }


def test_lines_are_json_in_the_letters_of_the_text():
    stream = io.StringIO()
    printer = JsonPrinter(stream, file="a.wav")
    for event in (STARTED, PROGRESS, final("größer")):
        printer.show(arrived(event, 0.5))
    printer.close()
    lines = stream.getvalue().splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["speech_started", "final"]
    assert "größer" in lines[1]
    assert json.loads(lines[1])["latency_s"] == 0.5
