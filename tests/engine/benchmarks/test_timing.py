import pytest

from engine.benchmarks.timing import FirstText, arrival_s, final_times, first_text

SEGMENTER = {
    "tail_ms": 200,
    "hangover_ms": 500,
    "soft_limit_ms": 20_000,
    "soft_hangover_ms": 200,
    "max_segment_ms": 28_000,
    "search_ms": 3_000,
}


def event(kind, text, *, start=1.0, end, late=0.1, segment=1):
    return {
        "type": kind,
        "segment": segment,
        "text": text,
        "start_s": start,
        "end_s": end,
        "latency_s": late,
    }


def test_a_text_comes_its_latency_after_the_piece_that_held_its_end_was_sent():
    assert arrival_s(event("partial", "a", end=1.20, late=0.3)) == pytest.approx(1.5)
    # Sample 1.22 s went out with the piece that ends at 1.24 s.
    assert arrival_s(event("partial", "a", end=1.22, late=0.3)) == pytest.approx(1.54)


def test_the_first_text_is_the_first_that_begins_as_the_final_does():
    events = [
        event("partial", "Hmm.", end=1.2),
        event("partial", "and so", end=1.6),
        event("partial", "And so my", end=2.0),
        event("final", "“And so, my fellow…”", end=4.0),
    ]
    assert first_text(events) == FirstText(pytest.approx(1.7), is_partial=True)


def test_without_a_fitting_partial_the_final_is_the_first_text():
    events = [event("partial", "Hmm.", end=1.2), event("final", "And", end=4.0)]
    assert first_text(events) == FirstText(pytest.approx(4.1), is_partial=False)


def test_partials_of_another_segment_are_not_the_first_text():
    events = [
        event("final", "", end=1.4),
        event("partial", "And", end=1.6, segment=1),
        event("final", "And", end=4.0, segment=2),
    ]
    assert first_text(events) == FirstText(pytest.approx(4.1), is_partial=False)


@pytest.mark.parametrize("events", [[], [event("final", " … ", end=2.0)]])
def test_a_file_without_words_has_no_first_text(events):
    assert first_text(events) is None


def lateness(*events):
    return [
        (time.after_speech_s, time.late_s) for time in final_times(events, SEGMENTER)
    ]


def test_a_final_is_late_from_when_its_pause_was_long_enough():
    # Speech ends at 4.8 s, the hangover at 5.3 s.
    assert lateness(event("final", "a", end=5.0, late=0.5)) == [
        (pytest.approx(0.7), pytest.approx(0.2))
    ]


def test_long_speech_ends_with_a_shorter_pause():
    # 19.7 s of speech: the pause may end the segment at 20 s, 0.3 s later.
    at_limit = event("final", "a", start=0.0, end=19.9, late=0.5)
    beyond = event("final", "a", start=0.0, end=23.0, late=0.5)
    assert [late for _, late in lateness(at_limit)] == [pytest.approx(0.42)]
    assert [late for _, late in lateness(beyond)] == [pytest.approx(0.5)]


def test_a_segment_that_was_cut_has_no_pause_to_be_late_after():
    cut = event("final", "a", start=0.0, end=26.0)
    rest = event("final", "b", start=26.0, end=29.0, segment=2)
    assert len(lateness(cut, rest)) == 1
