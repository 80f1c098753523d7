"""Wordings for training: how many, whose, and which one an example gets."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.prompt import halves
from engine.tasks import SLOT, TEST_PROMPTS
from engine.wordings import WORDINGS, choose

COUNTS = {
    "asr": 15,
    "asr_zh": 11,
    "asr_de": 10,
    "translation_ec": 13,
    "audiocaption": 7,
    "audiocaption_v2": 1,
    "QA": 1,
    "inference_QA": 1,
    "gender_QA": 1,
    "gender_recognition": 9,
    "phone_recognition": 7,
    "speech_separation": 4,
    "emotion_recognition": 2,
    "music_description": 5,
    "speaker_verification": 3,
    "audio_story_telling": 3,
    "speaker_diarization_asr": 3,
}
SENTENCES = [
    sentence
    for wordings in WORDINGS.values()
    for sentence in wordings
    if sentence != SLOT
]


def test_each_group_has_as_many_wordings_as_the_original():
    assert {group: len(wordings) for group, wordings in WORDINGS.items()} == COUNTS
    assert sum(COUNTS.values()) == 96


def test_no_wording_comes_twice():
    assert [s for s, count in Counter(SENTENCES).items() if count > 1] == []


@pytest.mark.parametrize("group", [g for g in COUNTS if g in TEST_PROMPTS])
def test_a_model_is_trained_on_the_sentence_that_it_is_served_with(group):
    assert WORDINGS[group][0] == TEST_PROMPTS[group]
    assert not set(WORDINGS[group][1:]) & set(TEST_PROMPTS.values())


def test_no_wording_has_white_space_that_a_prompt_would_lose():
    for sentence in SENTENCES:
        assert halves(sentence)[1] == f"</Speech> {sentence}\nASSISTANT:"


def test_ten_wordings_for_chinese_are_english_and_three_are_chinese():
    english = [sentence.isascii() for sentence in WORDINGS["translation_ec"]]
    assert Counter(english) == {True: 10, False: 3}


@given(
    group=st.sampled_from(sorted(WORDINGS)),
    seed=st.integers(),
    example=st.integers(min_value=0),
)
def test_the_same_example_is_always_asked_in_the_same_words(group, seed, example):
    once, again = (choose(group, seed=seed, example=example, about="x") for _ in "ab")
    assert once == again


def test_what_an_example_is_asked_does_not_depend_on_the_process():
    chosen = [choose("asr_de", seed=7, example=example) for example in range(3)]
    assert [WORDINGS["asr_de"].index(wording) for wording in chosen] == [6, 0, 4]


@pytest.mark.parametrize("group", [g for g, count in COUNTS.items() if count > 1])
def test_every_wording_is_drawn_about_as_often_as_any_other(group):
    drawn = Counter(choose(group, seed=0, example=example) for example in range(3000))
    expected = 3000 / COUNTS[group]
    assert drawn.keys() == set(WORDINGS[group])
    assert all(0.7 < count / expected < 1.3 for count in drawn.values())


def test_another_seed_draws_otherwise():
    first, second = (
        [choose("asr", seed=seed, example=example) for example in range(20)]
        for seed in (0, 1)
    )
    assert first != second


@pytest.mark.parametrize("group", ["QA", "inference_QA", "gender_QA"])
def test_a_question_is_asked_as_it_stands(group):
    question = "What is {} in the {}?"
    assert choose(group, seed=0, example=0, about=question) == question
