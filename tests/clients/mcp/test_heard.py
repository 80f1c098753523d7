"""The memory behind the tools, on stretches and events that are written out."""

from datetime import UTC, datetime

from clients.mcp.heard import Heard
from stream.events import (
    Error,
    Final,
    Partial,
    Progress,
    Speakers,
    SpeakerTurn,
    SpeechStarted,
    Started,
)

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SECOND = 16_000


def heard(*stretches: tuple[float, float], **options) -> Heard:
    """Return a memory of stretches: when each began on the clock, and its length."""
    memory = Heard(**options)
    memory.begin_stream()
    for now_s, length_s in stretches:
        memory.begin(now_s, NOON)
        memory.hear(round(length_s * SECOND))
        memory.pause(SECOND)
    return memory


def started(segment: int, at_s: float) -> SpeechStarted:
    return SpeechStarted(seq=1, segment=segment, start=round(at_s * SECOND))


def partial(segment: int, text: str, start_s: float, end_s: float) -> Partial:
    start, end = round(start_s * SECOND), round(end_s * SECOND)
    return Partial(
        seq=1,
        segment=segment,
        task="transcribe",
        text=text,
        stable=0,
        start=start,
        end=end,
    )


def final(segment: int, text: str, start_s: float, end_s: float) -> Final:
    return Final(
        seq=1,
        segment=segment,
        task="transcribe",
        text=text,
        start=round(start_s * SECOND),
        end=round(end_s * SECOND),
        language="en",
        mode="streaming",
        settled=0,
    )


def speakers(segment: int, *turns: tuple[int, str, float, float]) -> Speakers:
    return Speakers(
        seq=1,
        segment=segment,
        turns=tuple(
            SpeakerTurn(
                speaker=speaker,
                text=text,
                start=round(start_s * SECOND),
                end=round(end_s * SECOND),
            )
            for speaker, text, start_s, end_s in turns
        ),
        complete=True,
    )


def progress(accepted_s: float) -> Progress:
    return Progress(seq=1, accepted=round(accepted_s * SECOND), settled=0)


def again(accepted_s: float) -> Started:
    """Return the greeting of another server that goes on with a session."""
    return Started(
        seq=1,
        version=1,
        session="s",
        model="m",
        tasks=("transcribe",),
        resumed=False,
        accepted=round(accepted_s * SECOND),
        settled=0,
    )


def test_before_anything_was_heard_there_is_nothing():
    memory = Heard()
    memory.begin_stream()
    assert memory.transcript() == []
    assert memory.began_at is None
    assert memory.is_empty
    assert memory.is_settled


def test_times_are_seconds_since_the_beginning_and_on_the_wall():
    memory = heard((100.0, 5.0))
    assert memory.follow(final(1, " hello ", 1.0, 2.5))
    (segment,) = memory.transcript()
    assert (segment.start_s, segment.end_s) == (1.0, 2.5)
    assert segment.start_at == "2026-11-25T12:00:01.000+00:00"
    assert segment.end_at == "2026-11-25T12:00:02.500+00:00"
    assert (segment.text, segment.language, segment.is_final) == ("hello", "en", True)


def test_the_time_between_two_stretches_has_passed_and_their_pause_has_not():
    memory = heard((100.0, 5.0), (160.0, 5.0))  # the second one is at 6 s of the stream
    memory.follow(final(1, "first", 1.0, 2.0))
    memory.follow(final(2, "second", 7.0, 8.0))
    times = [(s.start_s, s.end_s) for s in memory.transcript()]
    assert times == [(1.0, 2.0), (61.0, 62.0)]


def test_a_segment_whose_pre_roll_is_in_the_pause_begins_with_its_stretch():
    memory = heard((100.0, 5.0), (160.0, 5.0))
    memory.follow(final(1, "at once", 5.7, 7.0))
    (segment,) = memory.transcript()
    assert (segment.start_s, segment.end_s) == (60.0, 61.0)


def test_a_part_of_the_time_has_what_overlaps_it():
    memory = heard((0.0, 20.0))
    for number in range(4):
        memory.follow(final(number, str(number), 4 * number + 1, 4 * number + 3))
    assert [s.text for s in memory.transcript(3.0, 9.0)] == ["1"]
    assert [s.text for s in memory.transcript(2.0, 9.5)] == ["0", "1", "2"]
    assert [s.text for s in memory.transcript(11.0)] == ["3"]


def test_what_is_being_said_is_shown_and_is_not_final():
    memory = heard((0.0, 5.0))
    memory.follow(started(1, 1.0))
    assert memory.transcript() == []
    assert not memory.follow(partial(1, "so f", 1.0, 2.0))
    (segment,) = memory.transcript()
    assert (segment.text, segment.is_final, segment.language) == ("so f", False, None)
    memory.follow(final(1, "so far", 1.0, 3.0))
    assert [(s.text, s.is_final) for s in memory.transcript()] == [("so far", True)]


