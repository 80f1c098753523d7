"""The engine on a Ray cluster of this machine: words written as numbers, no model.

What replicas that die do to utterances in all their cases, `test_remote` tries without
Ray; here it is that Ray does what that takes for granted.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from types import SimpleNamespace

import psutil
import pytest
import ray
from ray import serve

from engine import remote
from engine.api import Prompt, UtteranceOptions
from engine.config import RayConfig
from engine.errors import FullError
from engine.ray import APPLICATION, RayEngine, deployment, enough_replicas
from stream.events import Final
from tests import local_ray
from tests.checkout import ROOT
from tests.engine_contract import (
    EngineContract,
    PromptContract,
    SpeakersContract,
    finish,
    pieces,
    texts,
)
from tests.fakes.engine import ScriptedEngine, speak
from tests.fakes.server import client_of, finals, running
from tests.fakes.test_engine import samples

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("default"),  # Ray has its own, and they change
]

DEADLINE_S = 120.0
NEWER_SAMPLES = 123_456
UPDATE = f"""
import sys
from functools import partial
import ray
from ray import serve
from engine.config import RayConfig
from engine.ray import APPLICATION, deployment
from tests.fakes.engine import ScriptedEngine

ray.init(sys.argv[1], log_to_driver=False)
count = int(sys.argv[2])
config = RayConfig(
    cpus=0.1, drain_s={DEADLINE_S}, min_replicas=count, max_replicas=count
)
newer = partial(ScriptedEngine, max_samples={NEWER_SAMPLES})
serve.run(deployment(newer, config), name=APPLICATION, route_prefix=None)
"""
OTHER_FRONT_END = """
import sys
import ray
from ray import serve
from engine.api import UtteranceOptions
from engine.config import RayConfig
from engine.ray import APPLICATION, RayEngine

