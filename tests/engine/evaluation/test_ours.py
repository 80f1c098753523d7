"""What our own rows ask, and which answers are right."""

from collections import Counter
from pathlib import Path

import pytest

from engine.data.manifest import Clip
from engine.evaluation.asked import MOST_OF_A_KIND
from engine.evaluation.metrics import measure
from engine.evaluation.trials import trials
from engine.tasks import find_written


def clip(name="a.wav", **facts):
    return Clip(name, Path(name), 2.0, {"set": "x", **facts})


def row(task, *clips):
    """Return the only trial of a task."""
    (trial,) = trials(clips, tasks=[task])
    return trial


def score(trial, answers, metric="accuracy"):
    (found,) = [m for m in trial.metrics if m.name == metric]
    return measure(found, trial.references, answers)


SOUND = {"task": "sound-event"}
TUNE = {"task": "instrument"}


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({**SOUND, "label": "dog bark"}, "animal"),
        ({**SOUND, "label": "rain"}, "noise"),
        ({**SOUND, "label": "silence"}, "silence"),
        ({**SOUND, "label": "person sneeze"}, None),
        ({**SOUND, "label": "animals/birds"}, None),
        ({**TUNE, "label": "cello"}, "music"),
        ({"task": "music", "label": "music"}, "music"),
        ({"task": "asr", "text": "go"}, "speech"),
        ({"task": "emotion", "lang": "de", "label": "fear"}, "speech"),
        ({"task": "other"}, None),
    ],
)
def test_a_clip_is_asked_for_its_kind_where_that_is_clear(facts, kind):
    found = trials([clip(**facts)], tasks=["Kind"])
    assert [q.references for t in found for q in t.questions] == [(kind,)] * bool(kind)


def test_so_many_of_each_kind_are_asked_of_all_sets_together():
    clips = [clip(f"{n}.wav", set=f"s{n % 3}", text="go") for n in range(300)]
    clips += [clip(f"{n}.ogg", **SOUND, label="rain") for n in range(5)]
    kinds = Counter(q.references[0] for q in row("Kind", *clips).questions)
    assert kinds == {"speech": MOST_OF_A_KIND, "noise": 5}


def test_languages_are_asked_by_their_names():
    trial = row("Lang", clip(lang="pt_BR"), clip("b.wav", lang="el"))
    assert [q.references for q in trial.questions] == [("Greek",), ("Portuguese",)]
    assert score(trial, ["It is Greek.", "Spanish"]).value == 0.5


def test_an_instrument_is_asked_for_itself_and_for_its_family():
    winds = [
        clip(f"{n}.wav", **TUNE, label=label)
        for n, label in enumerate(("oboe", "cello"))
    ]
    assert score(row("Instr", *winds), ["An oboe.", "A viola."]).value == 0.5
    assert score(row("Family", *winds), ["woodwind", "A viola."]).value == 1.0


def test_a_child_is_not_asked_for_its_gender():
    people = [clip(f"{age}.wav", gender="f", age=age) for age in (8, 15, 16, 40)]
    trial = row("Gender", *people, clip("z.wav", set="y", gender="m", age=9))
    assert trial.set == "x (adults)"
    assert [q.clip.path for q in trial.questions] == ["16.wav", "40.wav"]
    assert score(trial, ["A woman.", "a man"]).value == 0.5


@pytest.mark.parametrize(
    ("answer", "same", "different"),
    [
        ("Yes.", 1, 0),
        ("Yes, the same speaker.", 1, 0),
        ("No, different speakers.", 0, 1),
        ("It is not the same person", 0, 1),
        ("Two people.", 0, 1),
        ("I hear speech.", 0, 0),
    ],
)
def test_whether_one_person_speaks_may_be_answered_in_many_words(
    answer, same, different
):
    assert score(row("Same", clip(same_speaker=True)), [answer]).value == same
    assert score(row("Same", clip(same_speaker=False)), [answer]).value == different


def test_of_an_order_only_the_slot_that_is_asked_for_is_right():
    slots = {"coffeeDrink": "latte", "size": "large", "milkAmount": " soy milk"}
    trial = row("Slots", clip(label={"intent": "order", "slots": slots}))
    assert [q.references for q in trial.questions] == [
        ("latte",),
        ("large",),
        ("soy milk",),
    ]
    assert "drink" in trial.questions[0].prompt
    said = "a large latte with soy milk"
    assert score(trial, [said] * 3).value == 0
    assert score(trial, ["A latte.", "large", "soy milk"]).value == 1


