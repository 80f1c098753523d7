"""The command: what it says, and what it refuses."""

import json

import pytest

from engine.benchmarks.roofline import GPUS as KNOWN_GPUS
from engine.presets import RELEASED
from stream.capacity.__main__ import main
from stream.capacity.costs import read_costs, write_costs
from stream.capacity.options import GPUS, PRESETS
from tests.stream.capacity.speaking import costing


@pytest.fixture
def costs(tmp_path):
    path = tmp_path / "costs.json"
    write_costs(path, costing(partial_s=0.02, final_s=0.4))
    return str(path)


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_it_says_how_many_sessions_a_replica_holds(costs, capsys):
    arguments = ["hold", "--costs", costs, "--minutes", "2", "--final-p95", "0.3"]
    assert main(arguments) == 0
    levels = last_line(capsys)["hold"]
    assert [level["sessions"] for level in levels][:2] == [1, 2]
    assert levels[0]["final_s"]["p95"] <= 0.3 < levels[-1]["final_s"]["p95"]


def test_first_partials_that_are_late_are_too_late_if_that_is_asked(tmp_path, capsys):
    path = tmp_path / "costs.json"
    write_costs(path, costing(partial_s=0.3, final_s=0.1))
    arguments = ["hold", "--costs", str(path), "--minutes", "2", "--final-p95", "9"]
    assert main([*arguments, "--ceiling", "8"]) == 0
    assert last_line(capsys)["hold"][-1]["sessions"] == 8
    assert main([*arguments, "--ceiling", "8", "--first-p95", "0.9"]) == 0
    levels = last_line(capsys)["hold"]
    late = [one for one in levels if one["first_text_s"]["p95"] > 0.9]
    assert late
    assert levels[-1] in late


def test_it_says_what_so_many_sessions_get(costs, capsys):
    arguments = ["hold", "--costs", costs, "--minutes", "2", "--sessions", "3"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "assumed: pause_s 4.0" in " ".join(told.split())
    assert json.loads(told.splitlines()[-1])["hold"][0]["sessions"] == 3


def test_it_lets_sessions_come_to_a_cluster(costs, capsys):
    arguments = ["cluster", "--costs", costs, "--minutes", "2", "--replicas", "2"]
    assert main([*arguments, "--sessions", "6", "--session-s", "30"]) == 0
    found = last_line(capsys)["cluster"]
    assert found["replicas"] == 2
    assert found["unfinished"] == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_costs_of_a_machine_that_is_not_here_say_what_they_assume(
    preset, tmp_path, capsys
):
    path = tmp_path / "gpu.json"
    arguments = ["assume", "--preset", preset, "--gpu", "h100", "--out", str(path)]
    assert main([*arguments, "--set", "compute=0.3"]) == 0
    found = read_costs(path)
    assert found.source == "assumed"
    assert any("compute = 0.3" in sentence for sentence in found.assumptions)
    told = " ".join(capsys.readouterr().out.split())
    assert "assumed: BEATs" in told
    assert (
        main(["hold", "--costs", str(path), "--minutes", "2", "--sessions", "4"]) == 0
    )


def test_what_is_no_assumption_is_refused_with_those_that_are(tmp_path, capsys):
    out = str(tmp_path / "gpu.json")
    assert main(["assume", "--out", out, "--set", "luck=1"]) == 1
    told = " ".join(capsys.readouterr().err.split())
    assert "luck is no assumption" in told
    assert "launch_s" in told


def test_questions_without_a_language_model_are_refused(costs, capsys):
    assert main(["hold", "--costs", costs, "--describes", "--sessions", "1"]) == 1
    assert "no language model" in capsys.readouterr().err


def test_costs_that_are_missing_are_told(tmp_path, capsys):
    assert main(["hold", "--costs", str(tmp_path / "none.json")]) == 1
    assert "none.json" in " ".join(capsys.readouterr().err.split())


def test_the_names_that_help_shows_are_those_that_are_known():
    assert set(GPUS) == set(KNOWN_GPUS)
    assert set(PRESETS) == set(RELEASED)
