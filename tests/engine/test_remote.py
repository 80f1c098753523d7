"""The engine that is elsewhere, on replicas in this process that die at any call."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.api import Prompt, UtteranceOptions
from engine.errors import EngineError, FullError
from engine.lines import MOST_LOSSES, BugError
from engine.remote import RemoteEngine
from tests.engine_contract import (
    BLOCK,
    EngineContract,
    PromptContract,
    SpeakersContract,
    finish,
    pieces,
    texts,
)
from tests.fakes.cluster import FakeCluster
from tests.fakes.engine import CRASH, UNKNOWN, ScriptedEngine, speak
from tests.fakes.test_engine import samples

TALK = samples(1, 2, 3, 0, 4, 5)
PROMPT = Prompt(text="what now", max_tokens=20)


def engine_on(cluster):
    return RemoteEngine(cluster.dial, ScriptedEngine().checks)


class TestRemoteEngine(EngineContract, PromptContract, SpeakersContract):
    @pytest.fixture
    def engine(self):
        return engine_on(FakeCluster())

    @pytest.fixture
    def audio(self):
        return samples(1, 2, 0, 3, 4, 5)

    @pytest.fixture
    def other_audio(self):
        return samples(0, 29, 8, 7, 0)


class TestRemoteEngineWhoseReplicasDie(EngineContract):
    """Each takes so many calls, then it is gone, with all that it held."""

    @pytest.fixture(params=[3, 4, 11])
    def engine(self, request):
        return engine_on(FakeCluster(dies_after=request.param))

    audio = TestRemoteEngine.audio
    other_audio = TestRemoteEngine.other_audio


class TestRemoteRepliesWhoseReplicasDie(PromptContract):
    """A reply that is begun again needs more calls than an utterance."""

    @pytest.fixture(params=[19, 40])
    def engine(self, request):
        return engine_on(FakeCluster(dies_after=request.param))

    audio = TestRemoteEngine.audio
    other_audio = TestRemoteEngine.other_audio


@given(st.sets(st.integers(0, 40)), st.lists(st.integers(1, 20_000), max_size=12))
def test_whenever_replicas_die_finals_are_the_same_and_stable_text_stays(deaths, cuts):
    cluster = FakeCluster()
    engine = engine_on(cluster)
    utterance = engine.open(UtteranceOptions())
    stable, step = "", 0
    rest = TALK
    for cut in [*cuts, len(TALK)]:
        utterance.push(rest[:cut])
        rest = rest[cut:]
        for _ in range(2):
            step += 1
            if step in deaths:
                for replica in list(cluster.replicas):
                    cluster.kill(replica)
            (partial,) = utterance.partial()
            assert partial.text[: partial.stable].startswith(stable)
            stable = partial.text[: partial.stable]
    (final,) = utterance.final()
    utterance.close()
    assert final.text == "1 2 3 4 5"
    assert all(one.host.num_seats == 0 for one in cluster.replicas)


def test_a_reply_goes_on_at_another_replica_from_where_it_was():
    cluster = FakeCluster()
    engine = engine_on(cluster)
    utterance = engine.open(UtteranceOptions(tasks=()))
    utterance.push(TALK)
    reply = utterance.ask(PROMPT)
    utterance.push(samples(9))
    utterance.close()  # the reply is about what was heard before
    for _ in range(3):
        engine.generate([reply])
    assert reply.text == "what now 1"
    for replica in list(cluster.replicas):
        cluster.kill(replica)
    engine.generate([reply])
    assert reply.text == "what now 1 2"
    finish(engine, reply)
    assert reply.text == "what now 1 2 3 4 5"
    reply.close()
    assert all(one.host.num_seats == 0 for one in cluster.replicas)


def test_replies_of_a_replica_share_a_pass_and_those_of_others_have_their_own():
    cluster = FakeCluster()
    engine = engine_on(cluster)
    replies = []
    for _ in range(4):
        utterance = engine.open(UtteranceOptions(tasks=()))
        utterance.push(TALK)
        replies.append(utterance.ask(PROMPT))
        utterance.close()
    engine.generate(replies)
    assert [one.engine.batches for one in cluster.replicas] == [[2], [2]]
    assert [reply.num_tokens for reply in replies] == [1, 1, 1, 1]


def test_a_reply_that_cannot_be_repeated_fails_in_a_sentence():
    class Wavering(ScriptedEngine):
        """Its replicas do not say the same, as drawn tokens are not."""

        def open(self, options):
            utterance = super().open(options)
            utterance._values = np.full(4_800, next(numbers))
            return utterance

    numbers = iter(range(1, 9))
    cluster = FakeCluster(Wavering, replicas=1)
    engine = engine_on(cluster)
    utterance = engine.open(UtteranceOptions(tasks=()))
    utterance.push(TALK)
    reply = utterance.ask(PROMPT)
    for _ in range(3):
        engine.generate([reply])
    cluster.kill(cluster.replicas[0])
    with pytest.raises(EngineError, match="in the middle of a reply"):
        engine.generate([reply])


def test_a_replica_that_is_full_sends_to_the_next_and_the_last_one_refuses():
    cluster = FakeCluster(replicas=2, places=1)
    engine = engine_on(cluster)
    first, second = (engine.open(UtteranceOptions()) for _ in range(2))
    third = engine.open(UtteranceOptions())
    for utterance in (first, second, third):
        utterance.push(TALK)
    assert texts(first.final()) == texts(second.final()) == {"transcribe": "1 2 3 4 5"}
    (nothing,) = third.partial()
    assert (nothing.text, nothing.stable, nothing.is_final) == ("", 0, False)
    with pytest.raises(FullError, match="no replica of the engine had a place"):
        third.final()
    first.close()
    assert texts(third.final()) == {"transcribe": "1 2 3 4 5"}


def test_the_voices_of_a_session_are_lost_with_their_replica_and_that_is_said():
    cluster = FakeCluster(replicas=1)
    speakers = engine_on(cluster).open_speakers(2)
    speakers.push(1, TALK)
    cluster.kill(cluster.replicas[0])
    for call in (lambda: speakers.push(1, TALK), lambda: speakers.end(1)):
        with pytest.raises(EngineError, match="knew the voices of this session"):
            call()
    speakers.close()


def test_what_fails_on_every_replica_is_given_up():
    cluster = FakeCluster(dies_after=1)
    utterance = engine_on(cluster).open(UtteranceOptions())
    utterance.push(TALK)
    with pytest.raises(EngineError, match=f"{MOST_LOSSES} replicas were lost in a row"):
        utterance.final()


@pytest.mark.parametrize(("word", "error"), [(UNKNOWN, EngineError), (CRASH, BugError)])
def test_an_error_on_audio_is_told_with_the_next_answer_and_once(word, error):
    cluster = FakeCluster()
    utterance = engine_on(cluster).open(UtteranceOptions())
    utterance.push(samples(word))
    with pytest.raises(error):
        utterance.partial()
    assert [one.text for one in utterance.partial()] == [""]
    utterance.close()


def test_audio_is_sent_once_and_as_it_comes():
    cluster = FakeCluster(replicas=1)
    utterance = engine_on(cluster).open(UtteranceOptions())
    for piece in pieces(TALK, BLOCK):
        utterance.push(piece)
        utterance.partial()
    assert cluster.replicas[0].engine.num_pushes == len(pieces(TALK, BLOCK))


def test_warming_up_hears_something_and_leaves_nothing():
    cluster = FakeCluster(replicas=1)
    engine_on(cluster).warm_up()
    (replica,) = cluster.replicas
    assert replica.engine.num_pushes == 1
    assert replica.host.num_seats == replica.engine.num_open == 0


def test_audio_reaches_a_replica_writable():
    cluster = FakeCluster(replicas=1)
    audio = np.frombuffer(speak(1), "<i2").astype(np.float32) / 32_768
    audio.flags.writeable = False
    utterance = engine_on(cluster).open(UtteranceOptions())
    utterance.push(audio)
    assert [one.text for one in utterance.final()] == ["1"]
