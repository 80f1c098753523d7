"""How many sessions are held, and clusters."""

import pytest

from engine.benchmarks.statistics import Quantiles
from stream.capacity.outcome import Level
from stream.capacity.planning import Plan, cluster, hold, most
from stream.capacity.traffic import Traffic
from stream.config import LimitsConfig
from tests.stream.capacity.speaking import costing, turn_of

COSTS = costing(partial_s=0.02, final_s=0.3)


def plan(costs=COSTS, traffic=None, **options):
    options = {"minutes": 3.0, "limits": LimitsConfig(), **options}
    turns = [turn_of(2.0), turn_of(4.0)]
    return Plan(costs=costs, turns=turns, traffic=traffic or Traffic(), **options)


def level(sessions, p95=0.0):
    return Level(
        sessions=sessions,
        final_s=Quantiles(9, p95, p95, p95),
        first_text_s=None,
        first_token_s=None,
        real_time_factor=0.1,
        utilisation=0.5,
        shed=0.0,
    )


@pytest.mark.parametrize("holds", [1, 2, 7, 8, 30, 99, 100])
def test_the_most_sessions_are_found_in_few_steps(holds):
    asked = []

    def at(sessions):
        asked.append(sessions)
        return level(sessions)

    found = most(at, lambda one: one.sessions <= holds, ceiling=100)
    assert found.sessions == holds
    assert len(asked) == len(set(asked)) <= 15


def test_where_one_is_too_many_nothing_is_held():
    assert most(level, lambda _: False, ceiling=100) is None


def test_a_plan_counts_what_comes_behind_the_beginning_only():
    found = hold(plan(), 4)
    everything = hold(plan(warm_s=0.0), 4)
    assert found.sessions == 4
    assert found.final_s.count < everything.final_s.count
    assert 0 < found.utilisation < 1


def test_a_cluster_shares_sessions_out_and_keeps_all_finals():
    traffic = Traffic(session_s=60.0)
    found = cluster(plan(traffic=traffic), replicas=3, sessions=12)
    assert found.arrived > 20
    assert found.refused == found.unfinished == 0
    assert found.most_sessions - found.fewest_sessions <= 2
    rows = {row.what: row.figure for row in found.rows()}
    assert rows["segments without a final"] == "0"


def test_a_burst_makes_finals_later_or_has_sessions_refused():
    costs = costing(partial_s=0.1, final_s=0.7)
    calm = Traffic(session_s=30.0)
    bursts = Traffic(session_s=30.0, burst=20.0, burst_s=6.0)
    limits = LimitsConfig(max_sessions=8)
    quiet = cluster(plan(costs, calm, limits=limits), replicas=1, sessions=4)
    busy = cluster(plan(costs, bursts, limits=limits), replicas=1, sessions=4)
    assert busy.refused > quiet.refused
    assert busy.level.final_s.p95 > quiet.level.final_s.p95


def test_questions_without_a_language_model_are_refused_before_all():
    with pytest.raises(ValueError, match="no language model"):
        plan(traffic=Traffic(describes=True))


def test_a_plan_that_is_too_short_is_refused():
    with pytest.raises(ValueError, match="not counted"):
        plan(minutes=0.5)
