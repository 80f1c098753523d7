"""What a session listens for all the time: watches, and what is noticed."""

import base64
from dataclasses import replace

import numpy as np
import pytest

from engine.api import Prompt
from engine.errors import UnsupportedError
from stream.config import WatchesConfig
from stream.errors import LimitError, ProtocolError, UnsupportedRequestError
from stream.events import Ended, Error, Final, Resume, Start
from stream.jobs import Weighing, WeighPassage
from stream.sound_events import Noticed, Watch
from stream.watches import MAX_WATCH, chance
from tests.fakes.driver import WATCHES, Desk, open_session
from tests.fakes.engine import ScriptedEngine, speak

SEVEN = Watch(id="a", text="7")
HOP, WINDOW = 3_200, 9_600


def opened(*watches, engine=None, config=WATCHES, **wishes):
    engine = engine or ScriptedEngine()
    request = Start(watches=watches, **wishes)
    session = open_session(request, engine=engine, watches=config)
    return session, Desk(session, engine=engine), engine


def hear(session, desk, audio):
    """Hear audio a hop at a time, each with all of its work done."""
    for first in range(0, len(audio), 2 * HOP):
        session.push(audio[first : first + 2 * HOP])
        desk.run()


def noticed(events):
    return [event for event in events if isinstance(event, Noticed)]


def spans(events):
    return [(e.id, e.start, e.end, e.complete) for e in noticed(events)]


def test_what_is_watched_for_is_noticed_with_where_it_was():
    session, desk, engine = opened(SEVEN)
    hear(session, desk, speak(0, 0, 7, 7, 0, 0, 0, 0))
    begun, over = noticed(session.events())
    assert (begun.id, begun.text, begun.complete) == ("a", "7", False)
    assert begun.score == pytest.approx(chance(4.0), abs=1e-3)
    # It is said from 9,600 to 19,200; passages end each 3,200 samples.
    assert (begun.start, begun.end) == (9_600, 12_800)
    assert (over.start, over.end, over.complete) == (9_600, 19_200, True)
    assert set(engine.weighed) == {("7",)}


def test_what_is_listened_for_is_weighed_by_its_name():
    session, desk, engine = opened(Watch(id="q", text=" A 7 Bell. "))
    hear(session, desk, speak(7))
    assert set(engine.weighed) == {("7 bell",)}
    (told,) = noticed(session.events())
    assert told.text == " A 7 Bell. "


def test_it_listens_where_nobody_speaks():
    session, desk, engine = opened(SEVEN)
    hear(session, desk, speak(0, 0, 0, 0))
    assert len(engine.weighed) == 6
    assert not [event for event in session.events() if isinstance(event, Final)]


def test_captions_are_the_same_with_watches():
    talk = speak(1, 7, 0, 0, 3, 0, 0)
    found = []
    for watches in ((), (SEVEN, replace(SEVEN, id="b", text="3"))):
        session, desk, _ = opened(*watches)
        hear(session, desk, talk)
        session.end()
        desk.run()
        finals = [e for e in session.events() if isinstance(e, Final)]
        found.append([replace(e, seq=0) for e in finals])
    assert found[0] == found[1]


def test_all_watches_are_weighed_in_one_pass():
    watches = [Watch(id=str(n), text=str(n)) for n in range(1, 17)]
    session, desk, engine = opened(*watches)
    hear(session, desk, speak(0, 3, 0))
    assert {len(questions) for questions in engine.weighed} == {16}
    assert {event.id for event in noticed(session.events())} == {"3"}


def test_each_has_rules_of_its_own():
    patient = Watch(id="p", text="7", min_s=0.5)
    strict = Watch(id="s", text="7", threshold=0.99)
    session, desk, _ = opened(SEVEN, patient, strict)
    hear(session, desk, speak(0, 7, 0, 0, 0))
    # A passage of 0.6 s has the word in it for 0.9 s.
    assert {e.id for e in noticed(session.events())} == {"a", "p"}
    session, desk, _ = opened(replace(patient, min_s=1.0))
    hear(session, desk, speak(0, 7, 0, 0, 0))
    assert noticed(session.events()) == []
    eager, slow = (Watch(id=n, text="7", cooldown_s=s) for n, s in (("e", 0), ("c", 2)))
    session, desk, _ = opened(eager, slow)
    hear(session, desk, speak(0, 7, 0, 0, 7, 0, 0, 0))
    ids = [event.id for event in noticed(session.events()) if event.complete]
    assert ids.count("e") == 2
    assert ids.count("c") == 1


