from pathlib import Path

import pytest

from engine.data.manifest import Clip
from engine.evaluation.metrics import measure
from engine.evaluation.paper import ROWS
from engine.evaluation.trials import trials
from engine.tasks import SLOT, TEST_PROMPTS


def clip(name="a.wav", **facts):
    return Clip(name, Path(name), 2.0, facts)


def asked(*clips, tasks=()):
    return {(t.row.task, t.set): t for t in trials(clips, tasks=tasks)}


@pytest.mark.parametrize(
    ("facts", "task", "prompt", "references"),
    [
        ({"text": "Go."}, "ASR", "asr", ("Go.",)),
        ({"text": "好", "lang": "zh"}, "ASR", "asr_zh", ("好",)),
        ({"translation_zh": ["早", "早安"]}, "En2Zh", "translation_ec", ("早", "早安")),
        ({"captions": ["Rain"]}, "AAC", "audiocaption", ("Rain",)),
        ({"captions": ["Rain"]}, "Story", "audio_story_telling", ("Rain",)),
        ({"phones": "sil AH0 sil"}, "PR", "phone_recognition", ("sil AH0 sil",)),
        ({"label": "sad", "task": "emotion"}, "ER", "emotion_recognition", ("sad",)),
        ({"music_captions": ["Jazz"]}, "MC", "music_description", ("Jazz",)),
        ({"texts": ["one", "two"]}, "OSR", "speech_separation", ("one", "two")),
        ({"same_speaker": False}, "SV", "speaker_verification", ("no",)),
        ({"translation_de": "Hallo"}, "En2De", "translation_en2de", ("Hallo",)),
        ({"keywords": ["speech"]}, "KE", "keywords", ("speech",)),
        ({"spoken_answers": ["Everest"]}, "SQQA", "speech_query", ("Everest",)),
        (
            {"reasoned_answers": ["a war"]},
            "SAC",
            "speech_audio_coreasoning",
            ("a war",),
        ),
    ],
)
def test_what_is_known_is_asked_in_the_originals_words(facts, task, prompt, references):
    found = {t.row.task: t for t in trials([clip(set="x", **facts)])}
    (question,) = found[task].questions
    assert question.prompt == TEST_PROMPTS[prompt]
    assert question.references == references


def test_every_row_of_the_paper_can_be_asked():
    everything = clip(
        text="go",
        lang="en",
        translation_zh=["走"],
        translation_de=["geh"],
        translation_ja=["行け"],
        captions=["c"],
        music_captions=["m"],
        texts=["a", "b"],
        same_speaker=True,
        gender="f",
        keywords=["k"],
        spoken_answers=["s"],
        reasoned_answers=["r"],
        phones="AH0",
    )
    emotion = clip(label="sad", task="emotion,gender")
    slots = clip(label={"intent": "order", "slots": {"coffeeDrink": "latte"}})
    found = trials([everything, emotion, slots], tasks=["paper"])
    assert {t.row.task for t in found} == {row.task for row in ROWS}
    for trial in found:
        assert all(SLOT not in question.prompt for question in trial.questions)
        assert trial.metrics


def test_figures_of_the_paper_are_scored_by_the_metrics_they_name():
    everything = clip(captions=["c"], text="go", lang="en", texts=["a", "b"])
    for trial in trials([everything]):
        names = [metric.name for metric in trial.metrics]
        assert {figure.metric for figure in trial.row.figures} <= set(names)


def test_each_set_is_a_trial_of_its_own_and_knows_whether_it_is_the_papers():
    found = asked(
        clip(set="librispeech_test_clean", text="a", lang="en"),
        clip(set="librispeech_test_other", text="b", lang="en"),
        clip(set="mine", text="c", lang="en"),
        tasks=["ASR"],
    )
    assert found["ASR", "librispeech_test_other"].is_the_papers
    assert found["ASR", "librispeech_test_other"].row.figures[0].activated == 4.9
    assert not found["ASR", "mine"].is_the_papers


def test_other_languages_are_scored_apart_without_spaces_by_characters():
    found = asked(
        clip(set="x", text="a", lang="en"),
        clip(set="x", text="你好", lang="zh"),
        clip(set="x", text="ну", lang="ru"),
    )
    assert [m.name for m in found["ASR", "x (zh)"].metrics] == ["CER"]
    assert [m.name for m in found["ASR", "x (ru)"].metrics] == ["WER", "CER"]
    assert ("ASR", "x") in found


def test_a_slot_is_asked_by_its_name():
    order = clip(label={"intent": "orderDrink", "slots": {"coffeeDrink": " latte"}})
    (trial,) = trials([order], tasks=["SF"])
    (question,) = trial.questions
    assert question.prompt == "According to the speech, what is the coffee drink?"
    assert question.references == ("latte",)


def test_labels_of_clips_that_are_not_asked_about_are_still_told_apart():
    sounds = [
        clip(f"{n}.wav", set="esc", label=label, task="sound-event")
        for n, label in enumerate(["rain", "rooster"])
    ]
    (trial,) = trials(sounds[:1], tasks=["Sound"], every=sounds)
    accuracy = trial.metrics[0]
    assert measure(accuracy, trial.references, ["rain, or a rooster"]).value == 0
    assert measure(accuracy, trial.references, ["rain"]).value == 1


def test_only_the_rows_that_are_wanted_are_asked():
    known = clip(text="go", lang="en", gender="f")
    assert [t.row.task for t in trials([known], tasks=["gr"])] == ["GR"]


def test_our_rows_and_the_papers_can_be_had_apart():
    known = clip(text="go", lang="en", gender="f")
    assert {t.row.level for t in trials([known], tasks=["ours"])} == {4}
    assert 4 not in {t.row.level for t in trials([known], tasks=["Paper"])}


def test_so_many_questions_of_each_row_are_drawn_the_same_each_time():
    clips = [clip(f"{n}.wav", set=f"s{n % 2}", text="go") for n in range(20)]
    first, again = (trials(clips, tasks=["ASR"], most=3) for _ in range(2))
    assert [len(t.questions) for t in first] == [3, 3]
    assert [t.questions for t in first] == [t.questions for t in again]
    (all_of_one, _) = trials(clips, tasks=["ASR"], most=11)
    assert len(all_of_one.questions) == 10


def test_clips_of_which_nothing_is_known_ask_nothing():
    assert trials([clip(set="x")]) == []