ray.init(sys.argv[1], log_to_driver=False)
engine = RayEngine(serve.get_app_handle(APPLICATION), RayConfig(), ends_ray=True)
utterance = engine.open(UtteranceOptions())
utterance.final()
print("holds a place", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster():
    """Yield nothing; Ray runs meanwhile."""
    local_ray.start()
    yield
    local_ray.stop()


def deploy(**settings):
    """Deploy the scripted engine; return a front end's."""
    config = RayConfig(**{"cpus": 0.1, "drain_s": 30.0, **settings})
    app = deployment(ScriptedEngine, config)
    handle = serve.run(app, name=APPLICATION, route_prefix=None)
    return RayEngine(handle, config, ends_ray=False)


@pytest.fixture
def served(cluster):
    """Return what deploys; what it returned is closed at the end."""
    engines = []

    def start(**settings):
        engines.append(deploy(**settings))
        return engines[-1]

    yield start
    for engine in engines:
        engine.close()


def replica_processes():
    """Return the processes of replicas, by their ids."""
    ours = psutil.Process().children(recursive=True)
    return {
        one.pid: one
        for one in ours
        if any("ServeReplica" in word for word in one.cmdline())
    }


def replica_of(utterance):
    """Return the process that hears an utterance."""
    assert utterance.replica, "no replica has answered"
    return int(utterance.replica.rpartition(":")[2])


class TestRayEngine(EngineContract, PromptContract, SpeakersContract):
    @pytest.fixture(scope="class")
    def engine(self, cluster):
        engine = deploy(max_utterances=50, min_replicas=2, max_replicas=2)
        with pytest.MonkeyPatch.context() as patch:
            # A partial has text however late a busy machine gives it a place.
            patch.setattr(remote, "PATIENCE_S", DEADLINE_S)
            yield engine
        engine.close()

    @pytest.fixture
    def audio(self):
        return samples(1, 2, 0, 3, 4, 5)

    @pytest.fixture
    def other_audio(self):
        return samples(0, 29, 8, 7, 0)


def test_a_replica_that_is_killed_loses_no_final_and_doubles_none(served):
    engine = served(min_replicas=2, max_replicas=2, max_utterances=20)
    utterances = [engine.open(UtteranceOptions()) for _ in range(10)]
    told = []
    for number, utterance in enumerate(utterances, 20):
        utterance.push(samples(number, number + 1, number + 2))
        utterance.final()  # a partial does not wait for a replica
        (partial,) = utterance.partial()
        assert partial.stable
        told.append(partial.text[: partial.stable])
    hearing = {replica_of(utterance) for utterance in utterances}
    assert len(hearing) == 2, "one replica hears nothing"
    os.kill(min(hearing), signal.SIGKILL)
    for number, utterance in enumerate(utterances, 20):
        utterance.push(samples(0, 7))
        (partial,) = utterance.partial()
        assert partial.text[: partial.stable].startswith(told[number - 20])
        (final,) = utterance.final()
        assert final.text == f"{number} {number + 1} {number + 2} 7"
        assert replica_of(utterance) != min(hearing)
        utterance.close()


def test_utterances_go_to_the_replica_that_holds_fewest(served):
    engine = served(min_replicas=3, max_replicas=3, max_utterances=20)
    utterances = [engine.open(UtteranceOptions()) for _ in range(12)]
    held = held_by(utterances)
    assert is_even(held, replicas=3)
    crowded = replica_of(utterances[0])
    kept = [utterance for utterance in utterances if replica_of(utterance) == crowded]
    for utterance in utterances:
        if utterance not in kept:
            utterance.close()
    until(lambda: held_of(engine) == [0, 0, len(kept)])
    kept += [engine.open(UtteranceOptions()) for _ in range(6)]
    assert is_even(held_by(kept), replicas=3)
    for utterance in kept:
        utterance.close()


def held_of(engine):
    """Return how many each replica says that it holds."""
    return sorted(one.utterances for one in engine.replicas())


def held_by(utterances):
    """Return how many each replica holds, once all have said so."""
    for utterance in utterances:
        utterance.final()  # a partial does not wait for a replica
    return Counter(map(replica_of, utterances))


def is_even(held, *, replicas):
    """Return whether all hold as many, or one more or less.

    A call that ends at once, as a new front end makes one, is seen for some seconds.
    """
    return len(held) == replicas and max(held.values()) - min(held.values()) <= 2


def test_a_reply_survives_its_replica(served):
    engine = served(min_replicas=2, max_replicas=2)
    utterance = engine.open(UtteranceOptions(tasks=()))
    utterance.push(samples(1, 2, 3))
    reply = utterance.ask(Prompt(text="what now", max_tokens=20))
    for _ in range(3):
        engine.generate([reply])
    os.kill(replica_of(utterance), signal.SIGKILL)
    assert reply.text == "what now 1"
    finish(engine, reply)
    assert reply.text == "what now 1 2 3"
    reply.close()
    utterance.close()


def test_what_no_replica_can_hold_is_refused_and_a_place_that_is_free_is_taken(served):
    engine = served(max_utterances=2, target_utterances=1.0, full_after_s=1.0)
    held = [engine.open(UtteranceOptions()) for _ in range(2)]
    for utterance in held:
        utterance.push(samples(1))
        assert texts(utterance.final()) == {"transcribe": "1"}
    third = engine.open(UtteranceOptions())
    third.push(samples(3))
    with pytest.raises(FullError, match="had a place within 1 s"):
        third.final()
    held.pop().close()
    assert texts(third.final()) == {"transcribe": "3"}
    for utterance in (third, *held):
        utterance.close()


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_in_a_rolling_update_an_utterance_is_finished_where_it_was_begun(
    served, before, after
):
    engine = served(min_replicas=before, max_replicas=before, drain_s=DEADLINE_S)
    utterance = engine.open(UtteranceOptions())
    utterance.push(samples(1, 2))
    utterance.final()
    old = set(replica_processes())
    # In a process of its own, as operators do: while Ray builds an application, it
    # notes for the whole process what is pickled by value.
    with other_process(UPDATE, str(after)) as update:
        until(lambda: heard_by(engine) not in {None, *old})
        assert replica_of(utterance) in replica_processes(), "it is waited for"
        utterance.push(samples(3))
        assert texts(utterance.final()) == {"transcribe": "1 2 3"}
        assert replica_of(utterance) in old
        utterance.close()
        assert update.wait(DEADLINE_S) == 0
    until(lambda: len(replica_processes()) == after)
    assert old.isdisjoint(replica_processes())
    until(lambda: len(engine.replicas()) == after)
    newcomer = RayEngine(serve.get_app_handle(APPLICATION), RayConfig(), ends_ray=False)
    assert newcomer.info.max_samples == NEWER_SAMPLES
    newcomer.close()


def heard_by(engine):
    """Return the process that hears an utterance now; None if none has a place."""
    utterance = engine.open(UtteranceOptions())
    utterance.push(samples(8))
    try:
        assert texts(utterance.final()) == {"transcribe": "8"}
        return replica_of(utterance)
    except FullError:
        return None
    finally:
        utterance.close()


def test_a_front_end_that_dies_gives_its_places_back(served):
    engine = served(max_utterances=1, target_utterances=1.0, full_after_s=1.0)
    with other_process(OTHER_FRONT_END) as other:
        assert other.stdout.readline() == "holds a place\n"
        mine = engine.open(UtteranceOptions())
        mine.push(samples(1))
        with pytest.raises(FullError):
            mine.final()
        other.kill()
    until(lambda: has_place(mine))
    assert texts(mine.final()) == {"transcribe": "1"}
    mine.close()


def other_process(program, *arguments):
    """Start a program that is given the cluster's address first."""
    address = ray.get_runtime_context().gcs_address
    return subprocess.Popen(
        [sys.executable, "-c", program, address, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def has_place(utterance):
    try:
        return bool(utterance.final())
    except FullError:
        return False


async def test_sessions_of_a_server_notice_nothing_of_a_replica_that_is_killed(served):
    settings = {"min_replicas": 2, "max_replicas": 2, "max_utterances": 30}
    engine = await asyncio.to_thread(served, **settings)  # Serve insists
    async with running(engine=engine) as server:
        await asyncio.gather(*(talk(server, number) for number in range(20, 30)))


async def talk(server, number):
    """Say five segments of three words; one speaker kills a replica on the way."""
    async with client_of(server) as client:
        await client.start()
        for segment in range(5):
            audio = speak(number, number + 1, number + 2, 0, 0)
            for piece in pieces(audio, 6_400):
                await client.socket.send(piece)
            if (number, segment) == (25, 2):
                os.kill(min(replica_processes()), signal.SIGKILL)
            await client.until(Final)
        events, _ = await client.finish()
        said = [*client.events]
    assert finals(said) == [f"{number} {number + 1} {number + 2}"] * 5
    assert events


@pytest.mark.parametrize(
    ("requests", "busy", "expected"),
    [
        (9.0, {}, 3.0),
        (3.0, {"one": 0.35, "two": 0.7}, 1.5),
        (9.0, {"one": 0.35, "two": 0.7}, 3.0),
        (0.0, {}, 0.0),
    ],
)
def test_as_many_replicas_are_wanted_as_places_or_computing_ask_for(
    requests, busy, expected
):
    context = SimpleNamespace(
        total_num_requests=requests,
        aggregated_metrics={"busy": busy} if busy else None,
        config=SimpleNamespace(get_target_ongoing_requests=lambda: 3.0),
    )
    wanted, state = enough_replicas(context)
    assert wanted == pytest.approx(expected)
    assert state == {}


def until(condition):
    """Ask until a condition holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
