import pytest

from engine.evaluation.labels import (
    Labels,
    accuracy,
    contains,
    following,
    following_freely,
    keywords,
    named,
)
from engine.evaluation.metrics import measure

SOUNDS = Labels(["dog bark", "rain", "sea waves", "person sneeze", "rooster"])
WINDS = Labels(["clarinet", "bass clarinet", "flute", "bassoon", "contrabassoon"])
EMOTIONS = Labels(["happy", "sad", "fearful", "surprised", "neutral", "calm"])


@pytest.mark.parametrize(
    ("labels", "label", "answer"),
    [
        (SOUNDS, "dog bark", "A dog bark."),
        (SOUNDS, "dog bark", "I hear a barking dog in the yard"),
        (SOUNDS, "rain", "It is raining."),
        (SOUNDS, "sea waves", "Ocean waves on a beach"),
        (SOUNDS, "rooster", "Two roosters!"),
        (WINDS, "bass clarinet", "That is a bass clarinet."),
        (WINDS, "clarinet", "Clarinets."),
        (EMOTIONS, "sad", "The speaker sounds sorrowful."),
        (Labels(["female", "male"]), "female", "It is a woman"),
        (Labels(["yes", "no"]), "no", "No."),
        (Labels(["animals/birds", "animals/mammals"]), "animals/birds", "A bird"),
    ],
)
def test_an_answer_that_names_the_label_is_right(labels, label, answer):
    assert labels.is_right(label, answer)


@pytest.mark.parametrize(
    ("labels", "label", "answer"),
    [
        (SOUNDS, "dog bark", "A dog barks in the rain."),
        (SOUNDS, "rain", "A train."),
        (SOUNDS, "rain", ""),
        (WINDS, "clarinet", "A bass clarinet."),
        (WINDS, "bassoon", "A contrabassoon"),
        (WINDS, "flute", "A flute or a clarinet"),
        (EMOTIONS, "neutral", "calm and neutral"),
        (Labels(["female", "male"]), "male", "female"),
    ],
)
def test_an_answer_that_names_another_label_or_none_is_wrong(labels, label, answer):
    assert not labels.is_right(label, answer)


def test_a_synonym_that_is_a_label_of_the_set_means_that_label():
    both = Labels(["happy", "excited"])
    assert both.is_right("excited", "The speaker is excited.")
    assert not both.is_right("happy", "The speaker is excited.")
    assert Labels(["happy", "sad"]).is_right("happy", "The speaker is excited.")


def test_accuracy_is_the_share_of_right_answers():
    references = [("rain",), ("dog bark",), ("rain",), ("rooster",)]
    answers = ["rain", "rain", "I hear someone talking.", "a cock crowing"]
    assert measure(accuracy(SOUNDS), references, answers).value == 0.5
    assert measure(following(SOUNDS), references, answers).value == 0.75


def test_a_label_is_named_whatever_else_is():
    answers = ["rain and a rooster", "rooster", ""]
    assert measure(named(SOUNDS), [("rain",)] * 3, answers).value == pytest.approx(
        1 / 3
    )


def test_an_answer_that_repeats_the_speech_does_not_follow():
    said = ["What is the highest mountain?"] * 4
    answers = [
        "What is the highest mountain",
        "what is the higher mountain",
        "Mount Everest.",
        "",
    ]
    references = [("Everest",)] * 4
    assert measure(following_freely(said), references, answers).value == 0.25
    assert measure(contains(), references, answers).value == 0.25


def test_a_story_of_three_words_is_none():
    metric = following_freely([""], least_words=4)
    assert measure(metric, [("",)], ["Once upon a"]).value == 0
    assert measure(metric, [("",)], ["Once upon a time"]).value == 1


def test_an_answer_contains_whole_words():
    assert measure(contains(), [("rain",)], ["The train left."]).value == 0
    assert measure(contains(), [("oat milk", "milk")], ["With oat milk!"]).value == 1


def test_keywords_are_counted_among_those_given():
    score = measure(
        keywords(), [("neural network", "speech")], ["speech, network, cat"]
    )
    assert score.value == pytest.approx(2 / 3)
