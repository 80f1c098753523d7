"""The commands that show what a server is trusted with, in small."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace
from itertools import takewhile

import numpy as np
import pytest

from tests import (
    local_valkey,
    trust,
    trust_bodies,
    trust_crowd,
    trust_hour,
    trust_overload,
    trust_resume,
)
from tests.conftest import NEEDS_PACKAGE
from tests.fakes.engine import speak
from tests.trust_setup import Holdings


def test_cuts_change_nothing_and_the_facts_are_printed(capsys):
    assert trust.main(["resume", "--seconds", "8", "--cuts", "2"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = {name: values for name, *values in facts["rows"]}
    assert rows["cuts"] == [0, 0, 2]
    assert len({*rows["their hash"]}) == 1
    assert rows["samples that reach the engine"][0] > 8 * 16_000 / 2
    assert facts["problems"] == []


def test_audio_that_is_lost_behind_a_cut_shows(monkeypatch):
    async def converse(url, audio, **options):
        is_first = not converse.calls
        converse.calls += 1
        return await honest(url, audio if is_first else audio[:-40_000], **options)

    converse.calls, honest = 0, trust_resume.converse
    monkeypatch.setattr(trust_resume, "converse", converse)
    outcome = asyncio.run(
        trust_resume.run(trust.scripted(), seconds=5, cuts=1, paced=False)
    )
    assert "the engine or the client got something else" in outcome.problems


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")  # Ray has its own
def test_on_a_cluster_the_same_is_said_and_a_death_costs_no_final(capsys):
    assert trust.main(["cluster", "--seconds", "6", "--rounds", "1"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = {name: values for name, *values in facts["rows"]}
    assert all(ratio > 0 for ratio in rows["final, s"][4:])
    assert rows["… that are as if nobody had died"][0] == 10
    assert facts["problems"] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")  # Ray has its own
def test_a_crowd_at_two_replicas_costs_the_others_no_final(capsys):
    assert trust.main(["crowd", "--each", "1", "--replicas", "2"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert ["good clients with all their finals", "", "2 of 2"] in facts["rows"]
    assert facts["problems"] == []


@pytest.mark.skipif(
    local_valkey.program() is None, reason=f"{NEEDS_PACKAGE}redis-server"
)
@pytest.mark.slow
def test_a_front_end_that_is_killed_costs_no_final_and_no_stable_text(capsys):
    assert trust.main(["frontends", "--seconds", "8"]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    rows = {name: values for name, *values in facts["rows"]}
    assert rows["sessions resumed under their names"][2] == 2
    assert rows["… whose texts the other has from the first"][2] == 2
    assert rows["words not as in the first"] == [0, 0, 0]
    finals, again, killed = rows["finals of each"]
    assert killed == f"{finals} {again}"
    assert facts["problems"] == []


def apart(*arguments):
    """Run in a process of its own: what other tests in this one hold is not counted."""
    command = [sys.executable, "-m", "tests.trust", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.stdout, done.stderr
    facts = json.loads(done.stdout.splitlines()[-1])
    assert (facts["problems"], done.returncode) == ([], 0)
    return facts["rows"]


def test_a_crowd_costs_the_others_no_final():
    rows = apart("crowd", "--each", "1")
    assert ["good clients with all their finals", "", "2 of 2"] in rows


def test_sessions_leave_nothing_behind():
    rows = apart("sessions", "--sessions", "2")
    assert ["sessions with all their finals", "", 2] in rows


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"tasks": 6}, "tasks: 5 before, 6 behind"),
        ({"descriptors": 11}, "file descriptors: 10 before, 11 behind"),
        ({"memory_mb": 164.0}, "memory grew by 100 MB"),
        ({"threads": 3}, None),
    ],
)
def test_what_is_left_over_is_named(more, problem):
    before = {"tasks": 5, "threads": 4, "descriptors": 10, "memory_mb": 64.0}
    found = trust_crowd.left_over(Holdings(**before), Holdings(**before | more))
    assert found == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("seconds", "speed"), [(30, ["--speed", "8"]), (120, [])], ids=["paced", "unpaced"]
)
def test_a_long_session_stays_as_it_is_and_keeps_its_earliest_text(
    seconds, speed, capsys
):
    trust.main(["hour", "--seconds", str(seconds), *speed])
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    # How fast it is depends on what else the machine does.
    timed = ("the lag grew", "it was ")
    assert [text for text in facts["problems"] if not text.startswith(timed)] == []
    rows = dict(facts["rows"])
    assert rows["audio, minutes"] == pytest.approx(seconds / 60, abs=0.1)
    said = np.frombuffer(trust.scripted().reading(seconds), "<i2")[::4_800].tolist()
    first = " ".join(map(str, takewhile(bool, said)))
    assert rows["earliest text, read from the file that was saved"] == first
    assert rows["earliest text, asked of the server again"] == first
    assert rows["finals that the server still had"] == rows["finals"]


@pytest.mark.parametrize(
    ("lag_s", "memory_mb", "problem"),
    [
        (lambda m: 5.0, lambda m: 700.0 + m / 10, None),
        (lambda m: m / 2, lambda m: 700.0, "the lag grew by 15.0 s"),
        (lambda m: 5.0, lambda m: 700.0 + m, "memory grew by 30 MB"),
        (lambda m: 5.0 + 300 * (m == 60), lambda m: 700.0, None),
    ],
)
def test_what_grows_over_an_hour_is_told(lag_s, memory_mb, problem):
    moments = [
        trust_hour.Moment(m, 60 * min(m + 1, 60), lag_s(m), memory_mb(m))
        for m in range(61)
    ]
    hour = trust_hour.Hour(
        900.0, moments, [*range(1, 62)], 0, ["a b"], ["a", "b"], ["a b"]
    )
    problems = trust_hour.outcome(hour, 4.0).problems
    assert [text.partition(" over")[0] for text in problems] == [problem][
        : bool(problem)
    ]


@pytest.mark.parametrize(
    ("changes", "speed", "problem"),
    [
        ({"segments": [1, 3]}, 4.0, "a segment has no final, or two"),
        ({"saved": ["b"]}, 4.0, "the file that was saved has other words"),
        ({"again": []}, 4.0, "the server had other finals"),
        ({}, 3.5, "it was 3.50 × real time; 4 is wanted"),
    ],
)
def test_what_an_hour_loses_is_told(changes, speed, problem):
    moments = [trust_hour.Moment(m, m, 1.0, 700.0) for m in range(4)]
    hour = trust_hour.Hour(900.0, moments, [1, 2], 0, ["a b"], ["a", "b"], ["a b"])
    (told,) = trust_hour.outcome(replace(hour, **changes), speed).problems
    assert told.startswith(problem)


def short_setup():
    return replace(trust.scripted(), reading=lambda _seconds: speak(1, 2, 0, 0))


def test_too_many_speakers_cost_partials_and_newcomers_but_no_final():
    outcome = asyncio.run(
        trust_overload.run(
            short_setup(), seconds=1.0, counts=[1, 6], cost=0.5, max_wait_s=0.2
        )
    )
    assert outcome.problems == []
    rows = {name: values for name, *values in outcome.rows}
    assert rows["clients with all finals"] == [1, 6]
    assert rows["newcomers refused"][0] == 0
    assert "refused: the engine is … s behind" in rows


def test_a_machine_that_holds_all_speakers_was_not_overloaded():
    outcome = asyncio.run(
        trust_overload.run(short_setup(), seconds=1.0, counts=[1], cost=0.0)
    )
    assert outcome.problems == ["1 at once are not too many: nobody was refused"]


def test_each_body_that_no_client_would_send_is_one_error_and_leaves_nothing():
    sizes = trust_bodies.Sizes(
        enormous_bytes=2_000_000,
        long_s=60.0,
        silence_s=180.0,
        max_upload_bytes=100_000,
        max_session_s=60.0,
    )
    outcome = asyncio.run(trust_bodies.run(sizes))
    assert outcome.problems == []
    told = {name: told for name, told, *_ in outcome.rows}
    assert len(told) == 12
    for route in trust_bodies.ROUTES:
        assert told[f"{route}: an enormous file"].startswith("413 too_large")
        assert told[f"{route}: two hours of sound"].startswith("413 too_large")
        small = told[f"{route}: hours of silence in a small file"]
        assert small.startswith("413 too_large: ")
        assert " s" in small
        other = told[f"{route}: another container"]
        assert other.startswith("400 invalid_audio: the file is no audio")


@pytest.mark.parametrize(
    ("status", "message", "left_mb", "problem"),
    [
        (413, "too large", 3.0, None),
        (200, "", 3.0, "200 is no error"),
        (500, "a bug", 3.0, "500 is no error"),
        (400, "", 3.0, "400 is no error"),
        (413, "too large", 20.0, "memory grew by 20 MB"),
    ],
)
def test_a_body_that_is_taken_or_leaves_much_behind_is_told(
    status, message, left_mb, problem
):
    found = trust_bodies.Answered(status, "", message, 1.0, 100.0)
    problems = trust_bodies.problems_of("it", found, left_mb)
    assert [text.partition(" that")[0] for text in problems] == [f"it: {problem}"][
        : bool(problem)
    ]


def test_what_was_just_closing_is_not_left_over():
    first, later = Holdings(5, 4, 11, 64.0), Holdings(6, 4, 10, 65.0)
    assert first.least(later) == Holdings(5, 4, 10, 64.0)
