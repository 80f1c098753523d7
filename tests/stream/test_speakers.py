"""Who speaks in a session: turns, words, names, corrections."""

import pytest

from engine.api import SegmentSpeakers, SpeakerNews, Turn
from stream.errors import ProtocolError, UnsupportedRequestError
from stream.events import (
    Ended,
    Error,
    Final,
    NameSpeaker,
    SpeakerNamed,
    Speakers,
    SpeakerTurn,
    Start,
    Word,
)
from stream.jobs import Forgetting, Recognised, Recognising
from stream.speakers import SpeakerTeller, shared_out
from tests.fakes.driver import Desk, open_session
from tests.fakes.engine import ScriptedEngine, speak

TALK = speak(1, 2, 21, 22, 0, 0, 3, 0, 0)
"""A segment in which one voice follows on another, and one of the first alone."""


def talk(session, desk, audio=TALK):
    session.push(audio)
    desk.run()
    session.end()
    desk.run()
    return session.events()


def complete(events):
    return [e for e in events if isinstance(e, Speakers) and e.complete]


def opened(engine=None, **wishes):
    engine = engine or ScriptedEngine()
    session = open_session(Start(speakers=4, **wishes), engine=engine)
    return session, Desk(session, engine=engine), engine


def turn(speaker, start, end, text="", name=""):
    return SpeakerTurn(speaker=speaker, start=start, end=end, text=text, name=name)


def words(*spans):
    return tuple(Word(text=text, start=start, end=end) for text, start, end in spans)


def test_a_segment_is_shared_out_among_those_who_speak_in_it():
    session, desk, _ = opened()
    first, second = complete(talk(session, desk))
    assert [(t.speaker, t.text) for t in first.turns] == [(1, "1 2"), (2, "21 22")]
    assert [(t.speaker, t.text) for t in second.turns] == [(1, "3")]


def test_positions_are_those_of_the_stream():
    session, desk, _ = opened()
    events = talk(session, desk)
    finals = [e for e in events if isinstance(e, Final)]
    for told, final in zip(complete(events), finals, strict=True):
        assert told.segment == final.segment
        assert told.turns[0].start == final.start
        assert told.turns[-1].end == final.end


def test_speakers_are_told_behind_the_final_and_before_the_end():
    session, desk, _ = opened()
    events = talk(session, desk)
    for told in complete(events):
        final = next(
            e for e in events if isinstance(e, Final) and e.segment == told.segment
        )
        assert final.seq < told.seq
    assert isinstance(events[-1], Ended)


def test_while_it_goes_on_a_segment_has_speakers_without_words():
    session, desk, _ = opened()
    for words in ((1, 2, 3), (21, 22, 23)):
        session.push(speak(*words))
        desk.run()
    told = [e for e in session.events() if isinstance(e, Speakers)]
    assert [[t.speaker for t in e.turns] for e in told] == [[1], [1, 2]]
    assert not any(e.complete or t.text for e in told for t in e.turns)


def test_finals_have_words_only_if_they_were_asked_for():
    for wanted in (False, True):
        session, desk, _ = opened(words=wanted)
        finals = [e for e in talk(session, desk) if isinstance(e, Final)]
        assert all(bool(final.words) == wanted for final in finals)


def test_without_the_wish_nothing_is_recognised():
    engine = ScriptedEngine()
    session = open_session(engine=engine)
    desk = Desk(session, engine=engine)
    events = talk(session, desk)
    assert not any(isinstance(e, Speakers) for e in events)
    assert not any(isinstance(work, Recognising) for work in desk.done)


def test_voices_are_forgotten_when_the_session_is_over():
    session, desk, engine = opened()
    session.push(TALK)
    desk.run()
    assert engine.num_listeners == 1
    session.end()
    desk.run()
    assert isinstance(desk.done[-1], Forgetting)
    assert engine.num_listeners == 0


def test_a_translation_alone_has_speakers_without_text():
    session, desk, _ = opened(tasks=("translate:en",))
    told = complete(talk(session, desk))
    assert [[(t.speaker, t.text) for t in e.turns] for e in told] == [
        [(1, ""), (2, "")],
        [(1, "")],
    ]


def test_where_nobody_can_tell_the_words_come_all_the_same():
    engine = ScriptedEngine()
    engine.is_deaf = True
    session, desk, _ = opened(engine)
    events = talk(session, desk)
    assert [e.text for e in events if isinstance(e, Final)] == ["1 2 21 22", "3"]
    errors = [e for e in events if isinstance(e, Error)]
    assert {(e.segment, e.task, e.code) for e in errors} == {
        (1, "speakers", "engine"),
        (2, "speakers", "engine"),
    }
    assert isinstance(events[-1], Ended)


def test_a_segment_that_the_engine_fails_on_does_not_hold_up_the_end():
    session, desk, _ = opened()
    events = talk(session, desk, speak(13, 0, 0, 3, 0, 0))
    assert isinstance(events[-1], Ended)
    assert [e.segment for e in complete(events)] == [2]


