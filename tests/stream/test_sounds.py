"""Sounds by their names, beside captions."""

from dataclasses import replace

import pytest

from engine.api import SoundClass
from stream.errors import UnsupportedRequestError
from stream.events import Ended, Error, Final, Start
from stream.onsets import OnsetRules
from stream.sound_events import Noticed, Sound, Watch
from stream.sounds import SoundTeller
from tests.fakes.driver import Desk, open_session
from tests.fakes.engine import SOUNDS, ScriptedEngine, speak
from tests.stream.test_watches import hear

RULES = OnsetRules(threshold=0.7, release=0.5)


def opened(engine=None, **wishes):
    engine = engine or ScriptedEngine()
    session = open_session(Start(**wishes), engine=engine)
    return session, Desk(session, engine=engine), engine


def sounds(events):
    return [
        (event.text, event.start, event.end, event.complete)
        for event in events
        if isinstance(event, Sound)
    ]


def told(*scores, classes=SOUNDS):
    """Return what scores of passages of ten samples tell, and what their end does."""
    teller = SoundTeller(classes, RULES)
    found = []
    for number, row in enumerate(scores, 1):
        news = teller.push(10 * number - 10, 10 * number, row)
        found.append([(sound.text, sound.complete) for sound in news])
    return [*found, [(s.text, s.complete) for s in teller.flush()]]


def test_a_sound_is_told_by_its_name_from_its_beginning_to_its_end():
    session, desk, _ = opened(sounds=True)
    hear(session, desk, speak(0, 0, 30, 30, 0, 0, 0, 0))
    session.end()
    desk.run()
    events = session.events()
    assert sounds(events) == [
        ("thirty", 9_600, 12_800, False),
        ("thirty", 9_600, 19_200, True),
    ]
    assert isinstance(events[-1], Ended)


def test_sounds_are_told_only_if_they_are_wanted():
    session, desk, engine = opened()
    hear(session, desk, speak(30, 0, 0, 0))
    assert engine.weighed == []
    assert sounds(session.events()) == []


def test_captions_are_the_same_with_sounds():
    found = []
    for wanted in (False, True):
        session, desk, _ = opened(sounds=wanted)
        hear(session, desk, speak(1, 30, 0, 0, 3, 0, 0))
        session.end()
        desk.run()
        finals = [e for e in session.events() if isinstance(e, Final)]
        found.append([replace(e, seq=0) for e in finals])
    assert found[0] == found[1]


def test_sounds_and_watches_share_a_pass():
    watch = Watch(id="w", text="7")
    session, desk, engine = opened(sounds=True, watches=(watch,))
    hear(session, desk, speak(7, 30))
    names = {name for weighed in engine.weighed for name in weighed}
    assert names == {*(s.label for s in SOUNDS), "7"}
    assert {len(weighed) for weighed in engine.weighed} == {4}
    events = session.events()
    assert [e.id for e in events if isinstance(e, Noticed)] == ["w"]
    assert [name for name, *_ in sounds(events)] == ["thirty"]


def test_of_one_kind_the_likeliest_is_heard():
    assert told((0.1, 0.8, 0.9), (0.1, 0.9, 0.2)) == [
        [("music: forty-two", False)],
        [("music: forty-two", True), ("music: forty-one", False)],
        [("music: forty-one", True)],
    ]


def test_of_one_kind_what_goes_on_stays_as_long_as_it_may():
    assert told((0.1, 0.8, 0.2), (0.1, 0.6, 0.99), (0.1, 0.55, 0.99)) == [
        [("music: forty-one", False)],
        [],
        [],
        [("music: forty-one", True)],
    ]


def test_a_kind_is_told_where_no_sound_of_it_is_sure():
    music = SoundClass(label="music", caption="music")
    classes = (music, *SOUNDS[1:])
    assert told((0.9, 0.6, 0.1), (0.9, 0.8, 0.1), classes=classes) == [
        [("music", False)],
        [("music", True), ("music: forty-one", False)],
        [("music: forty-one", True)],
    ]


def test_sounds_of_other_kinds_are_heard_at_once():
    assert told((0.9, 0.9, 0.0)) == [
        [("thirty", False), ("music: forty-one", False)],
        [("thirty", True), ("music: forty-one", True)],
    ]


def test_a_model_that_was_taught_none_refuses_them_in_a_sentence():
    engine = ScriptedEngine()
    engine.info = replace(engine.info, sounds=())
    with pytest.raises(UnsupportedRequestError) as told:
        opened(engine, sounds=True)
    assert str(told.value) == (
        "scripted tells no sounds by name: "
        "no weights here say that they were taught any"
    )


def test_a_failing_engine_is_told_once_and_captions_go_on():
    session, desk, engine = opened(sounds=True)
    engine.refuses = "30"
    hear(session, desk, speak(1, 0, 0, 0))
    errors = [e for e in session.events() if isinstance(e, Error)]
    assert [(e.code, e.task, e.ends_session) for e in errors] == [
        ("engine", "sounds", False)
    ]
    assert not session.is_over
