"""What is kept for a client that was cut off."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.config import LimitsConfig
from stream.events import (
    Answer,
    Error,
    Final,
    Partial,
    Progress,
    SpeakerNamed,
    Speakers,
    SpeechStarted,
    Start,
)
from stream.messages import encode
from stream.metrics import Metrics
from stream.resume import (
    MOST_CLIPS,
    MOST_EVENTS,
    EventLog,
    ForgottenError,
    MemorySessionStore,
)
from stream.sound_events import Noticed
from stream.valkey import ValkeySessionStore
from tests.fakes.driver import Desk, open_session
from tests.fakes.engine import speak
from tests.stream.events import final


def partial(seq, segment=1, task="transcribe"):
    return Partial(
        seq=seq, segment=segment, task=task, text="", stable=0, start=0, end=0
    )


def progress(seq):
    return Progress(seq=seq, accepted=0, settled=0)


def started(seq, segment=1):
    return SpeechStarted(seq=seq, segment=segment, start=0)


def log_of(*events, seq=0, max_bytes=0):
    log = EventLog(seq, max_bytes=max_bytes)
    for event in events:
        log.append(event)
    return log


def seqs(log, after=0):
    return [event.seq for event in log.after(after)]


def test_a_client_gets_what_came_after_the_last_event_it_saw():
    log = log_of(started(1), final(2), started(3, 2), final(4, 2))
    assert seqs(log, 0) == [1, 2, 3, 4]
    assert seqs(log, 2) == [3, 4]
    assert seqs(log, 4) == []


def test_of_what_was_noticed_the_last_keep_their_audio_and_all_their_words():
    noticed = [
        Noticed(
            seq=seq,
            id="w",
            text="a dog",
            score=0.9,
            start=seq,
            end=seq + 1,
            complete=False,
            audio="AAAA" if seq % 2 else "",
        )
        for seq in range(1, 4 * MOST_CLIPS)
    ]
    kept = log_of(*noticed).after(0)
    assert [event.start for event in kept] == [event.start for event in noticed]
    with_audio = [event.seq for event in kept if event.audio]
    assert with_audio == [event.seq for event in noticed if event.audio][-MOST_CLIPS:]


def test_a_newer_partial_replaces_an_older_one_of_its_segment_and_task():
    log = log_of(partial(1), partial(2, task="translate:en"), partial(3), partial(4, 2))
    assert seqs(log) == [2, 3, 4]


def test_a_final_replaces_the_partials_of_its_segment_and_task():
    log = log_of(partial(1), partial(2, task="translate:en"), final(3))
    assert seqs(log) == [2, 3]


def test_newer_progress_replaces_older():
    assert seqs(log_of(progress(1), started(2), progress(3))) == [2, 3]


def test_a_full_log_forgets_its_oldest_and_says_so():
    log = log_of(*(started(seq) for seq in range(1, MOST_EVENTS + 3)))
    with pytest.raises(ForgottenError):
        log.after(1)
    assert len(log.after(2)) == MOST_EVENTS


def noticed(seq, *, complete):
    return Noticed(
        seq=seq, id="1", text="", score=1.0, start=0, end=0, complete=complete
    )


def later(seq, num=MOST_EVENTS):
    """Return events that fill a log, so that what came before them is not recent."""
    return [started(number, segment=99) for number in range(seq, seq + num)]


def size_of(*events):
    return sum(len(encode(event).encode()) for event in events)


def test_of_what_is_not_recent_a_log_keeps_what_is_for_good():
    told = [
        started(1),
        partial(2),
        final(3),
        Speakers(seq=4, segment=1, turns=(), complete=False),
        Speakers(seq=5, segment=1, turns=(), complete=True),
        SpeakerNamed(seq=6, speaker=1, name="Anna"),
        Error(seq=7, code="engine", message="", segment=2),
        Answer(
            seq=8, id="1", text="", finish="stop", source="", mode="", start=0, end=0
        ),
        progress(9),
        noticed(10, complete=False),
        noticed(11, complete=True),
        progress(12),
    ]
    log = log_of(*told, *later(13), max_bytes=10_000)
    kept = [event.seq for event in log.lasting_after(0)]
    assert kept == [3, 5, 6, 7, 8, 11, *range(13, 13 + MOST_EVENTS)]
    assert [event.seq for event in log.lasting_after(6)] == kept[3:]
    with pytest.raises(ForgottenError):
        log.after(11)  # the last progress is gone, which some readers have to have
    assert len(log.after(12)) == MOST_EVENTS


def test_what_is_for_good_is_forgotten_where_it_is_more_than_its_bound():
    most = size_of(final(1), final(2))
    finals = [final(seq) for seq in range(1, 4)]
    log = log_of(*finals, *later(4), max_bytes=most)
    with pytest.raises(ForgottenError):
        log.lasting_after(0)
    assert [event.seq for event in log.lasting_after(1)][:2] == [2, 3]
    whole = log_of(*finals[:2], *later(3), max_bytes=most)
    assert len(whole.lasting_after(0)) == 2 + MOST_EVENTS


def test_after_thousands_of_segments_every_final_is_still_there():
    words = [*range(20, 3_020)]
    session = open_session(Start(partials=False))
    desk, log = Desk(session), EventLog(0, max_bytes=LimitsConfig().max_texts_bytes)

    def follow():
        desk.run()
        for event in session.events():
            log.append(event)

    for word in words:
        session.push(speak(word, 0, 0, 0, samples=960))
        follow()
    session.end()
    follow()
    finals = [event for event in log.lasting_after(0) if isinstance(event, Final)]
    assert [final.segment for final in finals] == [*range(1, 3_001)]
    assert [final.text for final in finals] == [str(word) for word in words]
    assert len(log.lasting_after(0)) < len(words) + MOST_EVENTS


def test_a_log_may_begin_after_events_of_another_process():
    log = log_of(started(41), seq=40)
    assert seqs(log, 40) == [41]
    with pytest.raises(ForgottenError):
        log.after(39)


@given(
    kinds=st.lists(
        st.sampled_from([partial, final, progress, started]),
        max_size=60,
    ),
    cut=st.integers(0, 60),
)
def test_finals_and_speech_are_never_replaced(kinds, cut):
    events = [make(seq) for seq, make in enumerate(kinds, start=1)]
    kept = log_of(*events).after(min(cut, len(events)))
    lasting = [e for e in events if isinstance(e, Final | SpeechStarted)]
    assert [e for e in kept if isinstance(e, Final | SpeechStarted)] == [
        event for event in lasting if event.seq > cut
    ]
    assert [e.seq for e in kept] == sorted(e.seq for e in kept)


@dataclass(frozen=True)
class Kept:
    name: str
    owner: str = ""


@pytest.fixture(params=["memory", "valkey"])
def sessions(request):
    """A store; what it shares with other processes: tests/stream/test_valkey.py."""
    if request.param == "memory":
        return MemorySessionStore()
    return ValkeySessionStore("valkey://127.0.0.1:1", LimitsConfig(), Metrics())


def test_a_session_waits_for_its_client_and_is_freed_after_that(sessions):
    session = Kept("a")
    sessions.add(session, most=2)
    sessions.detach(session, 100.0)
    assert sessions.expire(159.0, keep_s=60.0) == []
    assert sessions.find("a", "") is session
    assert sessions.expire(160.0, keep_s=60.0) == [session]
    assert sessions.find("a", "") is None
    assert len(sessions) == 0


def test_a_session_whose_client_came_back_does_not_expire(sessions):
    session = Kept("a")
    sessions.add(session, most=2)
    sessions.detach(session, 100.0)
    sessions.attach(session)
    assert sessions.expire(1_000.0, keep_s=60.0) == []


def test_a_session_is_not_found_by_another_owner(sessions):
    sessions.add(Kept("a", owner="me"), most=2)
    assert sessions.find("a", "you") is None
    assert sessions.find("a", "me") is not None


def test_a_full_store_gives_up_the_one_that_has_waited_longest(sessions):
    first, second = Kept("a"), Kept("b")
    for session in (first, second):
        sessions.add(session, most=2)
    sessions.detach(second, 1.0)
    sessions.detach(first, 2.0)
    assert sessions.add(Kept("c"), most=2) is second
    assert sessions.find("a", "") is first


def test_sessions_with_a_connection_are_never_given_up(sessions):
    sessions.add(Kept("a"), most=1)
    assert sessions.add(Kept("b"), most=1) is None
    assert len(sessions) == 2


def test_what_happens_to_a_session_touches_no_later_one_of_its_name(sessions):
    before, after = Kept("a"), Kept("a")
    sessions.add(before, most=2)
    sessions.remove(before)
    sessions.add(after, most=2)
    sessions.detach(before, 1.0)
    assert sessions.expire(1_000.0, keep_s=60.0) == []
    sessions.remove(before)
    assert sessions.named("a") is after


def test_detaching_a_session_that_was_freed_does_nothing(sessions):
    session = Kept("a")
    sessions.detach(session, 1.0)
    assert sessions.named("a") is None