def test_a_segment_without_words_is_none():
    memory = heard((0.0, 5.0))
    memory.follow(started(1, 1.0))
    assert not memory.follow(final(1, "", 1.0, 2.0))
    assert memory.transcript() == []


def test_a_segment_without_an_answer_says_why():
    memory = heard((0.0, 5.0))
    memory.follow(started(1, 1.0))
    memory.follow(partial(1, "so f", 1.0, 2.0))
    assert memory.follow(Error(seq=1, code="engine", message="too hard", segment=1))
    (segment,) = memory.transcript()
    assert (segment.text, segment.problem) == ("", "too hard")
    assert (segment.start_s, segment.end_s) == (1.0, 2.0)


def test_it_is_settled_when_the_server_is_past_the_stretch_and_nothing_is_open():
    memory = heard((0.0, 5.0))
    memory.follow(progress(5.0))  # perhaps before the last segment began
    assert not memory.is_settled
    memory.follow(started(1, 4.0))
    memory.follow(progress(6.0))
    assert not memory.is_settled
    memory.follow(final(1, "", 4.0, 5.0))
    assert memory.is_settled


def test_another_server_hears_the_rest_again():
    memory = heard((0.0, 5.0))
    memory.follow(started(1, 4.0))
    memory.follow(progress(6.0))
    memory.follow(again(3.9))
    assert not memory.is_settled
    memory.follow(progress(6.0))
    assert memory.is_settled  # it found no speech there


def test_a_stream_that_breaks_off_leaves_what_was_understood():
    memory = heard((0.0, 5.0))
    memory.follow(started(1, 1.0))
    memory.follow(partial(1, "so f", 1.0, 2.0))
    memory.begin_stream()
    (segment,) = memory.transcript()
    assert (segment.text, segment.is_final) == ("so f", True)
    assert segment.problem == "its end was not heard"
    memory.begin(60.0, NOON)
    memory.hear(SECOND)
    memory.follow(final(1, "again", 0.2, 0.8))
    assert memory.transcript()[-1].start_s == 60.2


def test_a_segment_is_divided_among_its_speakers_and_corrected():
    memory = heard((0.0, 5.0), tells_speakers=True)
    memory.follow(progress(6.0))
    memory.follow(final(1, "hello you", 1.0, 3.0))
    assert not memory.is_settled  # who spoke is still to come
    assert memory.follow(speakers(1, (1, "hello", 1.0, 2.0), (2, "you", 2.0, 3.0)))
    assert memory.is_settled
    told = [(s.speaker, s.text, s.start_s, s.language) for s in memory.transcript()]
    assert told == [("speaker 1", "hello", 1.0, "en"), ("speaker 2", "you", 2.0, "en")]
    memory.follow(speakers(1, (2, "hello you", 1.0, 3.0)))
    assert [(s.speaker, s.text) for s in memory.transcript()] == [
        ("speaker 2", "hello you")
    ]
    memory.follow(speakers(1, (0, "hello you", 1.0, 3.0)))
    assert [s.speaker for s in memory.transcript()] == [None]


def test_where_no_speaker_can_be_told_the_text_stays():
    memory = heard((0.0, 5.0), tells_speakers=True)
    memory.follow(progress(6.0))
    memory.follow(final(1, "hello", 1.0, 3.0))
    error = Error(seq=1, code="engine", message="no", segment=1, task="speakers")
    assert not memory.follow(error)
    assert memory.is_settled
    assert [(s.text, s.problem) for s in memory.transcript()] == [("hello", None)]


def test_speakers_of_another_stream_are_not_those_of_this_one():
    memory = heard((0.0, 5.0), tells_speakers=True)
    memory.follow(final(1, "hello", 1.0, 3.0))
    memory.begin_stream()
    assert memory.is_settled
    assert not memory.follow(speakers(1, (1, "you", 1.0, 2.0)))
    assert [(s.text, s.speaker) for s in memory.transcript()] == [("hello", None)]


def test_the_oldest_is_forgotten():
    memory = heard((0.0, 20.0), max_segments=2)
    for number in range(3):
        memory.follow(final(number, str(number), number, number + 1))
    assert [s.text for s in memory.transcript()] == ["1", "2"]


def test_the_last_seconds_that_were_heard_reach_over_the_pauses():
    memory = heard((0.0, 5.0), (60.0, 2.0))
    assert memory.reach_s(1.5) == 2.5
    assert memory.reach_s(2.0) == 3.0
    assert memory.reach_s(4.0) == 6.0  # both pauses among them
    assert memory.reach_s(29.0) == 9.0  # there is no more


def test_a_question_about_two_stretches_spans_the_time_between():
    memory = heard((0.0, 5.0), (60.0, 2.0))
    span = memory.between(4 * SECOND, 8 * SECOND)
    assert (span.start_s, span.end_s) == (4.0, 62.0)
