"""The commands that show what a server is trusted with, in small."""

import asyncio
import json

import pytest

from tests import trust, trust_crowd, trust_resume
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


def test_a_crowd_costs_the_others_no_final():
    outcome = asyncio.run(trust_crowd.run_crowd(trust.scripted(), 1))
    assert outcome.problems == []
    assert ["good clients with all their finals", "", "2 of 2"] in outcome.rows


def test_sessions_leave_nothing_behind():
    outcome = asyncio.run(trust_crowd.run_sessions(trust.scripted(), 2))
    assert outcome.problems == []


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
