"""The sounds that captions may name."""

import json

import pytest

from engine.api import hearing_question
from engine.data.making import silences
from engine.skills import DECLARED, Skills
from engine.sounds import SOUNDS, classes_of


def test_only_what_was_taught_is_asked_for():
    assert classes_of(()) == ()
    (found,) = classes_of(["dog bark", "a sound of which captions know nothing"])
    assert (found.label, found.caption) == ("dog bark", "dog barking")
    assert found.question == "Do you hear dog bark?"


def test_two_labels_of_one_caption_are_one_sound():
    labels = ["baby crying", "baby cry", "guitar"]
    assert [one.label for one in classes_of(labels)] == ["baby cry", "guitar"]


def test_captions_are_words_that_fit_in_brackets():
    for label, caption in SOUNDS.items():
        assert caption == caption.strip().lower()
        assert not set(caption) & set("[]")
        assert label not in ("speech", silences.LABEL)


def test_no_released_weights_say_that_they_were_taught_sounds_by_name():
    assert not any(skills.sounds for skills in DECLARED.values())


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("a crying baby", "Do you hear a crying baby?"),
        (" rain ", "Do you hear rain?"),
        ("Is somebody angry? ", "Is somebody angry?"),
        ("有狗叫吗？", "有狗叫吗？"),
    ],
)
def test_what_is_listened_for_is_asked_as_it_was_taught(text, question):
    assert hearing_question(text) == question


def test_skills_with_sounds_survive_a_file():
    skills = Skills(questions=True, sounds=("dog bark",))
    table = {"questions": True, "sounds": ["dog bark"]}
    assert Skills.of(json.loads(json.dumps(table))) == skills
    assert Skills.of({"calibration": [0.5, -3]}).calibration == (0.5, -3)
    assert skills.description == "free questions; sounds by name: dog bark"


def test_what_was_fitted_is_void_after_further_training():
    fitted = Skills(questions=True, calibration=(0.5, -3.0))
    assert (fitted | Skills(questions=True)).calibration == (1.0, 0.0)


@pytest.mark.parametrize("calibration", [(0.0, 1.0), (1.0,), (float("nan"), 0.0)])
def test_a_calibration_that_is_none_is_refused(calibration):
    with pytest.raises(ValueError, match="expected a scale above 0 and a bias"):
        Skills(calibration=calibration)