def test_phones_are_asked_of_adults():
    trial = row(
        "Phones", clip(phones="sil AH0 sil"), clip("b.wav", phones="AH0", age=9)
    )
    assert [q.clip.path for q in trial.questions] == ["a.wav"]
    assert score(trial, ["AH0"], "PER").value == 0


def test_slots_and_phones_are_asked_of_the_transcript_too():
    slots = {"coffeeDrink": "latte", "size": "large"}
    trial = row("Slots-text", clip(label={"intent": "order", "slots": slots}))
    assert [q.task for q in trial.questions] == [
        "slot_filling:drink",
        "slot_filling:size",
    ]
    assert [q.prompt for q in trial.questions] == [
        find_written(q.task) for q in trial.questions
    ]
    assert all(q.from_transcript for q in trial.questions)
    assert score(trial, ["A large latte.", "large"]).value == 0.5
    spoken = clip(phones="sil AH0 sil"), clip("b.wav", phones="AH0", age=9)
    (question,) = row("Phones-text", *spoken).questions
    assert question.from_transcript
    assert question.prompt == find_written("phone_recognition")


def test_chinese_is_asked_for_by_way_of_the_transcript():
    (question,) = row(
        "En2Zh-text", clip(lang="en", translation_zh=["早", "早安"])
    ).questions
    assert question.from_transcript
    assert question.prompt == find_written("translate:zh")
    assert question.references == ("早", "早安")


def test_an_english_text_is_asked_for_once_a_language_and_any_translation_is_right():
    phrases = [
        clip("a.wav", lang="fr", text="Un zèbre", translation_en="A zebra."),
        clip("b.wav", lang="fr", text="Le zèbre", translation_en="A zebra."),
        clip("c.wav", lang="da", text="En zebra", translation_en="A zebra."),
        clip("d.wav", lang="da", translation_en="A dog."),
    ]
    trial = row("En2X", *phrases)
    assert [q.references for q in trial.questions] == [
        ("Un zèbre", "Le zèbre"),
        ("En zebra",),
    ]
    assert {q.read for q in trial.questions} == {"A zebra."}
    assert trial.questions[0].prompt == find_written("translate:fr")
    answers = ["Le zèbre", "En hund"]
    french, danish = (score(trial, answers, f"chrF {code}") for code in ("fr", "da"))
    assert french.value == pytest.approx(100)
    assert danish.value < 40
    assert french.num_clips == danish.num_clips == 1


def test_as_many_sounds_are_asked_for_that_are_there_as_that_are_not():
    labels = ["clarinet", "bass clarinet", "flute"]
    clips = [clip(f"{n}.wav", **TUNE, label=labels[n % 3]) for n in range(60)]
    trial = row("Hear", *clips)
    assert Counter(q.references[0] for q in trial.questions) == {"yes": 30, "no": 30}
    for question in trial.questions:
        label, is_there = question.clip.facts["label"], question.references == ("yes",)
        assert (f"a {label}" in question.prompt) is is_there
        if label == "bass clarinet":  # which is a clarinet
            assert is_there or "a flute" in question.prompt


def test_tags_are_named_beside_others():
    music = clip(task="music", tags_estimated={"mtt": {"piano": 0.9, "slow": 0.2}})
    assert score(row("Tag-instr", music), ["piano and drums"], "named").value == 1
    assert score(row("Tag-instr", music), ["piano and drums"]).value == 0
    assert score(row("Tag-tempo", music), ["It moves slowly."]).value == 1
    assert trials([music], tasks=["Tag-style"]) == []


def test_answers_to_words_that_no_training_has_are_scored_apart():
    clips = [
        clip(f"{n}.wav", **SOUND, label=("rain", "rooster")[n % 2]) for n in range(40)
    ]
    trial = row("Sound", *clips)
    new = [q.is_new for q in trial.questions]
    answers = ["" if q.is_new else q.references[0] for q in trial.questions]
    apart = score(trial, answers, "accuracy, new words")
    assert (apart.value, apart.num_clips) == (0, sum(new))
    assert score(trial, answers).value == 1 - sum(new) / 40
