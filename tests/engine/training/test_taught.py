from dataclasses import replace
from pathlib import Path

import pytest

from engine.data.examples import Example
from engine.data.manifest import Clip
from engine.skills import Skills
from engine.tasks import find, find_written
from engine.training.lessons import lessons, names_of
from engine.training.taught import taught

FILES = (Path("a.wav"),)


def heard(task="asr", question="", language=""):
    return Example(
        files=FILES, text="x", task=task, question=question, language=language
    )


def read(question):
    return Example(read="Good morning.", text="x", task="QA", question=question)


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (heard(), Skills(tasks=("transcribe",))),
        (heard(language="fr"), Skills(tasks=("transcribe",), languages=("fr",))),
        (heard("asr_de"), Skills(tasks=("transcribe",), languages=("de",))),
        (heard("translation_ec"), Skills(tasks=("translate:zh",))),
        (heard("audiocaption", language="en"), Skills(tasks=("describe",))),
        (
            heard("QA", find("translate:en").prompt, "fr"),
            Skills(tasks=("translate:en",), languages=("fr",)),
        ),
        (
            heard("QA", "According to the speech, what is the drink?"),
            Skills(tasks=("slot_filling:drink",)),
        ),
        (
            heard("QA", "Which sound is it?"),
            Skills(tasks=("QA:TEXT",), questions=True),
        ),
        (heard("inference_QA", "Why is it so?"), Skills(questions=True)),
        # The original has no test prompt for it, and so no name.
        (heard("gender_recognition"), Skills()),
        (
            read(find_written("translate:zh")),
            Skills(tasks=("translate:zh",), from_transcript=("translate:zh",)),
        ),
        # No client can ask it: questions are about audio.
        (read("What does it mean?"), Skills()),
    ],
)
def test_an_example_teaches_its_task(example, expected):
    assert taught([example]) == expected


def test_what_is_taught_about_audio_is_answered_from_it():
    both = [read(find_written("translate:zh")), heard("translation_ec")]
    assert taught(both) == Skills(tasks=("translate:zh",))


def test_who_learned_with_the_words_is_told_them():
    examples = [heard(), heard("QA", "Which sound is it?")]
    assert not taught(examples).told_words
    assert taught([*examples, replace(examples[1], said="So it goes.")]).told_words


def test_languages_are_those_of_which_words_are_learned():
    found = taught(
        [
            heard(language="en"),
            heard("emotion_recognition", language="de"),
            heard("QA", "Which language is spoken?", "ja"),
            heard("translation_ec", language="en"),
        ]
    )
    assert found.languages == ("en",)


def test_lessons_of_the_mini_name_their_tasks():
    clip = Clip("a", Path("a"), 1.0, {"set": "read", "text": "Un.", "lang": "fr"})
    facts = clip.facts | {"translation_en": "One.", "translation_zh": "一"}
    clip = Clip("a", Path("a"), 1.0, facts)
    found = taught(
        heard(lesson.task, lesson.question, "fr") for lesson in lessons(clip, {})
    )
    assert set(found.tasks) == {
        "transcribe",
        "translate:zh",
        "translate:en",
        "QA:TEXT",
    }
    assert found.questions


def asked_whether(question, answer):
    return Example(files=FILES, text=answer, task="QA", question=question)


@pytest.mark.parametrize(
    ("question", "answer", "sounds"),
    [
        ("Do you hear dog bark?", "Yes.", ("dog bark",)),
        ("Is there cello in this recording?", "Yes.", ("cello",)),
        ("Can music be heard here?", "Yes.", ("music",)),
        ("Do you hear dog bark?", "No, I hear rain.", ()),  # it may have none of it
        ("Do you hear speech?", "Yes.", ()),
        ("Is it a dog bark?", "Yes.", ()),
    ],
)
def test_a_sound_is_taught_where_a_yes_says_that_it_is_heard(question, answer, sounds):
    found = taught([asked_whether(question, answer)])
    assert found.questions
    assert found.sounds == sounds


def test_sounds_of_several_stages_add_up():
    dog, cello = (
        taught([asked_whether(f"Do you hear {label}?", "Yes.")])
        for label in ("dog bark", "cello")
    )
    assert (dog | cello).sounds == ("dog bark", "cello")
    assert (dog | dog).sounds == ("dog bark",)


def test_lessons_of_the_mini_teach_sounds_by_name():
    clips = [
        Clip(name, Path(name), 1.0, {"set": "esc10", "label": label, "split": "train"})
        for label in ("dog bark", "rain")
        for name in (f"{label} {n}" for n in range(20))
    ]
    others = names_of(clips)
    found = taught(
        Example(files=FILES, text=x.answer, task=x.task, question=x.question)
        for clip in clips
        for x in lessons(clip, others)
    )
    assert found.sounds == ("dog bark", "rain")
