"""Laws that a simulation of the server's order of work must keep."""

import random
from itertools import pairwise

import pytest

from engine.api import UtteranceOptions
from stream.capacity.costs import Line, LoopCosts, ReplyCosts
from stream.capacity.outcome import level_of
from stream.capacity.simulation import World, once
from stream.capacity.speech import Piece, Segment, Turn
from stream.capacity.traffic import Traffic
from stream.config import LimitsConfig
from stream.jobs import HearAudio, MakeFinal, OpenUtterance
from tests.stream.capacity.speaking import FREE, costing, turn_of

LIMITS = LimitsConfig(max_sessions=1_000)
EARLY_S = 0.3
"""A final is begun so long before the pause is over: hangover less tail."""
MESSAGE_S = 0.04
REPLIES = ReplyCosts(
    read_s=0.05, unread_s=0.02, prompt_s=0.2, step_s=0.05, step_each_s=0.01
)


def together(costs, groups, **options):
    world = World(costs, LIMITS, **options)
    world.together(groups)
    return world.run()


def steady(costs, sessions, *, seconds=120.0, traffic=None, seed=0, turns=None):
    world = World(costs, LIMITS, seed=seed)
    turns = turns or [turn_of(2.0), turn_of(5.0), turn_of(1.0, 3.0)]
    world.steady(sessions, turns, traffic or Traffic(), seconds)
    return world.run()


def test_what_costs_nothing_is_told_with_the_message_that_decides_it():
    outcome = together(FREE, [[turn_of(2.0)]])
    (late_s,) = outcome.finals_s()
    assert 0 <= late_s <= MESSAGE_S
    assert outcome.busy_s == 0


@pytest.mark.parametrize("final_s", [0.4, 0.7, 1.9])
def test_alone_a_final_is_late_by_its_cost_less_the_pause_in_which_it_is_begun(final_s):
    outcome = together(costing(final_s=final_s), [[turn_of(2.0)]])
    (late_s,) = outcome.finals_s()
    assert late_s == pytest.approx(final_s - EARLY_S, abs=MESSAGE_S)


def test_the_first_partial_of_one_who_is_alone_takes_what_it_costs():
    turn = turn_of(4.0)
    outcome = together(costing(partial_s=0.1), [[turn]])
    (late_s,) = outcome.first_texts_s()
    (free_s,) = together(FREE, [[turn]]).first_texts_s()
    assert late_s - free_s == pytest.approx(0.1, abs=1e-6)


def test_text_waits_until_enough_was_heard():
    turn = turn_of(4.0)
    early = together(costing(first_text_s=(0.0,)), [[turn]]).first_texts_s()
    late = together(costing(first_text_s=(2.0,)), [[turn]]).first_texts_s()
    assert early[0] < 1.0
    assert 2.0 <= late[0] < 2.5


def test_groups_speak_one_after_the_other():
    turn = turn_of(2.0)
    outcome = together(costing(final_s=0.5), [[turn, turn], [turn, turn]])
    begun = sorted({segment.turn_s for segment in outcome.segments})
    assert len(begun) == 2
    assert begun[1] >= turn.length_s


def test_the_same_seed_gives_the_same_and_another_seed_something_else():
    spread = Line(fixed_s=0.3, spread=(0.5, 1.0, 1.5))
    costs = costing(partial_s=0.02)
    costs = type(costs)(
        source="assumed", engine="", machine="", partial=costs.partial, final=spread
    )
    first, again, other = (steady(costs, 3, seed=seed) for seed in (1, 1, 2))
    assert first.segments == again.segments
    assert first.segments != other.segments


def test_more_sessions_never_make_finals_earlier():
    costs = costing(partial_s=0.05, final_s=0.4)
    p95 = [
        level_of(steady(costs, n), n, since_s=30.0).final_s.p95 for n in (1, 2, 4, 8)
    ]
    for fewer, more in pairwise(p95):
        assert more >= fewer - MESSAGE_S
    assert p95[-1] > p95[0]


def test_an_engine_is_never_busier_than_there_is_time_and_finals_are_never_dropped():
    costs = costing(partial_s=0.2, final_s=1.5)
    outcome = steady(costs, 12, seconds=60.0)
    assert 0.9 < outcome.utilisation <= 1.0
    assert outcome.unfinished == 0
    assert outcome.shed > 0
    assert max(outcome.finals_s()) > 5.0


def test_partials_are_given_up_before_finals_are_late():
    heavy = costing(partial_s=0.3, final_s=0.3)
    light = costing(partial_s=0.0, final_s=0.3)
    with_partials = level_of(steady(heavy, 6), 6, since_s=30.0)
    without = level_of(steady(light, 6), 6, since_s=30.0)
    # A final waits for the piece that goes on, and not for a queue of partials.
    assert with_partials.final_s.p50 < without.final_s.p50 + 0.9
    assert with_partials.real_time_factor > without.real_time_factor


