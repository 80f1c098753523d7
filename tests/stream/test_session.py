"""One conversation: what is told, in which order, and what is settled when."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api import Hypothesis, Mode
from stream.errors import (
    AudioFormatError,
    ProtocolError,
    ShutdownError,
    UnsupportedRequestError,
)
from stream.events import (
    Ended,
    Error,
    Final,
    Partial,
    Progress,
    Resume,
    SpeechEnded,
    SpeechStarted,
    Start,
)
from stream.jobs import Failed, Finished, HearAudio, MakeFinal, OpenUtterance, TryFinal
from tests.fakes.driver import Desk, open_session
from tests.fakes.engine import speak

TASKS = ("transcribe", "translate:en")
SECOND = 32_000  # bytes of s16le at 16 kHz
TALK = speak(1, 2, 0, 0, 3, 0, 0)
"""Two segments, "1 2" and "3", with pauses that end them."""


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def hypothesis(text, task="transcribe"):
    return Hypothesis(
        task=task,
        text=text,
        stable=len(text),
        is_final=True,
        language="en",
        mode=Mode.STREAMING,
    )


def finished(segment, text, tasks=("transcribe",)):
    return Finished(segment, tuple(hypothesis(text, task) for task in tasks))


def test_a_conversation_is_told_in_order():
    session = open_session()
    desk = Desk(session)
    session.push(TALK)
    desk.run()
    session.end()
    desk.run()
    lasting = [e for e in session.events() if not isinstance(e, Partial | Progress)]
    assert [(type(e), getattr(e, "text", "")) for e in lasting] == [
        (SpeechStarted, ""),
        (SpeechEnded, ""),
        (SpeechStarted, ""),
        (SpeechEnded, ""),
        (Final, "1 2"),
        (Final, "3"),
        (Ended, ""),
    ]
    assert session.is_over


def test_every_event_has_the_next_number():
    session = open_session()
    desk = Desk(session)
    session.push(TALK)
    desk.run()
    session.end()
    desk.run()
    assert [e.seq for e in session.events()] == list(range(1, session.seq + 1))


def test_the_engine_is_asked_in_order_and_told_of_the_pause():
    session = open_session()
    session.push(speak(1, 0))
    jobs = session.jobs()
    assert isinstance(jobs[0], OpenUtterance)
    assert [type(job) for job in jobs[-2:]] == [TryFinal, MakeFinal]
    assert all(isinstance(job, HearAudio) for job in jobs[1:-2])
    assert session.jobs() == []


def test_finals_wait_for_those_of_earlier_segments():
    session = open_session()
    session.push(TALK)
    session.deliver(finished(2, "3"))
    assert of(Final, session.events()) == []
    session.deliver(finished(1, "1 2"))
    assert [final.text for final in of(Final, session.events())] == ["1 2", "3"]


def test_settled_moves_with_the_last_task_of_a_segment():
    session = open_session(Start(tasks=TASKS))
    session.push(TALK)
    before = session.settled
    session.deliver(finished(1, "1 2", TASKS))
    first, last = of(Final, session.events())
    assert (first.task, last.task) == TASKS
    assert first.settled == before
    assert last.settled == session.settled >= last.end


def test_settled_stays_before_a_segment_without_its_final():
    session = open_session()
    session.push(TALK)
    start = of(SpeechStarted, session.events())[0].start
    assert session.settled == start
    session.end()
    assert session.settled == start


def test_settled_follows_silence():
    session = open_session()
    session.push(bytes(10 * SECOND))
    assert session.accepted == 160_000
    assert 160_000 - session.settled < 16_000


def test_settled_and_accepted_count_the_samples_of_the_client():
    session = open_session(Start(rate=48_000, channels=2))
    session.push(bytes(48_000 * 2 * 2))
    assert session.accepted == 48_000
    assert 0 < session.settled <= 48_000
    session.end()
    (ended,) = of(Ended, session.events())
    assert (ended.accepted, ended.settled) == (48_000, 48_000)


@pytest.mark.parametrize("piece", [640, 3_200, SECOND, 3 * SECOND])
def test_progress_comes_at_least_once_for_each_second_of_audio(piece):
    session = open_session()
    for _ in range(9 * SECOND // piece):
        session.push(bytes(piece))
    reported = [event.accepted for event in of(Progress, session.events())]
    steps = [b - a for a, b in zip([0, *reported], reported, strict=False)]
    assert max(steps) <= max(16_000, piece // 2)


def test_positions_of_words_count_from_the_start_of_the_stream():
    session = open_session(Start(words=True))
    desk = Desk(session)
    session.push(bytes(SECOND) + speak(1, 2, 0))
    desk.run()
    (final,) = of(Final, session.events())
    assert [(w.text, w.start, w.end) for w in final.words] == [
        ("1", 16_000, 20_800),
        ("2", 20_800, 25_600),
    ]
    assert final.start < 16_000
    assert final.end >= 25_600


def test_partials_that_say_nothing_new_are_not_told():
    session = open_session()
    desk = Desk(session)
    for _ in range(50):
        session.push(speak(1, samples=1_600))
        desk.run()
    texts = [(e.text, e.stable) for e in of(Partial, session.events())]
    assert len(texts) == len(set(texts)) == 1


def test_flush_ends_the_segment_and_the_stream_goes_on():
    session = open_session()
    session.push(speak(1))
    session.flush()
    assert len(of(SpeechEnded, session.events())) == 1
    session.push(speak(2, 0))
    assert len(of(SpeechEnded, session.events())) == 1


def test_a_segment_that_failed_is_told_in_its_turn_and_the_stream_goes_on():
    session = open_session()
    session.push(TALK)
    session.deliver(Failed(2, "engine", "no"))
    assert of(Error, session.events()) == []
    session.deliver(finished(1, "1 2"))
    (error,) = of(Error, session.events())
    assert (error.segment, error.code) == (2, "engine")
    assert not session.is_over
    session.end()
    assert of(Ended, session.events())


def test_the_engine_is_asked_no_more_about_a_segment_that_failed():
    session = open_session()
    session.push(speak(1))
    session.jobs()
    session.deliver(Failed(1, "engine", "no"))
    session.push(speak(1, 0))
    assert session.jobs() == []


def test_audio_after_end_is_refused_and_a_second_end_is_not():
    session = open_session()
    session.end()
    session.end()
    session.flush()
    with pytest.raises(ProtocolError, match="audio after end"):
        session.push(bytes(2))


def test_a_session_that_fails_is_over_at_once():
    session = open_session()
    session.push(TALK)
    session.events()
    session.fail(ProtocolError("bad"))
    session.deliver(finished(1, "1 2"))
    session.fail(ProtocolError("worse"))
    (error,) = session.events()
    assert (error.code, error.message, error.segment) == ("protocol", "bad", None)


def test_a_session_that_is_stopped_tells_its_finals_and_then_why():
    session = open_session()
    desk = Desk(session)
    session.push(speak(1))
    session.end(ShutdownError("bye"))
    desk.run()
    *_, final, error = session.events()
    assert (final.text, error.code) == ("1", "shutdown")


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (Start(version=2), UnsupportedRequestError, "version is 2; this server speaks"),
        (Start(tasks=("sing",)), UnsupportedRequestError, "no task 'sing'"),
        (Start(language="xx"), UnsupportedRequestError, "no language 'xx'"),
        (Start(tasks=("transcribe",) * 2), ProtocolError, "tasks must name none twice"),
        (Start(tasks=("transcribe",) * 2), ProtocolError, "none twice"),
        (Start(encoding="mp3"), AudioFormatError, "encoding is 'mp3'"),
        (Start(rate=1), AudioFormatError, "rate is 1"),
        (Start(channels=0), AudioFormatError, "channels is 0"),
        (
            Start(resume=Resume(session="", seq=-1, settled=0, segment=0)),
            ProtocolError,
            "resume.seq is -1",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_at_the_start(request_, error, message):
    with pytest.raises(error, match=message):
        open_session(request_)


def test_a_message_that_is_not_whole_samples_is_refused():
    with pytest.raises(AudioFormatError, match="a message of 3 bytes"):
        open_session().push(bytes(3))


def test_a_session_that_grows_too_long_ends_with_its_finals_and_then_the_reason():
    session = open_session(max_s=1.0)
    desk = Desk(session)
    session.push(speak(1, 2, 3))
    session.push(speak(4))
    accepted = session.accepted
    session.push(speak(5))
    assert session.accepted == accepted
    desk.run()
    *_, final, error = session.events()
    assert final.text == "1 2 3 4"
    assert (error.code, error.message) == (
        "limit",
        "a session of more than 1 s of audio",
    )


def test_a_failed_session_says_nothing_more_of_its_segment():
    session = open_session()
    session.push(speak(1))
    session.fail(ProtocolError("nonsense"))
    assert isinstance(session.events()[-1], Error)
    session.jobs()
    session.flush()
    session.end()
    assert (session.events(), session.jobs()) == ([], [])


def test_what_a_failed_session_is_sent_is_no_work():
    session = open_session()
    session.fail(ProtocolError("nonsense"))
    session.push(speak(1, 2))
    assert session.jobs() == []


def test_a_session_of_another_process_is_continued_where_it_was_settled():
    resume = Resume(session="other", seq=40, settled=48_000, segment=7)
    session = open_session(Start(rate=48_000, resume=resume))
    greeting = session.started(seq=session.seq, resumed=False)
    assert (greeting.accepted, greeting.settled, greeting.seq) == (48_000, 48_000, 40)
    session.push(speak(*[1] * 9, 0, 0, samples=4_800))
    first = session.events()[0]
    assert isinstance(first, SpeechStarted)
    assert (first.seq, first.segment) == (41, 8)
    assert 16_000 <= first.start < 17_000


words = st.lists(
    st.tuples(st.integers(1_600, 16_000), st.integers(0, 12_800)),
    min_size=2,
    max_size=8,
)
steps = st.lists(
    # A number is so many samples pushed.
    st.sampled_from([320, 4_000, 16_000, 16_000, "work", "work", "read", "die"]),
    min_size=20,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(words=words, steps=steps)
def test_each_word_is_told_once_whatever_the_server_and_the_network_do(words, steps):
    """Random pieces, answers, lost connections and lost processes."""
    audio = b"".join(
        speak(number + 20, samples=voiced // 320 * 320) + bytes(quiet // 320 * 640)
        for number, (voiced, quiet) in enumerate(words)
    )
    session = open_session()
    desk = Desk(session)
    seen: list[Final] = []
    client = Resume(session="x", seq=0, settled=0, segment=0)

    def read(events):
        nonlocal client
        for event in events:
            assert event.seq > client.seq
            settled = getattr(event, "settled", client.settled)
            assert settled >= client.settled
            segment = client.segment
            if isinstance(event, Final):
                seen.append(event)
                segment = event.segment
            client = Resume(
                session="x", seq=event.seq, settled=settled, segment=segment
            )

    for step in steps:
        match step:
            case int():
                at = 2 * session.accepted
                session.push(audio[at : at + 2 * step])
            case "work":
                desk.step()
            case "read":
                read(session.events())
            case "die":
                # What this process had said and the client had not read is lost.
                session = open_session(Start(resume=client))
                desk = Desk(session)
    session.push(audio[2 * session.accepted :])
    session.end()
    desk.run()
    read(session.events())
    heard = [word for final in seen for word in final.text.split()]
    said = [str(number + 20) for number in range(len(words))]
    assert heard == said
    starts = [final.segment for final in seen]
    assert starts == sorted(set(starts))
