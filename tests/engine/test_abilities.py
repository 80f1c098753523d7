"""What is answered and on which basis; what is refused, and who is named instead."""

import pytest

from engine.abilities import ABILITIES, Basis, basis
from engine.api import Prompt
from engine.errors import UnsupportedError, UntrainedError
from engine.tasks import TEST_PROMPTS, TRAINED, UNTRAINED


def asked(preset, **fields):
    return basis(preset, Prompt(**fields))


def refusal(preset, **fields):
    with pytest.raises(UntrainedError) as caught:
        asked(preset, **fields)
    return str(caught.value)


@pytest.mark.parametrize("preset", ["salmonn-13b", "salmonn-7b"])
@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("transcribe", Basis.TRAINED),
        ("translate:zh", Basis.TRAINED),
        ("describe", Basis.TRAINED),
        ("QA:What is it?", Basis.TRAINED),
        ("translate:de", Basis.MEASURED),
        ("audio_story_telling", Basis.MEASURED),
        ("slot_filling:time", Basis.MEASURED),
        ("lyrics_recognition", Basis.PROMPTED),
    ],
)
def test_salmonn_answers_what_it_was_trained_or_measured_for(preset, task, expected):
    assert asked(preset, task=task) is expected
    assert asked(preset, task=task, language="en") is expected


def test_every_task_of_the_paper_with_a_prompt_is_answered():
    groups = {*TRAINED.values(), *UNTRAINED.values()} & TEST_PROMPTS.keys()
    names = {"asr": "transcribe", "audiocaption": "describe"}
    names |= {"translation_ec": "translate:zh", "translation_en2de": "translate:de"}
    names |= {"translation_en2ja": "translate:ja"}
    for group in groups:
        name = names.get(group, group)
        is_open = "{}" in TEST_PROMPTS[group]
        found = asked("salmonn-13b", task=f"{name}:it" if is_open else name)
        assert found in (Basis.TRAINED, Basis.MEASURED)


def test_salmonn_answers_free_questions():
    assert asked("salmonn-7b", text="What was that?") is Basis.QUESTION


def test_mini_captions_in_any_language_and_translates_into_english():
    for task in ("transcribe", "translate", "translate:en"):
        assert asked("mini", task=task, language="sw") is Basis.TRAINED


def test_mini_says_that_its_weights_for_questions_do_not_exist_yet():
    assert refusal("mini", text="What was that?") == (
        "mini was not trained to answer questions: its weights for questions do not "
        "exist yet; salmonn-13b and salmonn-7b can be asked"
    )
    assert refusal("mini", task="describe") == (
        "mini was not trained for task 'describe': its weights for questions do not "
        "exist yet; salmonn-13b and salmonn-7b can be asked"
    )


def test_a_translation_that_only_whisper_does_names_the_preset_with_whisper():
    assert refusal("salmonn-13b", task="translate:en") == (
        "salmonn-13b was not trained for task 'translate:en'; mini can be asked"
    )


def test_a_translation_that_nobody_does_says_so():
    expected = "was not trained for task 'translate:fr'; no preset was"
    assert refusal("salmonn-7b", task="translate:fr") == f"salmonn-7b {expected}"


def test_salmonn_is_refused_speech_in_other_languages_than_english():
    assert refusal("salmonn-7b", task="transcribe", language="fr") == (
        "salmonn-7b was not trained for task 'transcribe' on speech in 'fr'; "
        "mini can be asked"
    )
    assert refusal("salmonn-7b", task="translate:zh", language="de").endswith(
        "on speech in 'de'; no preset was"
    )
    assert "on speech in 'fr'" in refusal("salmonn-7b", text="Who?", language="fr")


@pytest.mark.parametrize("language", ["zh", "de"])
def test_salmonn_transcribes_where_the_original_has_a_prompt_for_it(language):
    found = asked("salmonn-13b", task="transcribe", language=language)
    assert found is Basis.PROMPTED


@pytest.mark.parametrize("preset", [*ABILITIES, "custom"])
def test_a_name_that_is_no_task_is_another_mistake(preset):
    with pytest.raises(UnsupportedError) as caught:
        asked(preset, task="dance")
    assert not isinstance(caught.value, UntrainedError)


def test_weights_that_nobody_described_are_not_refused_but_said_to_be_so():
    assert asked("custom", text="What was that?") is Basis.UNDECLARED
    assert asked("custom", task="translate:fr", language="de") is Basis.UNDECLARED
