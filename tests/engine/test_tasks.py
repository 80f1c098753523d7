"""Names of tasks become the sentences that official checkpoints were tested with."""

import pytest

from engine.errors import UnsupportedError
from engine.prompt import halves
from engine.tasks import (
    LANGUAGES,
    NAMES,
    SLOT,
    TEST_PROMPTS,
    TRAINED,
    UNTRAINED,
    find,
    find_written,
    name_asked,
)
from engine.wordings import WORDINGS


def test_there_are_25_official_prompts():
    assert len(TEST_PROMPTS) == 25


def test_the_official_slips_are_kept():
    assert "what your hear" in TEST_PROMPTS["audiocaption_v2"]
    assert not TEST_PROMPTS["audio_speech_description"].endswith(".")


def test_no_official_prompt_has_white_space_that_a_prompt_would_lose():
    for prompt in TEST_PROMPTS.values():
        assert halves(prompt)[1] == f"</Speech> {prompt}\nASSISTANT:"


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("transcribe", "asr"),
        ("describe", "audiocaption"),
        ("translate:zh", "translation_ec"),
        ("translate:ja", "translation_en2ja"),
        ("translate:de", "translation_en2de"),
        ("phone_recognition", "phone_recognition"),
        ("audio_speech_description", "audio_speech_description"),
    ],
)
def test_a_name_asks_an_official_prompt(name, group):
    task = find(name)
    assert (task.group, task.prompt) == (group, TEST_PROMPTS[group])


@pytest.mark.parametrize(
    ("language", "group"),
    [("zh", "asr_zh"), ("de", "asr_de"), ("en", "asr"), ("fr", "asr"), (None, "asr")],
)
def test_chinese_and_german_are_transcribed_with_prompts_of_their_own(language, group):
    assert find("transcribe", language).prompt == TEST_PROMPTS[group]


def test_a_bare_translate_is_into_english():
    assert find("translate") == find("translate:en")
    assert find("translate").prompt.endswith("into English.")


def test_a_translation_that_the_original_has_no_prompt_for_has_no_group():
    assert find("translate:fr").group is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_is_named_in_its_prompt(language):
    assert LANGUAGES[language] in find(f"translate:{language}").prompt


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("QA:What barks?", "What barks?"),
        ("QA: At 12:30, what barks? ", "At 12:30, what barks?"),
        ("gender_QA:A man?", "A man?"),
        ("slot_filling:time", "According to the speech, what is the time?"),
        ("slot_filling:{}", "According to the speech, what is the {}?"),
    ],
)
def test_what_a_prompt_leaves_open_stands_behind_the_colon(name, prompt):
    assert find(name).prompt == prompt


@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_asked_once_it_is_filled_in(name):
    filled = name.replace("LANG", "zh").replace("TEXT", "colour")
    assert find(filled).prompt


def test_every_official_prompt_has_a_name():
    names = [n.replace("LANG", code) for n in NAMES for code in ("zh", "ja", "de")]
    found = {find(n, spoken).group for n in names for spoken in (None, "zh", "de")}
    assert found == TEST_PROMPTS.keys()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "summarise",
            "no task 'summarise'; there are transcribe, translate:LANG, describe, "
            "audiocaption_v2, QA:TEXT, gender_QA:TEXT, phone_recognition, "
            "speech_query, …",
        ),
        ("slot_filling", "no task 'slot_filling'; there are slot_filling:TEXT"),
        ("slot_filling: ", "no task 'slot_filling: '; there are slot_filling:TEXT"),
        ("describe:loudly", "no task 'describe:loudly'; there are describe"),
        ("describe:", "no task 'describe:'; there are describe"),
        (
            "translate:tlh",
            "no language to translate into 'tlh'; there are be, bg, ca, da, de, el, "
            "en, es, …",
        ),
        (
            "translate:",
            "no language to translate into ''; there are be, bg, ca, da, de, el, en, "
            "es, …",
        ),
    ],
)
def test_a_name_that_cannot_be_asked_is_refused_in_a_sentence(name, sentence):
    with pytest.raises(UnsupportedError) as refused:
        find(name)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("name", ["", "asr", "translation_ec", "gender_recognition"])
def test_what_is_not_a_name_is_refused(name):
    with pytest.raises(UnsupportedError):
        find(name)


def test_the_paper_trains_12_tasks_and_each_has_its_wordings():
    assert len(TRAINED) == 12
    assert set(TRAINED.values()) <= WORDINGS.keys()


def test_the_paper_tests_tasks_that_it_does_not_train():
    assert set(UNTRAINED.values()) <= TEST_PROMPTS.keys()
    assert not TRAINED.keys() & UNTRAINED.keys()


def test_only_three_official_prompts_leave_something_open():
    assert {group for group, prompt in TEST_PROMPTS.items() if SLOT in prompt} == {
        "QA",
        "gender_QA",
        "slot_filling",
    }


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("translate", "Translate this text into English:"),
        ("translate:zh", "Translate this text into Chinese:"),
        ("slot_filling:milk", "According to this text, what is the milk?"),
        ("phone_recognition", "Write this text as phones:"),
    ],
)
def test_some_tasks_can_be_asked_of_a_text(name, sentence):
    assert find_written(name) == sentence


@pytest.mark.parametrize(
    "name",
    ["translate:xx", "translate:", "slot_filling", "slot_filling:", "describe", ""],
)
def test_nothing_else_can_be_asked_of_a_text(name):
    with pytest.raises(UnsupportedError):
        find_written(name)


@pytest.mark.parametrize(
    "name",
    [
        "transcribe",
        "describe",
        "keywords",
        "translate:zh",
        "translate:fr",
        "slot_filling:time",
    ],
)
def test_a_sentence_tells_whose_it_is(name):
    assert name_asked(find(name).prompt) == name


def test_a_sentence_about_a_text_tells_whose_it_is():
    for name in ("translate:fr", "slot_filling:milk", "phone_recognition"):
        assert name_asked(find_written(name), of_text=True) == name
        assert name_asked(find(name).prompt, of_text=True) is None
        assert name_asked(find_written(name)) is None


@pytest.mark.parametrize(
    "sentence", ["What is it?", "", "According to the speech, what is the ?"]
)
def test_a_free_question_is_no_tasks(sentence):
    assert name_asked(sentence) is None