def test_audio_around_it_comes_if_it_is_wanted():
    session, desk, _ = opened(SEVEN, replace(SEVEN, id="b", audio=True))
    audio = speak(0, 0, 7, 0, 0, 0, 0)
    hear(session, desk, audio)
    plain, with_audio, *over = noticed(session.events())
    assert (plain.id, plain.audio) == ("a", "")
    heard = base64.b64decode(with_audio.audio)
    assert len(heard) == 2 * WINDOW
    assert heard == audio[2 * with_audio.end - len(heard) : 2 * with_audio.end]
    assert [event.audio for event in over] == ["", ""]


def test_a_watch_comes_and_goes_while_the_session_runs():
    session, desk, engine = opened()
    hear(session, desk, speak(7, 7))
    assert engine.weighed == []
    session.watches.add(SEVEN)
    hear(session, desk, speak(0))
    assert [e.complete for e in noticed(session.events())] == [False]
    session.watches.remove("a")
    session.watches.remove("nobody")
    weighed = len(engine.weighed)
    hear(session, desk, speak(7, 0, 0, 0))
    assert noticed(session.events()) == []
    assert len(engine.weighed) == weighed


def test_another_of_the_same_id_takes_its_place():
    session, desk, engine = opened(SEVEN)
    session.watches.add(replace(SEVEN, text="8"))
    hear(session, desk, speak(7, 8))
    assert engine.weighed[0] == ("8",)
    assert [event.text for event in noticed(session.events())] == ["8"]


def test_a_watch_that_is_set_again_goes_on():
    session, desk, _ = opened(SEVEN)
    hear(session, desk, speak(7, samples=HOP))
    session.watches.add(SEVEN)
    hear(session, desk, speak(7, samples=HOP))
    assert [event.complete for event in noticed(session.events())] == [False]


def test_a_result_about_a_watch_that_is_gone_is_not_told():
    session, desk, _ = opened(SEVEN)
    session.push(speak(7))
    session.watches.add(replace(SEVEN, text="9"))
    desk.run()
    assert noticed(session.events()) == []


def test_a_busy_engine_listens_less_often_and_nothing_queues():
    session, desk, engine = opened(SEVEN)
    for _ in range(20):
        session.push(bytes(2 * HOP))
    wishes = [job for job in session.jobs() if isinstance(job, WeighPassage)]
    assert len(wishes) == 20
    session, desk, engine = opened(SEVEN)
    for _ in range(20):
        session.push(bytes(2 * HOP))
    desk.run()
    assert len(engine.weighed) == 1
    (work,) = [work for work in desk.done if isinstance(work, Weighing)]
    assert work.wish.start == 20 * HOP - WINDOW


def test_the_end_waits_for_what_is_still_weighed_and_ends_what_goes_on():
    session, desk, _ = opened(SEVEN)
    session.push(speak(0, 7))
    session.end()
    assert not any(isinstance(event, Ended) for event in session.events())
    desk.run()
    events = session.events()
    assert spans(events) == [("a", 0, 9_600, False), ("a", 0, 9_600, True)]
    assert isinstance(events[-1], Ended)


def test_the_last_audio_is_weighed_though_it_is_less_than_a_hop():
    session, desk, engine = opened(SEVEN)
    hear(session, desk, speak(0, samples=HOP) + speak(7, samples=960))
    assert len(engine.weighed) == 1
    session.end()
    desk.run()
    assert len(engine.weighed) == 2
    begun, over = spans(session.events())
    assert begun == ("a", 3_200, 4_160, False)
    assert over == ("a", 3_200, 4_160, True)


def test_positions_of_a_session_that_goes_on_are_those_of_the_stream():
    resume = Resume(session="x", seq=5, settled=48_000, segment=1)
    session, desk, _ = opened(SEVEN, resume=resume)
    hear(session, desk, speak(0, 0, 7, 0, 0, 0))
    assert [(s, c) for _, s, _, c in spans(session.events())] == [
        (48_000 + 9_600, False),
        (48_000 + 9_600, True),
    ]


def test_a_session_that_goes_on_listens_for_what_its_client_says_then():
    session, desk, engine = opened(SEVEN, replace(SEVEN, id="b", text="8"))
    hear(session, desk, speak(7, samples=HOP))
    session.watches.set([SEVEN, replace(SEVEN, id="c", text="9")])
    hear(session, desk, speak(7, samples=HOP))
    assert engine.weighed[-1] == ("7", "9")
    # What stays goes on: it is not told to begin again.
    assert [e.id for e in noticed(session.events())] == ["a"]


