"""An engine of costs: each call adds what it would have taken."""

import random

import numpy as np
import pytest

from engine.api import Finish, Prompt, UtteranceOptions
from engine.errors import UnsupportedError
from stream.capacity.costs import Costs, Line, ReplyCosts
from stream.capacity.priced import PricedEngine

LINES = Costs(
    source="assumed",
    engine="lines",
    machine="none",
    turn_s=0.001,
    hear=Line(per_new_s=0.01),
    partial=Line(fixed_s=0.1, per_new_s=0.02),
    final=Line(fixed_s=0.2, per_heard_s=0.03, per_new_s=0.04),
    replies=ReplyCosts(
        read_s=1.0, unread_s=2.0, prompt_s=5.0, step_s=0.5, step_each_s=0.1
    ),
)


def engine_of(costs=LINES):
    return PricedEngine(costs, random.Random(0))


def second():
    return np.zeros(16_000, np.float32)


def test_a_partial_costs_what_is_new_and_a_final_what_no_partial_has_read():
    engine = engine_of()
    utterance = engine.open(UtteranceOptions())
    utterance.push(second())
    utterance.partial()
    assert engine.charge() == pytest.approx(0.001 + 0.01 + 0.1 + 0.02)
    utterance.push(second())
    utterance.final()
    assert engine.charge() == pytest.approx(0.001 + 0.01 + 0.2 + 2 * 0.03 + 0.04)


def test_a_final_that_is_there_costs_only_the_way_and_audio_voids_it():
    engine = engine_of()
    utterance = engine.open(UtteranceOptions())
    utterance.push(second())
    utterance.final()
    engine.charge()
    utterance.final()
    assert engine.charge() == pytest.approx(0.001)
    utterance.push(second())
    utterance.final()
    assert engine.charge() > 0.2


def test_a_reply_reads_what_was_not_read_then_its_prompt_then_steps():
    engine = engine_of()
    utterance = engine.open(UtteranceOptions(tasks=()))
    utterance.push(second())
    engine.charge()
    reply = utterance.ask(Prompt(text="?", max_tokens=2))
    assert engine.charge() == pytest.approx(0.001 + 2.0)
    engine.generate([reply])
    assert engine.charge() == pytest.approx(0.001 + 5.0)
    assert reply.finish is None
    engine.generate([reply])
    assert engine.charge() == pytest.approx(0.001 + 0.5)
    assert reply.finish is Finish.LENGTH


def test_replies_share_a_step():
    engine = engine_of()
    utterance = engine.open(UtteranceOptions(tasks=()))
    replies = [utterance.ask(Prompt(text="?", max_tokens=9)) for _ in range(3)]
    engine.generate(replies)
    engine.charge()
    engine.generate(replies)
    assert engine.charge() == pytest.approx(0.001 + 0.5 + 2 * 0.1)


def test_audio_that_will_be_asked_about_is_read_as_it_comes():
    engine = engine_of()
    utterance = engine.open(UtteranceOptions(tasks=(), questions=True))
    utterance.push(second())
    assert engine.charge() == pytest.approx(0.001 + 0.01 + 1.0)
    utterance.ask(Prompt(text="?"))
    assert engine.charge() == pytest.approx(0.001)


def test_without_a_language_model_prompts_are_refused():
    costs = Costs(source="assumed", engine="", machine="", partial=Line(), final=Line())
    engine = engine_of(costs)
    assert not engine.info.answers_questions
    with pytest.raises(UnsupportedError):
        engine.check_prompt(Prompt(text="?"))
    with pytest.raises(UnsupportedError):
        engine.open_speakers(2)
    with pytest.raises(UnsupportedError):
        engine.open(UtteranceOptions()).weigh(["?"])
