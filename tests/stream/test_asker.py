"""What a session is asked: standing prompts, questions, and questions that are spoken.

The scripted engine answers with the words of the prompt and those that it heard.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.api import EngineInfo
from stream.answers import PendingSegment
from stream.errors import OverloadedError, ProtocolError, UnsupportedRequestError
from stream.events import (
    Answer,
    AnswerPartial,
    AnswerStarted,
    Ask,
    Cancel,
    Ended,
    Error,
    Final,
    Partial,
    Resume,
    Speakers,
    SpeechEnded,
    Start,
)
from stream.jobs import Failed
from stream.questions import Passage
from stream.said import RecentWords
from tests.fakes.driver import Desk, open_session
from tests.fakes.engine import UNKNOWN, ScriptedEngine, speak

SECOND = 32_000  # bytes of s16le at 16 kHz
TALK = speak(1, 2, 0, 0, 3, 0, 0)
"""Two segments, "1 2" and "3", with pauses that end them."""


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def at_work(request=None, **options):
    engine = options.pop("engine", None) or ScriptedEngine()
    session = open_session(request, engine=engine, **options)
    return session, Desk(session, engine=engine)


def ask(name="q", text="what", **fields):
    return Ask(id=name, text=text, **fields)


def texts(events):
    """Return what was told for good, finals by segment and task, answers by id."""
    return {
        (e.id if isinstance(e, Answer) else (e.segment, e.task)): e.text
        for e in events
        if isinstance(e, Answer | Final)
    }


def the(events, kind):
    (event,) = of(kind, events)
    return event


# Standing prompts.


def test_a_task_that_is_prompted_is_answered_for_each_segment():
    session, desk = at_work(Start(tasks=("transcribe", "describe")))
    session.push(TALK)
    session.end()
    desk.run()
    events = session.events()
    assert texts(events) == {
        (1, "transcribe"): "1 2",
        (1, "describe"): "describe 1 2",
        (2, "transcribe"): "3",
        (2, "describe"): "describe 3",
    }
    assert isinstance(events[-1], Ended)
    final = of(Final, events)[-1]
    assert (final.source, final.mode, final.language) == ("audio", "streaming", "en")


def engine_whose_language_model_transcribes():
    engine = ScriptedEngine()
    engine.info = replace(
        engine.info, tasks=("translate:en",), prompted_tasks=("transcribe",)
    )
    return engine


def test_where_the_language_model_transcribes_captions_are_its_replies():
    engine = engine_whose_language_model_transcribes()
    request = Start(tasks=("transcribe", "translate:en"), words=True, speakers=2)
    session, desk = at_work(request, engine=engine)
    session.push(TALK)
    session.end()
    desk.run()
    events = session.events()
    assert texts(events)[1, "transcribe"] == "transcribe 1 2"
    final = next(e for e in of(Final, events) if e.task == "transcribe")
    assert (final.source, final.words) == ("audio", ())
    spoken = [turn.text for told in of(Speakers, events) for turn in told.turns]
    assert "transcribe 1 2" in spoken


def test_where_the_language_model_transcribes_no_question_is_spoken():
    engine = engine_whose_language_model_transcribes()
    with pytest.raises(UnsupportedRequestError, match="answers no spoken questions"):
        at_work(Start(opening_phrase="hey"), engine=engine)


def test_its_text_comes_token_by_token_after_the_end_of_the_segment_all_stable():
    session, desk = at_work(Start(tasks=("describe",)))
    session.push(speak(1, 2, 0))
    desk.run()
    events = session.events()
    partials = of(Partial, events)
    assert [p.text for p in partials] == ["describe", "describe 1", "describe 1 2"]
    assert all(p.stable == len(p.text) for p in partials)
    order = [type(e) for e in events if isinstance(e, SpeechEnded | Partial | Final)]
    assert order == [SpeechEnded, Partial, Partial, Partial, Final]
    final = the(events, Final)
    assert {(p.start, p.end) for p in partials} == {(final.start, final.end)}


def test_no_partials_of_it_are_told_if_none_are_wanted():
    session, desk = at_work(Start(tasks=("describe",), partials=False))
    session.push(speak(1, 0))
    desk.run()
    events = session.events()
    assert not of(Partial, events)
    assert the(events, Final).text == "describe 1"


def test_the_final_of_a_later_segment_does_not_wait_for_an_earlier_reply():
    session, desk = at_work(Start(tasks=("describe", "transcribe")))
    session.push(TALK)
    while (2, "transcribe") not in texts(session._events):
        assert desk.step()
    told = texts(session.events())
    assert (1, "describe") not in told
    desk.run()
    finals = of(Final, session.events())
    assert [(f.segment, f.task) for f in finals] == [(1, "describe"), (2, "describe")]


def test_settled_waits_for_the_last_reply_of_a_segment():
    session, desk = at_work(Start(tasks=("transcribe", "describe")))
    session.push(TALK)
    session.end()
    desk.run()
    finals = of(Final, session.events())
    first = {f.task: f.settled for f in finals if f.segment == 1}
    starts = {f.segment: f.start for f in finals}
    assert first["transcribe"] == starts[1]
    assert first["describe"] == starts[2]
    assert session.settled == session.accepted


def test_a_reply_that_fails_is_an_error_of_that_task_alone():
    session, desk = at_work(Start(tasks=("transcribe", "describe")))
    desk.engine.refuses = "describe"
    session.push(speak(1, 0))
    desk.run()
    events = session.events()
    error = the(events, Error)
    assert (error.segment, error.task, error.code) == (1, "describe", "engine")
    assert not error.ends_session
    assert texts(events) == {(1, "transcribe"): "1"}
    assert session.settled > 0


def test_a_segment_that_failed_waits_for_the_finals_of_those_before_it():
    session, desk = at_work(Start(tasks=("transcribe", "describe")))
    session.push(speak(1, 2, 0, 0, UNKNOWN, 0, 0))
    while not texts(session._events):
        desk.step()
    assert not of(Error, session._events)
    desk.run()
    events = session.events()
    assert the(events, Error).segment == 2
    assert isinstance(events[-1], Error)


def test_nothing_is_left_in_the_engine_at_the_end():
    session, desk = at_work(Start(tasks=("transcribe", "describe")))
    session.push(TALK)
    session.ask(ask())
    desk.run()
    assert desk.engine.num_open == 1  # the last segment, to be asked about
    session.end()
    desk.run()
    assert (desk.engine.num_open, desk.engine.num_replies) == (0, 0)


def test_an_engine_that_answers_no_questions_keeps_no_segment():
    engine = ScriptedEngine()
    engine.info = _without_questions(engine.info)
    session, desk = at_work(engine=engine)
    session.push(TALK)
    desk.run()
    assert engine.num_open == 0
    session.ask(ask())
    error = the(session.events(), Error)
    assert (error.code, error.question) == ("unsupported", "q")


def _without_questions(info):
    return EngineInfo(
        model=info.model,
        tasks=info.tasks,
        languages=info.languages,
        max_samples=info.max_samples,
        description=info.description,
    )


# Questions.


def test_a_question_about_what_was_heard_just_now_hears_unvoiced_audio_too():
    session, desk = at_work()
    session.push(speak(1, 0, 0))
    session.push(bytes(SECOND))
    session.ask(ask(seconds=30.0))
    desk.run()
    events = session.events()
    answer = the(events, Answer)
    assert answer.text == "what 1"
    assert (answer.start, answer.end) == (0, session.accepted)
    assert (answer.finish, answer.source, answer.mode) == ("stop", "audio", "streaming")
    started = the(events, AnswerStarted)
    assert (started.id, started.question) == ("q", "what")
    assert [p.text for p in of(AnswerPartial, events)] == ["what", "what 1"]


def test_only_so_many_seconds_are_heard_as_were_asked_for():
    session, desk = at_work()
    session.push(speak(1, 2, 3, samples=16_000))
    session.ask(ask(seconds=1.5))
    desk.run()
    answer = the(session.events(), Answer)
    assert answer.text == "what 2 3"
    assert (answer.start, answer.end) == (24_000, 48_000)


def test_the_last_thirty_seconds_are_thirty():
    session, desk = at_work(engine=ScriptedEngine(max_samples=16_000 * 30))
    session.push(speak(*range(20, 52), samples=16_000))
    session.ask(ask(seconds=30.0))
    while not of(Answer, session._events):
        assert desk.step()
    answer = the(session.events(), Answer)
    assert answer.end - answer.start == 30 * 16_000


def test_no_more_is_heard_than_the_engine_can_hear_at_once():
    session, desk = at_work(engine=ScriptedEngine(max_samples=16_000 * 10))
    session.push(speak(*range(20, 32), samples=16_000)[: 12 * SECOND])
    session.ask(ask(seconds=30.0))
    while not of(Answer, session._events):
        assert desk.step()
    answer = the(session.events(), Answer)
    assert answer.end - answer.start == 10 * 16_000


def test_a_question_about_the_current_segment_hears_it_up_to_now():
    session, desk = at_work()
    session.push(speak(1))
    session.ask(ask(about="segment"))
    session.push(speak(2, 0))
    desk.run()
    events = session.events()
    answer = the(events, Answer)
    final = the(events, Final)
    assert answer.text in ("what 1", "what 1 2")
    assert answer.start == final.start
    assert answer.end <= final.end
    assert final.text == "1 2"


def test_where_no_segment_goes_on_it_is_the_last():
    session, desk = at_work()
    session.push(TALK)
    desk.run()
    final = of(Final, session.events())[-1]
    session.ask(ask("a", about="segment"))
    session.ask(ask("b", about="last_segment"))
    desk.run()
    answers = of(Answer, session.events())
    assert [a.text for a in answers] == ["what 3", "what 3"]
    assert {(a.start, a.end) for a in answers} == {(final.start, final.end)}


def test_the_last_segment_can_be_asked_about_while_another_goes_on():
    session, desk = at_work()
    session.push(speak(1, 0, 0, 2))
    session.ask(ask("last", about="last_segment"))
    session.ask(ask("now", about="segment"))
    desk.run()
    assert texts(session.events()) == {
        (1, "transcribe"): "1",
        "last": "what 1",
        "now": "what 2",
    }


def test_several_questions_are_answered_at_once_over_the_same_audio():
    session, desk = at_work()
    session.push(TALK)
    for name in "abc":
        session.ask(ask(name, text=f"{name} {name}", about="last_segment"))
    desk.run()
    assert max(desk.engine.batches) == 3
    found = texts(session.events())
    assert [found[name] for name in "abc"] == ["a a 3", "b b 3", "c c 3"]


def test_a_task_can_be_asked_by_name_and_an_answer_can_be_short():
    session, desk = at_work()
    session.push(speak(1, 2))
    session.ask(Ask(id="q", task="describe", max_tokens=2))
    desk.run()
    events = session.events()
    assert the(events, AnswerStarted).question == "describe"
    answer = the(events, Answer)
    assert (answer.text, answer.finish) == ("describe 1", "length")


@pytest.mark.parametrize("about", ["segment", "last_segment", "recent"])
def test_a_question_about_nothing_is_refused_and_the_session_goes_on(about):
    session, desk = at_work()
    session.ask(ask(about=about))
    error = the(session.events(), Error)
    assert (error.code, error.question) == ("protocol", "q")
    assert ("nothing was heard yet" in error.message) == (about == "recent")
    session.push(TALK)
    session.end()
    desk.run()
    assert [f.text for f in of(Final, session.events())] == ["1 2", "3"]


def test_a_question_is_refused_in_its_own_name_and_others_are_answered():
    session, desk = at_work(max_questions=2)
    session.push(TALK)
    session.ask(ask("a"))
    session.ask(ask("a"))
    session.ask(ask("b", seconds=31.0))
    session.ask(ask("c", text=None, task="sing"))
    session.ask(ask("d"))
    session.ask(ask("e"))
    session.ask(ask("f"), refused=OverloadedError("busy"))
    session.cancel(Cancel(id="g"))
    errors = of(Error, session.events())
    assert [(e.question, e.code) for e in errors] == [
        ("a", "protocol"),
        ("b", "protocol"),
        ("c", "unsupported"),
        ("e", "limit"),
        ("f", "overloaded"),
        ("g", "protocol"),
    ]
    assert session.asked == 7
    session.end()
    desk.run()
    events = session.events()
    assert {a.id for a in of(Answer, events)} == {"a", "d"}
    assert isinstance(events[-1], Ended)


def test_a_question_about_a_segment_on_which_the_engine_failed_is_an_error():
    session, _desk = at_work()
    session.push(speak(1))
    session.ask(ask("before", about="segment"))
    session.deliver(Failed(1, "engine", "no"))
    session.ask(ask("after", about="segment"))
    session.push(speak(0, 0))
    session.ask(ask("later", about="last_segment"))
    errors = of(Error, session.events())
    assert [e.question for e in errors] == ["before", "after", None, "later"]
    assert not session.is_over


def test_a_cancelled_answer_stops_at_once():
    session, desk = at_work()
    session.push(speak(1, 2, 3))
    session.ask(ask())
    while not of(AnswerPartial, session._events):
        desk.step()
    session.cancel(Cancel(id="q"))
    steps = len(desk.engine.batches)
    answer = the(session.events(), Answer)
    assert (answer.finish, answer.text) == ("cancelled", "what")
    desk.run()
    assert len(desk.engine.batches) == steps
    assert desk.engine.num_replies == 0
    assert not of(Answer, session.events())


def test_a_question_that_is_cancelled_before_its_turn_is_never_asked():
    session, desk = at_work()
    session.push(speak(1))
    session.ask(ask())
    session.cancel(Cancel(id="q"))
    desk.run()
    assert desk.engine.batches == []
    assert the(session.events(), Answer).text == ""


def test_a_cancel_after_the_answer_changes_nothing():
    session, desk = at_work()
    session.push(speak(1))
    session.ask(ask())
    desk.run()
    session.events()
    session.cancel(Cancel(id="q"))
    assert session.events() == []


def test_the_end_waits_for_answers_and_a_cancel_lets_it_come():
    session, desk = at_work()
    session.push(speak(1))
    session.ask(ask("a"))
    session.ask(ask("b"))
    session.end()
    while not of(Final, session._events):
        desk.step()
    assert not session.is_over
    session.ask(ask("late"))
    session.cancel(Cancel(id="a"))
    session.cancel(Cancel(id="b"))
    *_, late, _a, _b, ended = session.events()
    assert (late.question, late.message) == ("late", "ask: it came after end")
    assert isinstance(ended, Ended)


def test_a_session_that_is_over_answers_nothing():
    session, desk = at_work()
    session.push(speak(1))
    session.ask(ask())
    session.fail(ProtocolError("bad"))
    session.ask(ask("b"))
    session.cancel(Cancel(id="q"))
    desk.run()
    assert [type(e) for e in session.events()][-1] is Error


# What was said, beside what is asked.


def said(desk):
    """Return what was said beside each question."""
    return {prompt.text or prompt.task: prompt.said for prompt in desk.engine.asked}


def test_what_is_known_of_the_words_stands_beside_a_question():
    session, desk = at_work()
    session.push(speak(1, 2, 0, 0, 3, 0, 0, 4, 5, 6, samples=8_000))
    desk.run()
    assert texts(session.events()) == {(1, "transcribe"): "1 2", (2, "transcribe"): "3"}
    session.ask(ask(text="all", about="recent", seconds=30.0))
    session.ask(ask("b", text="latest", about="recent", seconds=2.6))
    session.ask(ask("c", text="now", about="segment"))
    session.ask(ask("d", text="last", about="last_segment"))
    desk.run()
    assert said(desk) == {
        "all": "1 2 3 4 5 6",
        "latest": "4 5 6",
        "now": "4 5 6",
        "last": "3",
    }


def test_of_a_long_segment_the_words_of_the_passage_are_told():
    session, desk = at_work()
    session.push(speak(20, 21, 22, 23, 24, 25, samples=8_000))
    desk.run()
    for seconds in (3.0, 1.9, 0.9):
        session.ask(ask(text=f"{seconds}", about="recent", seconds=seconds))
        desk.run()
    assert said(desk) == {
        "3.0": "20 21 22 23 24 25",
        "1.9": "22 23 24 25",
        "0.9": "24 25",
    }
    session.push(speak(0, 0, samples=8_000))
    desk.run()
    session.ask(ask(text="ended", about="recent", seconds=1.8))
    desk.run()
    assert said(desk)["ended"] == "24 25"


def test_of_words_without_spaces_a_share_is_told():
    text = "一二三四五六七八九十" * 6
    segment = PendingSegment(1, 0, ["transcribe"], end=6_000)
    segment._shown["transcribe"] = text, 0
    words = RecentWords()
    words.begin(segment)
    assert words.within(Passage(start=3_000, end=7_000)) == text[30:]
    assert words.within(Passage(start=6_000, end=7_000)) == ""
    assert words.of(1) == text
    assert words.of(2) is None


def test_what_was_said_before_the_phrase_is_known_long_after():
    session, desk = at_work(Start(opening_phrase="7 8"))
    session.push(speak(1, 2, 0, 0, 7, 8, 0, 0))
    session.push(bytes(31 * SECOND))
    session.push(speak(30, 31, 0, 0))
    desk.run()
    assert said(desk) == {"30 31": "1 2"}


def test_where_the_engine_fails_no_audio_is_kept_for_a_question():
    session, desk = at_work(Start(tasks=("audio_question",)))
    session.push(speak(1, 2, 0, 0))
    session.push(speak(UNKNOWN, 0, 0, 3, 0, 0))
    desk.run()
    assert session._asker._before == {}


def test_where_nothing_is_told_of_a_segment_yet_the_engine_finds_its_words():
    session, desk = at_work(Start(partials=False))
    session.push(speak(1, 2, 3, 4, 5, 6))
    desk.run()
    session.ask(ask(about="segment"))
    session.ask(ask("b", text="all", about="recent"))
    desk.run()
    assert said(desk) == {"what": None, "all": ""}


def test_a_spoken_question_is_told_what_was_said_before_it():
    session, desk = at_work(Start(tasks=("audio_question",)))
    session.push(speak(1, 2, 0, 0, 30, 31, 0, 0))
    desk.run()
    assert said(desk) == {"1 2": "1 2", "30 31": "1 2"}


def test_where_no_words_are_written_the_engine_finds_those_of_segments_only():
    session, desk = at_work(Start(tasks=("describe",)))
    session.push(TALK)
    session.ask(ask(about="recent"))
    desk.run()
    assert said(desk) == {"describe": None, "what": ""}


# Questions that are spoken.


def test_behind_the_opening_phrase_stands_a_question_about_what_was_before():
    request = Start(opening_phrase="7 8", spoken_seconds=0.8)
    session, desk = at_work(request)
    session.push(speak(1, 2, 0, 0, 7, 8, 9, 0, 0))
    desk.run()
    events = session.events()
    started, answer = the(events, AnswerStarted), the(events, Answer)
    assert (started.id, started.question) == ("spoken-2", "9")
    assert answer.text == "9 2"  # 0.8 s before it began
    spoken = of(Final, events)[-1]
    assert answer.end == spoken.start


def test_after_the_phrase_alone_the_question_is_what_is_said_next():
    session, desk = at_work(Start(opening_phrase="7 8"))
    session.push(speak(1, 0, 0, 7, 8, 0, 0, 9, 0, 0, 5, 0, 0))
    desk.run()
    answer = the(session.events(), Answer)
    assert (answer.id, answer.text) == ("spoken-3", "9 1")


def test_one_that_is_spoken_first_of_all_is_about_itself():
    session, desk = at_work(Start(opening_phrase="7"))
    session.push(speak(7, 9, 0, 0))
    desk.run()
    assert the(session.events(), Answer).text == "9 7 9"


def test_too_many_spoken_questions_are_refused_like_others():
    session, desk = at_work(Start(opening_phrase="7"), max_questions=1)
    session.push(speak(1, 0, 0))
    session.ask(ask("q"))
    session.push(speak(7, 9, 0, 0))
    while len(of(Final, session._events)) < 2:
        desk.step()
    error = the(session.events(), Error)
    assert (error.question, error.code) == ("spoken-2", "limit")


def test_with_the_task_audio_question_each_segment_is_a_question():
    session, desk = at_work(Start(tasks=("audio_question",)))
    session.push(speak(1, 0, 0, 2, 3, 0, 0))
    session.end()
    desk.run()
    events = session.events()
    assert texts(events) == {
        (1, "audio_question"): "1 1",
        (2, "audio_question"): "2 3 1",
    }
    assert {p.task for p in of(Partial, events)} == {"audio_question"}


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        (Start(opening_phrase=" !"), ProtocolError, "opening_phrase is ' !'; it must"),
        (Start(spoken_seconds=31.0), ProtocolError, "spoken_seconds is 31; it must be"),
        (Start(tasks=("sing",)), UnsupportedRequestError, "no task 'sing'"),
    ],
)
def test_wishes_that_nobody_can_grant_are_refused(request_, error, message):
    with pytest.raises(error, match=message):
        open_session(request_)


@pytest.mark.parametrize(
    "request_", [Start(opening_phrase="hey"), Start(tasks=("audio_question",))]
)
def test_an_engine_that_answers_no_questions_hears_none(request_):
    engine = ScriptedEngine()
    engine.info = _without_questions(engine.info)
    with pytest.raises(UnsupportedRequestError, match="answers no spoken questions"):
        open_session(request_, engine=engine)


# All of it, and processes that die.

moves = st.lists(
    st.sampled_from(
        [*[4_000, 16_000] * 3, "work", "work", "work", "ask", "cancel", "read", "die"]
    ),
    min_size=20,
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(moves=moves)
def test_each_task_is_answered_once_a_segment_whatever_happens(moves):
    """Random pieces, questions, lost answers and lost processes."""
    tasks = ("transcribe", "describe")
    audio = b"".join(speak(number, 0, 0, samples=8_000) for number in range(20, 26))
    request = Start(tasks=tasks)
    session, desk = at_work(request)
    seen: dict[str, list[str]] = {task: [] for task in tasks}
    last = dict.fromkeys(tasks, 0)
    open_, asked, answered = set(), 0, set()
    client = Resume(session="x", seq=0, settled=0, segment=0)

    def read(events):
        nonlocal client
        for event in events:
            assert event.seq > client.seq
            settled = getattr(event, "settled", client.settled)
            assert settled >= client.settled
            if isinstance(event, Final) and event.end > last[event.task]:
                assert event.segment <= min(last_segments.values()) + len(audio)
                last[event.task] = event.end
                last_segments[event.task] = event.segment
                seen[event.task].append(event.text)
            if isinstance(event, Answer):
                assert event.id in open_
                open_.discard(event.id)
                answered.add(event.id)
            client = Resume(
                session="x",
                seq=event.seq,
                settled=settled,
                segment=min(last_segments.values()),
            )

    last_segments = dict.fromkeys(tasks, 0)
    for move in moves:
        match move:
            case int():
                at = 2 * session.accepted
                session.push(audio[at : at + 2 * move])
            case "work":
                desk.step()
            case "ask" if session.accepted > session._first and len(open_) < 8:
                asked += 1
                open_.add(str(asked))
                session.ask(ask(str(asked)))
            case "cancel" if open_:
                session.cancel(Cancel(id=min(open_)))
            case "read":
                read(session.events())
            case "die":
                session, desk = at_work(Start(tasks=tasks, resume=client))
                open_.clear()  # `resumed` is false: their answers are lost
    session.push(audio[2 * session.accepted :])
    session.end()
    desk.run()
    read(session.events())
    said = [str(number) for number in range(20, 26)]
    assert seen["transcribe"] == said
    assert seen["describe"] == [f"describe {word}" for word in said]
    assert not open_
    assert session.is_over
    assert (desk.engine.num_open, desk.engine.num_replies) == (0, 0)


class Expecting(ScriptedEngine):
    """Notes of which utterances questions were likely."""

    def __init__(self):
        super().__init__()
        self.likely = []

    def open(self, options):
        self.likely.append(options.questions)
        return super().open(options)


@pytest.mark.parametrize(
    ("about", "silent_s", "likely"),
    [("segment", 1, True), ("segment", 61, False), ("recent", 1, False)],
)
def test_who_asked_about_a_segment_is_likely_to_ask_about_those_of_the_next_minute(
    about, silent_s, likely
):
    engine = Expecting()
    session, desk = at_work(engine=engine)
    session.push(TALK)
    session.ask(ask(about=about))
    session.push(bytes(SECOND * silent_s) + speak(4, 0, 0))
    desk.run()
    assert engine.likely[:2] == [False, False], "two segments before the question"
    assert any(engine.likely[2:]) is likely