def test_a_loop_that_needs_the_engines_lock_makes_its_work_take_longer():
    turn = turn_of(2.0)
    apart, shared = (
        together(
            costing(
                final_s=0.2, loop=LoopCosts(silent_s=0.1, speech_s=0.1, contention=part)
            ),
            [[turn] * 3],
        )
        for part in (0.0, 1.0)
    )
    assert apart.busy_s == pytest.approx(3 * 0.2)
    assert shared.busy_s == pytest.approx(3 * 0.2 * 1.3)


def test_a_loop_that_has_time_delays_nothing():
    turn = turn_of(2.0)
    free, loaded = (
        together(costing(final_s=0.2, loop=loop), [[turn] * 4])
        for loop in (LoopCosts(), LoopCosts(silent_s=0.05, speech_s=0.2))
    )
    assert loaded.segments == free.segments


def test_a_loop_that_falls_behind_delays_what_it_brings_in_its_order():
    # Three speak for 2.2 s until their pauses are over, each 0.5 s of work a second.
    loop = LoopCosts(speech_s=0.5)
    late_s = together(costing(loop=loop), [[turn_of(2.0)] * 3]).finals_s()
    assert late_s == pytest.approx([0.5 * 2.4] * 3, abs=0.15)


def test_who_speaks_costs_the_loop_more_only_while_it_goes_on():
    loop = LoopCosts(speech_s=1.5)
    first, second = together(
        costing(loop=loop), [[turn_of(1.0, 1.0, pause_s=3.0)]]
    ).finals_s()
    assert first > 0.5
    assert second == pytest.approx(first, abs=MESSAGE_S)


def test_replies_belong_to_finals_and_share_their_steps():
    costs = costing(final_s=0.1, replies=REPLIES)
    turn = turn_of(2.0, costs=costs, tasks=("transcribe", "describe"))
    traffic = Traffic(describes=True, answer_tokens=5)
    world = World(costs, LIMITS)
    talker = world.talker("one", world.replicas[0], traffic)
    world.env.process(once(talker, turn, 0.0))
    outcome = world.run()
    (first_s,) = outcome.first_tokens_s
    assert first_s == pytest.approx(REPLIES.prompt_s)
    read_s = REPLIES.read_s * turn.speech_s
    steps_s = REPLIES.prompt_s + 4 * REPLIES.step_s
    assert outcome.busy_s == pytest.approx(0.1 + read_s + steps_s)


def test_questions_about_sound_are_heard_and_answered():
    costs = costing(final_s=0.1, replies=REPLIES)
    traffic = Traffic(questions_per_minute=6, answer_tokens=5)
    turns = [turn_of(2.0, costs=costs)]
    outcome = steady(costs, 4, traffic=traffic, turns=turns)
    assert 20 < outcome.questions < 80  # 48 are expected
    assert outcome.questions_refused == 0
    assert len(outcome.first_tokens_s) == outcome.questions
    heard_s = REPLIES.unread_s * traffic.question_s
    assert min(outcome.first_tokens_s) >= heard_s + REPLIES.prompt_s - 1e-9


def test_a_replica_that_is_full_refuses_and_the_others_are_tried_first():
    limits = LimitsConfig(max_sessions=3)
    world = World(costing(final_s=0.1), limits, replicas=2)
    traffic = Traffic(session_s=60.0)
    world.arrivals(2.0, [turn_of(2.0)], traffic, 60.0)
    outcome = world.run()
    assert outcome.most_sessions == [3, 3]
    assert 0 < outcome.refused <= outcome.arrived - 6
    assert outcome.unfinished == 0


def test_who_leaves_makes_room():
    limits = LimitsConfig(max_sessions=1)
    world = World(FREE, limits)
    world.arrivals(30.0, [turn_of(1.0)], Traffic(session_s=5.0), 600.0)
    outcome = world.run()
    assert outcome.arrived - outcome.refused > 5
    assert world.replicas[0].num_sessions == 0


def one_final_at_once():
    """Return a turn that is a final to be made, and nothing else."""
    jobs = (
        OpenUtterance(1, UtteranceOptions(), partials=False),
        HearAudio(1, bytes(3_200)),
        MakeFinal(1),
    )
    return Turn(0.0, (Piece(0.0, jobs),), (Segment(0.0, 0.0, True, 0.1),))


@pytest.mark.parametrize("load", [0.3, 0.6])
def test_finals_that_come_at_random_wait_as_an_m_d_1_queue_says(load):
    world = World(costing(final_s=1.0), LimitsConfig(max_sessions=10**9))
    rng = random.Random(7)

    def come():
        for number in range(8_000):
            yield world.env.timeout(rng.expovariate(load))
            talker = world.talker(str(number), world.replicas[0], Traffic())
            world.env.process(once(talker, one_final_at_once(), world.env.now))

    world.env.process(come())
    outcome = world.run()
    finals_s = outcome.finals_s()
    waited_s = sum(finals_s) / len(finals_s) - 1.0
    assert waited_s == pytest.approx(load / (2 * (1 - load)), rel=0.08)
    assert outcome.utilisation == pytest.approx(load, rel=0.03)