def test_a_failing_engine_is_told_once_and_listening_goes_on():
    session, desk, engine = opened(SEVEN, replace(SEVEN, id="b", text="8"))
    engine.refuses = "7"
    hear(session, desk, speak(7, 7))
    errors = [e for e in session.events() if isinstance(e, Error)]
    assert [(e.code, e.watch) for e in errors] == [("engine", "a"), ("engine", "b")]
    assert not any(e.ends_session for e in errors)
    assert engine.num_open == 1, "the segment; no passage is left open"
    engine.refuses = ""
    hear(session, desk, speak(7))
    assert [e.id for e in noticed(session.events())] == ["a"]


WRONG = [
    (Watch(id="", text="7"), "watch: id has 0 characters; it must have 1 to 64"),
    (Watch(id="x" * 65, text="7"), "watch: id has 65 characters"),
    (Watch(id="a", text=" \n"), "watch: text is empty"),
    (Watch(id="a", text="Is it 7?"), "watch: text is a question; expected what is to"),
    (Watch(id="a", text="x" * (MAX_WATCH + 1)), "text has 161 characters; at most 160"),
    (
        replace(SEVEN, threshold=0.0),
        "watch: threshold is 0; it must be between 0 and 1",
    ),
    (
        replace(SEVEN, threshold=1.0),
        "watch: threshold is 1; it must be between 0 and 1",
    ),
    (replace(SEVEN, min_s=-1.0), "watch: min_s is -1; it must be 0 to 3600"),
    (replace(SEVEN, cooldown_s=1e9), "watch: cooldown_s is 1e\\+09; it must be 0 to"),
]


@pytest.mark.parametrize(("watch", "sentence"), WRONG, ids=lambda v: str(v)[:30])
def test_what_is_wrong_with_a_watch_is_told_in_a_sentence(watch, sentence):
    with pytest.raises(ProtocolError, match=sentence):
        opened(watch)
    session, desk, _ = opened(replace(SEVEN, id="good"))
    session.watches.add(watch)
    (error,) = session.events()
    assert (error.code, error.watch) == ("protocol", watch.id[:64])
    assert not error.ends_session
    hear(session, desk, speak(7))
    assert {e.id for e in noticed(session.events())} == {"good"}


def test_there_is_a_bound_on_watches():
    config = replace(WATCHES, max_per_session=2)
    three = [Watch(id=name, text="7") for name in "abc"]
    with pytest.raises(LimitError, match="may have 2 watches; this is one more"):
        opened(*three, config=config)
    session, _, _ = opened(*three[:2], config=config)
    session.watches.add(three[2])
    (error,) = session.events()
    assert (error.code, error.watch) == ("limit", "c")
    session.watches.add(replace(three[0], text="8"))  # in the place of another
    assert session.events() == []


def test_two_of_one_id_are_refused_at_the_start():
    with pytest.raises(ProtocolError, match="two watches have the same id"):
        opened(SEVEN, SEVEN)


def test_a_model_that_answers_no_questions_watches_for_nothing():
    engine = ScriptedEngine()
    engine.info = replace(engine.info, answers_questions=False)
    with pytest.raises(UnsupportedError) as refusal:
        engine.check_prompt(Prompt(text="7"))
    with pytest.raises(UnsupportedRequestError) as told:
        opened(SEVEN, engine=engine)
    assert str(told.value) == str(refusal.value)
    session, _, _ = opened(engine=engine)
    session.watches.add(SEVEN)
    (error,) = session.events()
    assert (error.code, error.watch) == ("unsupported", "a")


@pytest.mark.parametrize("odds", [-1e6, -700.0, -2.0, 0.0, 3.0, 1e6])
def test_a_chance_is_that_of_the_odds(odds):
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-odds))
    assert chance(odds) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "fields",
    [
        {"hop_s": 6.0},
        {"hop_s": 0.0},
        {"window_s": 31.0},
        {"threshold": 1.0},
        {"hysteresis": -0.1},
        {"cooldown_s": float("inf")},
        {"max_per_session": -1},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(fields):
    (name,) = fields
    with pytest.raises(ValueError, match=f"watches.{name} "):
        WatchesConfig(**fields)
