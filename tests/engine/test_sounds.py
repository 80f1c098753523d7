"""The sounds that captions may name."""

import json

import pytest

from engine.api import sound_name
from engine.data.making import silences
from engine.skills import DECLARED, Skills
from engine.sounds import SOUNDS, classes_of


def test_only_what_was_taught_is_weighed():
    assert classes_of(()) == ()
    (found,) = classes_of(["dog bark", "a sound of which captions know nothing"])
    assert (found.label, found.caption) == ("dog bark", "dog barking")


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
    ("text", "name"),
    [
        ("a crying baby", "crying baby"),
        (" Rain. ", "rain"),
        ("the\n  Sea", "sea"),
        ("A", "a"),
        ("狗叫。", "狗叫"),
        (" . ", ""),
    ],
)
def test_what_is_listened_for_is_weighed_as_an_answer_would_name_it(text, name):
    assert sound_name(text) == name


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
