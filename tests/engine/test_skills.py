"""What is answered and on which basis; what is refused, and who is named instead."""

import json
from dataclasses import asdict

import pytest

from engine.api import Prompt, Source
from engine.errors import UnloadedError, UnsupportedError, UntrainedError
from engine.skills import (
    ANYTHING,
    CAPTIONS,
    DECLARED,
    RELEASED,
    Basis,
    Skills,
    basis_of,
    question,
)
from engine.tasks import LANGUAGES, NAMES, TEST_PROMPTS, TRAINED, UNTRAINED, is_among

SKILLS = Skills(
    tasks=("describe", "translate:zh", "transcribe"),
    from_transcript=("translate:zh",),
    languages=("en",),
)


def asked(preset, **fields):
    return basis_of(preset, DECLARED.get(preset, ANYTHING), Prompt(**fields))


def refusal(preset, skills, **fields):
    with pytest.raises(UnsupportedError) as caught:
        basis_of(preset, skills, Prompt(**fields))
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


def test_every_prompt_of_the_original_is_declared_once():
    declared = (*RELEASED.tasks, *RELEASED.measured, *RELEASED.prompted)
    assert len(set(declared)) == len(declared)
    assert {*NAMES} - {"translate:LANG"} < {*declared}
    trained = {*TRAINED.values()} & TEST_PROMPTS.keys()
    assert len(RELEASED.tasks) == len(trained)
    assert len(RELEASED.measured) == len({*UNTRAINED.values()})


def test_a_name_that_is_to_be_filled_in_stands_for_all_that_fill_it():
    assert is_among("slot_filling:time", ("slot_filling:TEXT",))
    assert not is_among("slot_filling", ("slot_filling:TEXT",))
    assert is_among("translate", ("translate:en",))
    assert not is_among("translate:de", ("translate:en",))


def test_salmonn_answers_free_questions():
    assert asked("salmonn-7b", text="What was that?") is Basis.QUESTION


def test_mini_captions_in_any_language_and_translates_into_english():
    for task in ("transcribe", "translate", "translate:en"):
        assert asked("mini", task=task, language="sw") is Basis.TRAINED


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"text": "What was that?"}, "questions"),
        ({"task": "describe"}, "task 'describe'"),
    ],
)
def test_a_preset_without_weights_for_it_says_so_and_who_has_some(fields, what):
    assert refusal("mini", None, **fields) == (
        f"mini has no trained weights here that answer {what} (engine.parts.ckpt "
        "names them); those of salmonn-13b and salmonn-7b do"
    )
    with pytest.raises(UnloadedError):
        basis_of("mini", None, Prompt(**fields))


def test_a_translation_that_only_whisper_does_names_the_preset_with_whisper():
    assert refusal("salmonn-13b", RELEASED, task="translate:en") == (
        "salmonn-13b was not trained for task 'translate:en'; mini can be asked"
    )


def test_a_translation_that_nobody_does_says_so():
    told = refusal("salmonn-7b", RELEASED, task="translate:fr")
    assert told == ("salmonn-7b was not trained for task 'translate:fr'; no preset was")
    assert refusal("mini", None, task="translate:fr").endswith("; none do")


def test_weights_of_ones_own_are_asked_what_they_say_of_themselves():
    assert basis_of("mini", SKILLS, Prompt(task="describe")) is Basis.TRAINED
    assert refusal("mini", SKILLS, text="Who?") == (
        "mini was not trained for questions; salmonn-13b and salmonn-7b can be asked"
    )
    told = refusal("custom", SKILLS, task="describe", language="fr")
    assert told == (
        "custom was not trained for task 'describe' on speech in 'fr'; no preset was"
    )
    everything = Skills(questions=True)
    assert basis_of("mini", everything, Prompt(text="Who is it?")) is Basis.QUESTION


def test_salmonn_is_refused_speech_in_other_languages_than_english():
    assert refusal("salmonn-7b", RELEASED, task="transcribe", language="fr") == (
        "salmonn-7b was not trained for task 'transcribe' on speech in 'fr'; "
        "mini can be asked"
    )
    told = refusal("salmonn-7b", RELEASED, task="translate:zh", language="de")
    assert told.endswith("on speech in 'de'; no preset was")
    told = refusal("salmonn-7b", RELEASED, text="Who?", language="fr")
    assert "on speech in 'fr'" in told


