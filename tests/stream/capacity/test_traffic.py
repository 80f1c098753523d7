"""Pauses, arrivals and bursts, drawn."""

import random

import pytest

from stream.capacity.traffic import Traffic


def arrivals(traffic, mean_s=0.5, until_s=12_000.0):
    return traffic.arrivals(mean_s, until_s, random.Random(3))


def test_sessions_come_as_often_as_is_said():
    found = arrivals(Traffic())
    assert len(found) == pytest.approx(24_000, rel=0.02)
    assert found == sorted(found)


def test_in_bursts_they_come_faster_and_on_average_as_often():
    traffic = Traffic(burst=5.0, burst_every_s=100.0, burst_s=20.0)
    found = arrivals(traffic)
    in_bursts = sum(moment % 100.0 < 20.0 for moment in found)
    assert len(found) == pytest.approx(24_000, rel=0.02)
    rate, calm = in_bursts / 20, (len(found) - in_bursts) / 80
    assert rate / calm == pytest.approx(5.0, rel=0.05)


def test_pauses_have_their_mean():
    traffic, rng = Traffic(pause_s=2.0), random.Random(1)
    pauses = [traffic.pause(rng) for _ in range(20_000)]
    assert sum(pauses) / len(pauses) == pytest.approx(2.0, rel=0.03)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pause_s": 0.0},
        {"session_s": -1.0},
        {"answer_tokens": 0},
        {"questions_per_minute": -1.0},
        {"burst_s": 200.0},
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"traffic|burst"):
        Traffic(**wrong)


def test_only_prompts_need_a_language_model():
    assert not Traffic().asks
    assert Traffic(describes=True).asks
    assert Traffic(questions_per_minute=1.0).asks
