from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import Error, SpeechEnded, SpeechStarted, Word
from stream.protocols.openai_text import Deltas, srt, usage, verbose, vtt, whole
from tests.clients.events import final, partial


def begun(segment):
    return SpeechStarted(seq=0, segment=segment, start=0)


def heard(segment, text, stable):
    return replace(partial(text, stable), segment=segment)


def failed(segment):
    return Error(seq=0, code="engine", message="too long", segment=segment)


def told(*events):
    deltas = Deltas()
    return [deltas.push(event) for event in events]


def test_only_what_is_stable_is_told_and_only_once():
    assert told(
        begun(1),
        heard(1, "Hello wor", 5),
        heard(1, "Hello were", 5),
        heard(1, "Hello world and", 11),
        final("Hello world, and all."),
    ) == ["", "Hello", "", " world", ", and all."]


def test_a_segment_is_told_once_the_one_before_has_its_final():
    assert told(
        begun(1),
        heard(1, "One", 3),
        begun(2),
        heard(2, "Two three", 3),
        final("One."),
        final("Two three", segment=2),
    ) == ["", "One", "", "", ". Two", " three"]


def test_a_segment_without_words_leaves_no_gap():
    events = [begun(1), final(""), begun(2), final("Two", segment=2)]
    assert "".join(told(*events)) == "Two"


def test_a_segment_that_failed_ends_where_it_was():
    events = [begun(1), heard(1, "One two", 3), begun(2), failed(1)]
    assert told(*events, final("Four.", segment=2)) == ["", "One", "", "", " Four."]


def test_a_final_that_takes_text_back_adds_nothing():
    assert told(begun(1), heard(1, "One", 3), final("")) == ["", "One", ""]


@given(
    st.lists(
        st.tuples(st.text("abc ", max_size=12), st.lists(st.integers(0, 12))),
        max_size=6,
    )
)
def test_deltas_add_up_to_the_transcript(segments):
    events = []
    for number, (text, lengths) in enumerate(segments, 1):
        events.append(begun(number))
        for length in sorted(min(length, len(text)) for length in lengths):
            events.append(heard(number, text, length))
    finals = [final(text, segment=n) for n, (text, _) in enumerate(segments, 1)]
    assert "".join(told(*events, *finals)) == whole(finals)


FINALS = [
    final("Hello & you.", start_s=1, end_s=2),
    final("", segment=2, start_s=3, end_s=4),
    final("Again.", segment=3, start_s=5, end_s=6.5),
]


def test_subtitles_number_what_has_text():
    assert srt(FINALS) == (
        "1\n00:00:01,000 --> 00:00:02,000\nHello & you.\n\n"
        "2\n00:00:05,000 --> 00:00:06,500\nAgain.\n\n"
    )
    assert vtt(FINALS).startswith(
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nHello &amp;"
    )
    assert (srt([]), vtt([])) == ("", "WEBVTT\n\n")


def test_a_verbose_transcript_has_times_and_a_language():
    found = verbose(
        FINALS, task="transcribe", samples=112_000, words=False, segments=True
    )
    assert (found["text"], found["language"]) == ("Hello & you. Again.", "en")
    assert (found["duration"], found["usage"]) == (7.0, usage(112_000))
    times = [(s["id"], s["seek"], s["start"], s["end"]) for s in found["segments"]]
    assert times == [(0, 100, 1.0, 2.0), (1, 500, 5.0, 6.5)]
    assert "words" not in found


def test_words_are_told_where_they_are_wanted():
    words = (Word(text=" Hello", start=16_000, end=24_000),)
    found = verbose(
        [final("Hello", words=words)],
        task="translate",
        samples=48_000,
        words=True,
        segments=False,
    )
    assert found["words"] == [{"word": "Hello", "start": 1.0, "end": 1.5}]
    assert "segments" not in found


def test_a_loop_shows_in_the_compression_as_it_does_with_whisper():
    def ratio(text):
        return verbose(
            [final(text)], task="transcribe", samples=1, words=False, segments=True
        )["segments"][0]["compression_ratio"]

    assert ratio("again and again " * 20) > 5 > 1.2 > ratio("Twelve plain words.")


def test_an_end_of_speech_adds_nothing():
    assert told(begun(1), SpeechEnded(seq=0, segment=1, end=9)) == ["", ""]


@pytest.mark.parametrize("samples", [0, 1, 16_000])
def test_a_length_is_told_in_seconds(samples):
    assert usage(samples)["seconds"] == pytest.approx(samples / 16_000, abs=5e-4)