@pytest.mark.parametrize("language", ["zh", "de"])
def test_salmonn_transcribes_where_the_original_has_a_prompt_for_it(language):
    found = asked("salmonn-13b", task="transcribe", language=language)
    assert found is Basis.PROMPTED


@pytest.mark.parametrize("preset", [*DECLARED, "custom"])
def test_a_name_that_is_no_task_is_another_mistake(preset):
    with pytest.raises(UnsupportedError, match="no task 'dance'") as caught:
        asked(preset, task="dance")
    assert not isinstance(caught.value, UntrainedError | UnloadedError)


def test_weights_that_nobody_described_are_not_refused_but_said_to_be_so():
    assert asked("custom", text="What was that?") is Basis.UNDECLARED
    assert asked("custom", task="translate:fr", language="de") is Basis.UNDECLARED
    for code in LANGUAGES:
        assert asked("custom", task=f"translate:{code}") is Basis.UNDECLARED


def test_the_languages_of_answers_are_those_of_speech_and_of_translations():
    assert SKILLS.written == {"en", "zh"}
    assert RELEASED.written == {"en", "zh", "de", "ja"}
    assert CAPTIONS.written is None
    assert ANYTHING.written is None


def test_what_is_taught_after_something_else_is_added_to_it():
    first = Skills(
        tasks=("describe", "translate:zh", "translate:de"),
        measured=("keywords",),
        from_transcript=("translate:zh", "translate:de"),
        languages=("en",),
    )
    second = Skills(
        tasks=("keywords", "translate:de"), questions=True, languages=("de",)
    )
    assert first | second == Skills(
        tasks=("describe", "translate:zh", "translate:de", "keywords"),
        questions=True,
        from_transcript=("translate:zh",),
        languages=("de", "en"),
    )
    assert Skills() | second == second
    assert first | Skills() == first


def test_skills_are_told_in_a_few_words():
    assert SKILLS.description == (
        "describe, translate:zh (of the transcript), transcribe; speech in en"
    )
    assert Skills(questions=True).description == "free questions"
    assert Skills().description == "nothing"


def test_a_route_says_what_a_task_is_answered_from():
    assert SKILLS.source(Prompt(task="translate:zh")) is Source.TRANSCRIPT
    assert SKILLS.source(Prompt(task="describe")) is Source.AUDIO
    assert SKILLS.source(Prompt(text="translate:zh")) is Source.AUDIO
    orders = "slot_filling:TEXT"
    any_slot = Skills(tasks=(orders, "describe"), from_transcript=(orders,))
    assert any_slot.source(Prompt(task="slot_filling:milk")) is Source.TRANSCRIPT
    assert any_slot.source(Prompt(task="describe")) is Source.AUDIO


def test_skills_are_tasks_that_can_be_asked():
    with pytest.raises(UnsupportedError, match="no task 'sing'"):
        Skills(tasks=("sing",))
    with pytest.raises(UnsupportedError, match="no task of texts 'describe'"):
        Skills(tasks=("describe",), from_transcript=("describe",))
    with pytest.raises(
        ValueError, match="translate:zh is answered from the transcript"
    ):
        Skills(from_transcript=("translate:zh",))


@pytest.mark.parametrize(
    ("prompt", "source", "asked"),
    [
        (Prompt(text="Who is it?"), Source.AUDIO, "Who is it?"),
        (Prompt(task="describe"), Source.AUDIO, "Please describe the audio."),
        (
            Prompt(task="transcribe", language="zh"),
            Source.AUDIO,
            "请将语音中的内容写下来。",
        ),
        (
            Prompt(task="translate:zh"),
            Source.TRANSCRIPT,
            "Translate this text into Chinese:",
        ),
    ],
)
def test_a_prompt_is_asked_by_its_source(prompt, source, asked):
    assert question(prompt, source) == asked


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (Prompt(text="Which size is ordered?"), True),
        (Prompt(task="slot_filling:size"), True),
        (Prompt(task="emotion_recognition"), True),
        (Prompt(task="transcribe"), False),
        (Prompt(task="translate:zh"), False),
        (Prompt(task="phone_recognition"), False),
    ],
)
def test_the_words_are_told_where_they_are_not_the_answer(prompt, expected):
    assert Skills(told_words=True).is_told_words(prompt) is expected
    assert not Skills().is_told_words(prompt)


def test_skills_survive_being_written_down():
    assert Skills.of(json.loads(json.dumps(asdict(SKILLS)))) == SKILLS
    assert Skills.of({}) == Skills()
    with pytest.raises(TypeError, match="songs"):
        Skills.of({"songs": True})