def test_a_name_is_told_and_stays():
    session, desk, _ = opened()
    session.push(TALK[: len(TALK) // 2])
    desk.run()
    session.name_speaker(NameSpeaker(speaker=1, name=" Anna "))
    events = talk(session, desk, TALK)
    named = [e for e in events if isinstance(e, SpeakerNamed)]
    assert [(e.speaker, e.name) for e in named] == [(1, "Anna")]
    for told in complete(events)[-1:]:
        assert {t.name for t in told.turns if t.speaker == 1} == {"Anna"}


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (NameSpeaker(speaker=0, name="A"), "speaker is 0; it must be 1 to 999"),
        (NameSpeaker(speaker=1, name="A" * 65), "up to 64 characters"),
        (NameSpeaker(speaker=1, name="\x1b[2J"), "that can be printed"),
    ],
)
def test_a_name_that_cannot_be_shown_is_refused(event, message):
    session, _, _ = opened()
    with pytest.raises(ProtocolError, match=message):
        session.name_speaker(event)


def test_nobody_is_named_where_no_speakers_are_told():
    with pytest.raises(ProtocolError, match="start asked for no speakers"):
        open_session().name_speaker(NameSpeaker(speaker=1, name="A"))


def test_more_speakers_than_can_be_told_apart_are_refused():
    with pytest.raises(ProtocolError, match="speakers is 5; it must be 0 to 4"):
        open_session(Start(speakers=5))


def test_a_server_that_tells_none_says_so():
    engine = ScriptedEngine()
    object.__setattr__(engine.info, "max_speakers", 0)
    with pytest.raises(UnsupportedRequestError, match="tells no speakers apart"):
        open_session(Start(speakers=2), engine=engine)


def recognised(segment, *turns, joined=(), is_last=True):
    told = SegmentSpeakers(
        segment=segment,
        turns=tuple(Turn(speaker=s, start=a, end=b) for s, a, b in turns),
    )
    news = SpeakerNews(segments=(told,), joined=joined)
    return Recognised(segment, news, is_last)


def teller_of(*, with_text):
    return SpeakerTeller(with_text=with_text, most=4, want=[].append)


def test_a_correction_is_told_with_the_words_shared_out_again():
    teller = teller_of(with_text=True)
    teller.begin(1, 1_000)
    final = Final(
        seq=0,
        segment=1,
        task="transcribe",
        text="Yes. No.",
        start=1_000,
        end=41_000,
        language="en",
        mode="exact",
        words=words(("Yes.", 2_000, 8_000), ("No.", 30_000, 38_000)),
        settled=0,
    )
    assert teller.final(final) == []
    (told,) = teller.recognise(recognised(1, (1, 0, 40_000)))
    assert told.turns == (turn(1, 1_000, 41_000, "Yes. No."),)
    again = recognised(1, (1, 0, 20_000), (2, 20_000, 40_000))
    (told,) = teller.recognise(again)
    assert told.complete
    assert [(t.speaker, t.text) for t in told.turns] == [(1, "Yes."), (2, "No.")]
    assert teller.recognise(again) == []


def test_the_name_of_one_that_is_joined_goes_to_the_other():
    teller = teller_of(with_text=False)
    for segment in (1, 2):
        teller.begin(segment, 0)
    teller.recognise(recognised(1, (2, 0, 9)))
    teller.name(NameSpeaker(speaker=2, name="Anna"))
    named, told = teller.recognise(recognised(2, (1, 0, 9), joined=((2, 1),)))
    assert named == SpeakerNamed(seq=0, speaker=1, name="Anna")
    assert told.turns[0].name == "Anna"


def test_a_border_is_moved_to_the_pause_between_words_that_is_near():
    text = "One two. Three four."
    spans = words(
        ("One", 0, 4_000),
        ("two.", 4_000, 8_000),
        ("Three", 13_000, 17_000),
        ("four.", 17_000, 21_000),
    )
    for border in (6_500, 10_000, 16_000):
        told = shared_out(text, spans, [turn(1, 0, border), turn(2, border, 21_000)])
        assert [t.text for t in told] == ["One two.", "Three four."]


def test_the_end_of_a_sentence_near_a_border_goes_before_a_pause():
    text = "So it is. The end"
    spans = words(
        ("So", 0, 3_000),
        ("it", 3_000, 6_000),
        ("is.", 6_000, 9_000),
        ("The", 9_000, 12_000),
        ("end", 14_000, 18_000),
    )
    told = shared_out(text, spans, [turn(1, 0, 13_000), turn(2, 13_000, 18_000)])
    assert [t.text for t in told] == ["So it is.", "The end"]


def test_without_the_times_of_words_the_longest_turn_has_all():
    told = shared_out("One two", (), [turn(1, 0, 10), turn(2, 10, 30), turn(1, 30, 35)])
    assert [t.text for t in told] == ["", "One two", ""]


def test_no_word_is_lost_or_doubled_wherever_the_borders_are():
    text = "a b c d e f"
    spans = words(*((c, 100 * i, 100 * i + 100) for i, c in enumerate(text.split())))
    for first in range(0, 650, 50):
        for second in range(first, 650, 50):
            told = shared_out(
                text,
                spans,
                [turn(1, 0, first), turn(2, first, second), turn(1, second, 700)],
            )
            assert " ".join(t.text for t in told if t.text) == text
