"""Speakers whose voices a client brings: known from their first segment, or refused."""

import base64

import pytest

from stream.errors import ProtocolError
from stream.events import (
    Ended,
    Error,
    NameSpeaker,
    SpeakerNamed,
    Speakers,
    Start,
)
from stream.jobs import Enrolling, Recognising
from tests.fakes.driver import Desk, open_session
from tests.fakes.engine import ScriptedEngine, speak

ANNA, BEN = speak(21, 22, samples=16_000), speak(41, 42, samples=16_000)
"""Two seconds of each."""


def voice(name, pcm):
    return NameSpeaker(name=name, voice=base64.b64encode(pcm).decode())


def opened(speakers=4):
    engine = ScriptedEngine()
    session = open_session(Start(speakers=speakers), engine=engine)
    return session, Desk(session, engine=engine), engine


def told(session, kind):
    return [event for event in session.events() if isinstance(event, kind)]


def test_who_was_enrolled_has_the_name_from_the_first_segment_on():
    session, desk, _ = opened()
    session.name_speaker(voice("Anna", ANNA))
    session.push(speak(1, 2, 0, 0, 23, 24, 0, 0))
    session.end()
    desk.run()
    events = session.events()
    (named,) = (event for event in events if isinstance(event, SpeakerNamed))
    assert (named.speaker, named.name) == (1, "Anna")
    turns = [
        (turn.speaker, turn.name, turn.text)
        for event in events
        if isinstance(event, Speakers) and event.complete
        for turn in event.turns
    ]
    assert turns == [(2, "", "1 2"), (1, "Anna", "23 24")]
    assert isinstance(events[-1], Ended)


def test_a_voice_is_heard_before_the_segments_that_follow_it():
    session, desk, _ = opened()
    session.push(speak(1, 2, 0, 0))
    session.name_speaker(voice("Anna", ANNA))
    session.push(speak(21, 0, 0))
    session.end()
    desk.run()
    kinds = [type(w) for w in desk.done if isinstance(w, Enrolling | Recognising)]
    assert kinds[0] is Enrolling
    assert [e.name for e in told(session, SpeakerNamed)] == ["Anna"]


def test_one_who_was_heard_already_gets_the_name():
    session, desk, _ = opened()
    session.push(speak(1, 2, 0, 0, 21, 22, 0, 0))
    desk.run()
    session.name_speaker(voice("Anna", ANNA))
    desk.run()
    (named,) = told(session, SpeakerNamed)
    assert (named.speaker, named.name) == (2, "Anna")


def test_who_comes_twice_under_one_name_is_told_once_more_and_heard_once():
    session, desk, _ = opened()
    for _ in range(2):
        session.name_speaker(voice("Anna", ANNA))
        desk.run()
    assert [(e.speaker, e.name) for e in told(session, SpeakerNamed)] == [
        (1, "Anna"),
        (1, "Anna"),
    ]
    assert len([work for work in desk.done if isinstance(work, Enrolling)]) == 1


def test_the_end_waits_for_voices_and_they_are_forgotten_with_the_session():
    session, desk, engine = opened()
    session.name_speaker(voice("Anna", ANNA))
    session.end()
    desk.take_jobs()
    assert told(session, Ended) == []
    desk.run()
    assert engine.num_listeners == 0
    assert [type(event) for event in session.events()] == [SpeakerNamed, Ended]


def test_a_voice_that_the_engine_can_make_nothing_of_is_told_and_the_session_goes_on():
    session, desk, engine = opened()
    engine.is_deaf = True
    session.name_speaker(voice("Anna", ANNA))
    desk.run()
    (error,) = told(session, Error)
    assert (error.code, error.task, error.segment) == ("engine", "speakers", None)
    assert error.message == "the voice of 'Anna': no voice can be told"
    assert not error.ends_session
    engine.is_deaf = False
    session.name_speaker(voice("Anna", ANNA))
    session.end()
    desk.run()
    assert len(told(session, SpeakerNamed)) == 1


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (voice("Anna", ANNA[:48_000]), "voice has 48000 bytes, 1.5 s; expected 1.6 to"),
        (voice("Anna", 4 * ANNA), "voice has 256000 bytes, 8.0 s; expected 1.6 to 6 s"),
        (voice("Anna", ANNA + b"\1"), "voice has 64001 bytes"),
        (voice("Anna", bytes(64_000)), "voice is silent"),
        (voice(" ", ANNA), "name is empty"),
        (voice("\x1b", ANNA), "characters that can be printed"),
        (NameSpeaker(name="Anna", voice="?"), "voice is not base64"),
        (NameSpeaker(name="Anna"), "speaker is 0; it must be 1 to 999"),
        (
            NameSpeaker(speaker=2, name="Anna", voice="AAAA"),
            "it has a speaker and a voice",
        ),
    ],
)
def test_what_is_no_voice_is_refused_in_words(event, message):
    session, _, _ = opened()
    with pytest.raises(ProtocolError, match=f"name_speaker: .*{message}"):
        session.name_speaker(event)


def test_no_more_voices_are_known_than_speakers_are_told_apart():
    session, desk, _ = opened(speakers=1)
    session.name_speaker(voice("Anna", ANNA))
    with pytest.raises(ProtocolError, match="1 voices are known already"):
        session.name_speaker(voice("Ben", BEN))
    desk.run()
    assert len(told(session, SpeakerNamed)) == 1
