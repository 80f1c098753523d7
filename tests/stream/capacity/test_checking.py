"""What is foretold, beside what a real server of known costs does."""

import asyncio
import time

import pytest

from engine.benchmarks.load import Level, level
from engine.benchmarks.statistics import Quantiles
from stream.capacity.checking import (
    CheckFigures,
    Figure,
    Foretold,
    compare,
    foretell,
    grouped,
)
from stream.capacity.crowd import Crowd
from stream.capacity.measuring import first_texts_s
from stream.capacity.priced import info_of
from stream.capacity.speech import record
from stream.config import LimitsConfig
from tests.fakes.driver import SEGMENTER
from tests.fakes.engine import AnySound, ScriptedEngine, speak
from tests.fakes.server import running
from tests.stream.capacity.speaking import costing

PARTIAL_S, FINAL_S = 0.05, 0.4
ONSET_S = 1.0


class SlowEngine(ScriptedEngine):
    """Takes time for what the scripted engine does at once, as a model would."""

    def open(self, options):
        return SlowUtterance(super().open(options))


class SlowUtterance:
    def __init__(self, utterance):
        self._utterance, self._final = utterance, None

    def __getattr__(self, name):
        return getattr(self._utterance, name)

    def push(self, samples):
        self._final = None
        self._utterance.push(samples)

    def partial(self):
        time.sleep(PARTIAL_S)
        return self._utterance.partial()

    def final(self):
        if self._final is None:
            time.sleep(FINAL_S)
            self._final = self._utterance.final()
        return self._final


def clip(word):
    return bytes(32_000) + speak(word, word, word) + bytes(32_000)


@pytest.mark.slow
@pytest.mark.parametrize("sessions", [1, 4])
async def test_a_real_server_whose_costs_are_known_does_what_is_foretold(sessions):
    clips = [clip(word) for word in range(1, 5)]
    async with running(engine=SlowEngine()) as server:
        crowd = Crowd(f"ws://127.0.0.1:{server.port}")
        heard = []
        for group in grouped(clips, sessions):
            heard += await asyncio.to_thread(crowd.speak, group)
    segmenter = {
        name: getattr(SEGMENTER, name)
        for name in (
            "hangover_ms",
            "tail_ms",
            "soft_limit_ms",
            "soft_hangover_ms",
            "max_segment_ms",
            "search_ms",
        )
    }
    real = level(heard, sessions, segmenter, 0.0)
    costs = costing(
        partial_s=PARTIAL_S, final_s=FINAL_S, first_text_s=first_texts_s(heard)
    )
    turns = [
        record(one, AnySound(), SEGMENTER, info_of(costs), tasks=("transcribe",))
        for one in clips
    ]
    told = foretell(costs, LimitsConfig(), turns, sessions, seed=0)
    assert real.failed == 0
    # Threads, messages and the machine's other work are not in the costs.
    assert told.final_s.p50 == pytest.approx(real.final_s.p50, abs=0.15)
    assert told.final_s.p95 == pytest.approx(real.final_s.p95, abs=0.25)
    first = real.first_partial_s
    assert told.first_s.p50 == pytest.approx(first.p50, abs=0.15)


def test_an_error_is_told_in_percent_of_what_was_measured():
    assert Figure(predicted=1.2, measured=1.0).error_percent == pytest.approx(20.0)
    assert Figure(predicted=0.5, measured=1.0).error_percent == pytest.approx(-50.0)


def test_each_figure_stands_beside_its_own():
    told = Foretold(
        final_s=Quantiles(40, 1.0, 1.5, 2.0),
        first_s=Quantiles(20, 0.5, 0.6, 0.7),
        real_time_factor=0.5,
    )
    real = Level(
        sessions=2,
        failed=1,
        real_time_factor=0.4,
        first_partial_s=Quantiles(7, 0.4, 0.5, 0.6),
        final_s=Quantiles(9, 1.1, 1.4, 1.6),
    )
    compared = compare(told, real, late_s=0.3, clients=0.25)
    assert compared.final_p95_s == Figure(predicted=2.0, measured=1.6)
    assert compared.first_p50_s == Figure(predicted=0.5, measured=0.4)
    rows = {row.what: row for row in CheckFigures("engine", [compared]).rows()}
    assert "2 at once, 9 finals; 1 failed" in rows
    assert rows["  final, p95"].figure == "predicted 2.00, measured 1.60: +25 %"
    assert rows["  the clients of this check took"].figure == "25 % of a core"
    assert "did not keep up" in rows["  speech was sent late by up to"].figure


def test_groups_have_the_size_and_the_last_has_the_rest():
    assert grouped([1, 2, 3], 2) == [[1, 2], [3]]
