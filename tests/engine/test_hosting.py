import numpy as np

from engine.api import Prompt, UtteranceOptions
from engine.hosting import GENERATE, Answer, Call, Failure, Host
from tests.fakes.engine import ScriptedEngine
from tests.fakes.test_engine import samples

PUSH = Call("push", (samples(1, 2),))
ASK = Call("ask", (0, Prompt(text="what")))


def hosted():
    engine = ScriptedEngine()
    return engine, Host(engine)


def test_a_seat_frees_the_utterance_and_its_replies_when_it_is_left():
    engine, host = hosted()
    host.open("a", UtteranceOptions())
    host.do("a", PUSH)
    host.do("a", ASK)
    assert (host.num_seats, engine.num_open, engine.num_replies) == (1, 1, 1)
    host.leave("a")
    assert (host.num_seats, engine.num_open, engine.num_replies) == (0, 0, 0)
    host.leave("a")


def test_an_utterance_that_is_closed_leaves_its_replies_going():
    engine, host = hosted()
    host.open("a", UtteranceOptions())
    host.do("a", PUSH)
    host.do("a", ASK)
    assert host.do("a", Call("close")) is None
    assert (engine.num_open, engine.num_replies) == (0, 1)
    (grown,) = host.do("a", Call(GENERATE, ((("a", 0),),))).value
    assert grown.text == "what"
    host.leave("a")
    assert (engine.num_open, engine.num_replies) == (0, 0)


def test_voices_have_a_seat_too():
    engine, host = hosted()
    host.open("a", 3)
    assert engine.num_listeners == 1
    assert host.do("a", Call("enrol", (samples(1),))) == Answer(1)
    host.leave("a")
    assert engine.num_listeners == 0


def test_a_seat_that_cannot_be_had_is_told_with_each_answer():
    _, host = hosted()
    host.open("a", UtteranceOptions(tasks=("sing",)))
    assert host.do("a", PUSH) is None
    for _ in range(2):
        failure = host.do("a", Call("final"))
        assert failure == Failure(
            "no task 'sing'; there are transcribe, translate:en", is_known=True
        )
    assert host.num_seats == 0


def test_what_is_heard_over_a_wire_is_copied_for_the_engine():
    kept = []
    engine, host = hosted()
    host.open("a", UtteranceOptions())
    host._seats["a"]._utterance.push = kept.append
    audio = samples(1)
    audio.flags.writeable = False
    host.do("a", Call("push", (audio,)))
    assert kept[0].flags.writeable
    assert np.array_equal(kept[0], audio)
    assert engine.num_open == 1
