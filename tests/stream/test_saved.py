"""A session that another process goes on with: what is kept of it, and what it does."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import (
    Ended,
    Error,
    Final,
    Progress,
    Resume,
    SpeakerNamed,
    SpeechStarted,
    Start,
)
from stream.jobs import OpenUtterance
from stream.pending import NEAR
from stream.saved import (
    DamagedError,
    SavedSession,
    SessionState,
    StableText,
    decode_saved,
    encode_event,
    encode_request,
    encode_state,
    farewells,
    texts,
)
from stream.sound_events import Noticed, Watch
from tests.fakes.driver import Desk, open_session
from tests.fakes.engine import speak
from tests.stream.events import final

STATE = SessionState(
    seq=9,
    settled=16_000,
    segment=1,
    language="de",
    asked=2,
    questions=("q",),
    stable=(
        StableText(segment=2, start=5, task="transcribe", text="na", language="de"),
    ),
    speakers=3,
    unattributed=(1,),
)
SAVED = SavedSession(
    name="name",
    owner="anna",
    request=Start(watches=(Watch(id="w", text="a dog"),), rate=8_000),
    state=STATE,
    floor=2,
    events=(final(4), SpeakerNamed(seq=7, speaker=1, name="\ud800 Žofie")),
)


def written(saved):
    return {
        "request": encode_request(saved.request),
        "state": encode_state(saved.state),
        "floor": str(saved.floor),
        "events": [encode_event(event) for event in saved.events],
    }


def test_what_is_written_down_is_read_as_it_was_and_is_ascii():
    kept = written(SAVED)
    assert decode_saved("name", "anna", **kept) == SAVED
    assert all(text.isascii() for text in (kept["request"], *kept["events"]))


@pytest.mark.parametrize(
    "damage",
    [
        {"request": "{}"},
        {"request": encode_event(final(1))},
        {"state": "[]"},
        {"state": '{"seq": 1}'},
        {"state": "[" * 100_000},
        {"floor": "x"},
        {"floor": "5"},  # behind the first text
        {"events": ["", ""]},
        {"events": [encode_event(final(10))]},  # behind the last event
        {"events": [encode_event(final(4)), encode_event(final(3))]},
    ],
)
def test_what_no_server_writes_is_no_session(damage):
    with pytest.raises(DamagedError):
        decode_saved("name", "anna", **written(SAVED) | damage)


@given(
    field=st.sampled_from(["request", "state"]),
    value=st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=4),
    key=st.sampled_from([*json.loads(encode_state(STATE)), "type", "rate", "watches"]),
)
def test_whatever_stands_there_is_read_or_refused(field, value, key):
    kept = written(SAVED)
    table = json.loads(kept[field]) | {key: value}
    try:
        read = decode_saved("name", "anna", **kept | {field: json.dumps(table)})
    except DamagedError:
        return
    assert read.name == "name"


def test_texts_are_what_is_for_good_and_the_end_without_sound_and_farewells():
    noticed = Noticed(
        seq=5, id="w", text="", score=1.0, start=0, end=1, complete=True, audio="AAAA"
    )
    told = [
        SpeechStarted(seq=1, segment=1, start=0),
        final(2),
        Progress(seq=3, accepted=1, settled=1),
        Error(seq=4, code="engine", message="", segment=2),
        noticed,
        Ended(seq=6, accepted=1, settled=1),
        Error(seq=7, code="shutdown", message=""),
    ]
    assert texts(told) == [told[1], told[3], replace(noticed, audio=""), told[5]]


def test_a_client_that_has_seen_no_more_than_was_written_finds_it_as_it_is():
    behind = Resume(session="name", seq=9, settled=0, segment=0)
    assert SAVED.met(behind) is SAVED


@pytest.mark.parametrize(
    ("segment", "floor", "events"), [(1, SAVED.floor, SAVED.events), (2, 12, ())]
)
def test_where_a_client_has_seen_more_its_word_counts_and_texts_are_whole_or_forgotten(
    segment, floor, events
):
    ahead = Resume(session="name", seq=12, settled=20_000, segment=segment)
    met = SAVED.met(ahead)
    assert (met.state.seq, met.state.settled) == (12, 20_000)
    assert (met.floor, met.events) == (floor, events)
    assert met.resumption().resume == ahead


def test_what_has_gone_with_a_process_is_told():
    question, segment = farewells(STATE)
    assert (question.question, question.code) == ("q", "shutdown")
    assert (segment.segment, segment.task) == (1, "speakers")
    assert not question.ends_session
    assert not segment.ends_session


def go_on(session, **changes):
    """Return the session of another process that goes on with one, and its events."""
    state = replace(session.state, **changes)
    saved = replace(SAVED, request=session.request, state=state)
    return open_session(saved.resumption(), state=state)


def heard(session, audio):
    """Let a session hear; return its events."""
    desk = Desk(session)
    session.push(audio)
    desk.run()
    return session.events()


def opened(session, audio):
    session.push(audio)
    return [job for job in session.jobs() if isinstance(job, OpenUtterance)]


def test_it_goes_on_from_what_was_settled_and_counts_on():
    before = open_session()
    events = heard(before, speak(1, 2, 0, 0, 3))
    after = go_on(before)
    assert after.accepted == after.settled == before.settled < before.accepted
    news = heard(after, speak(0, 0, 3, 0, 0)[: 2 * 48_000])
    (said,) = [event for event in news if isinstance(event, Final)]
    assert (said.segment, said.text) == (2, "3")
    assert news[0].seq == events[-1].seq + 1


def test_it_says_at_once_how_far_it_is():
    before = open_session()
    heard(before, speak(1, 0, 0))
    after = go_on(before)
    (progress,) = after.events()
    assert isinstance(progress, Progress)
    assert progress.accepted == progress.settled == before.settled


def test_stable_text_outlives_a_process_that_dies_before_it_says_more():
    before = open_session()
    heard(before, speak(1, 2, 3, 4))
    (told,) = before.state.stable
    assert told.text.startswith("1")
    between = go_on(before)
    assert between.state.stable == (told,)
    audio = speak(1, 2, 3, 4)[2 * before.settled :]
    (job,) = opened(between, audio)
    assert between.state.stable == (told,)
    (again,) = opened(go_on(between), audio)
    for options in (job.options, again.options):
        (hypothesis,) = options.told
        assert hypothesis.text[: hypothesis.stable] == told.text


def test_stable_text_is_not_said_of_a_segment_that_begins_elsewhere():
    before = open_session()
    heard(before, speak(1, 2, 3, 4))
    (told,) = before.state.stable
    elsewhere = replace(told, start=told.start + NEAR + 1)
    after = go_on(before, stable=(elsewhere,))
    (job,) = opened(after, speak(1, 2, 3, 4)[2 * before.settled :])
    assert job.options.told == ()
    assert after.state.stable == ()


def test_what_has_its_final_is_not_stable_text_any_more():
    session = open_session()
    desk = Desk(session)
    session.push(speak(1, 2, 3))
    desk.run()
    assert session.state.stable
    session.push(speak(0, 0))
    desk.run()
    assert session.state.stable == ()
    assert session.state.segment == 1


def test_one_that_was_over_says_nothing_more():
    before = open_session()
    heard(before, speak(1, 0, 0))
    before.end()
    Desk(before).run()
    last = before.events()[-1]
    assert isinstance(last, Ended)
    after = go_on(before)
    after.flush()
    after.end()
    assert after.is_over
    assert (after.events(), after.jobs(), after.seq) == ([], [], last.seq)
    assert after.accepted == before.accepted
