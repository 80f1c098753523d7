"""In which words our own rows are asked."""

from pathlib import Path

import pytest

from engine.data.manifest import Clip
from engine.evaluation.questions import ABOUT, ask
from engine.tasks import SLOT, TEST_PROMPTS
from engine.training.lessons import QUESTIONS
from engine.wordings import WORDINGS

TAUGHT = {
    wording
    for group in (WORDINGS, QUESTIONS)
    for of in group.values()
    for wording in of
}
TAUGHT |= set(TEST_PROMPTS.values())


def clip(path):
    return Clip(path, Path(path), 2.0, {})


@pytest.mark.parametrize("kind", ABOUT)
def test_new_wordings_are_in_no_training_and_taught_ones_are(kind):
    ways = ABOUT[kind]
    assert set(ways.taught) <= TAUGHT
    assert not set(ways.new) & TAUGHT
    assert len(ways.new) >= max(2, len(ways.taught))


@pytest.mark.parametrize("kind", ABOUT)
def test_all_wordings_of_a_kind_leave_the_same_open(kind):
    ways = ABOUT[kind]
    assert len({SLOT in wording for wording in (*ways.taught, *ways.new)}) == 1


def test_each_clip_is_asked_in_the_same_words_and_all_words_are_used():
    asked = [ask("sound", clip(f"{n}.wav"), "rain") for n in range(200)]
    assert asked == [ask("sound", clip(f"{n}.wav"), "rain") for n in range(200)]
    ways = ABOUT["sound"]
    assert {q.prompt for q in asked} == {*ways.taught, *ways.new}
    assert all(q.is_new is (q.prompt in ways.new) for q in asked)


def test_what_a_wording_leaves_open_is_filled_in():
    prompts = {
        ask("hear", clip(f"{n}"), "yes", about="a cello").prompt for n in range(40)
    }
    assert "Do you hear a cello?" in prompts
    assert not any(SLOT in prompt for prompt in prompts)
