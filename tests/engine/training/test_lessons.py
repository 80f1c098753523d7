import json
import re
from collections import Counter
from pathlib import Path

import pytest

from engine.data.lists import read_examples
from engine.data.manifest import Clip
from engine.tasks import find_written
from engine.training.free_questions import ANSWERS, KINDS_HEARD, QUESTIONS
from engine.training.lessons import TOLD_WORDS, lessons, lines, main
from engine.training.texts import foreign_lines, read_lines
from engine.wordings import WORDINGS

SOUNDS = {"esc10": ["dog bark", "rain", "rooster"]}


def clip(path="a.ogg", **facts):
    return Clip(path, Path(path), 1.0, {"set": "read", "split": "train"} | facts)


def taught(found, task):
    return [lesson.answer for lesson in found if lesson.task == task]


def asked(found, about):
    return [lesson.answer for lesson in found if lesson.question in QUESTIONS[about]]


def one_of_the_forms(answer, expected):
    return answer.lower() in {form.format(expected).lower() for form in ANSWERS}


def test_speech_is_to_be_written_down_translated_and_told_about():
    found = lessons(
        clip(text="TO BE OR NOT", gender="f", lang="en", translation_zh=["去", "来"]),
        {},
    )
    assert taught(found, "asr") == ["To be or not"]
    assert taught(found, "translation_ec") == ["去"]
    assert taught(found, "gender_recognition") == ["Female."]
    assert one_of_the_forms(*asked(found, "kind"), "speech")
    assert one_of_the_forms(*asked(found, "voice"), "a woman")
    assert one_of_the_forms(*asked(found, "language"), "English")


def test_a_childs_voice_tells_no_gender():
    found = lessons(clip(text="a bear", gender="m", age=6), {})
    assert not taught(found, "gender_recognition")
    assert one_of_the_forms(*asked(found, "voice"), "a child")


def test_foreign_speech_is_translated_into_english():
    found = lessons(clip(text="Un zèbre.", lang="fr", translation_en="A zebra."), {})
    (into,) = [lesson for lesson in found if "translate" in lesson.question]
    assert (into.answer, "English" in into.question) == ("A zebra.", True)
    assert one_of_the_forms(*asked(found, "language"), "French")


def test_a_clip_that_was_cut_is_not_translated():
    facts = {"set": "emodb", "label": "anger", "translation_en": "The cloth."}
    found = lessons(clip(**facts), {})
    assert not [lesson for lesson in found if lesson.answer == "The cloth."]
    assert taught(found, "emotion_recognition") == ["Angry"]
    assert one_of_the_forms(*asked(found, "emotion"), "angry")


@pytest.mark.parametrize(
    ("facts", "about", "answer"),
    [
        ({"set": "esc10", "label": "rain"}, "sound", "rain"),
        ({"set": "esc10", "label": "dog bark"}, "kind", "an animal"),
        ({"set": "instruments", "label": "cello"}, "instrument", "cello"),
        (
            {"set": "game_music", "tags_estimated": {"mtt": {"techno": 0.5}}},
            "music",
            "techno",
        ),
    ],
)
def test_sounds_are_named(facts, about, answer):
    assert one_of_the_forms(*asked(lessons(clip(**facts), {}), about), answer)


def test_each_slot_of_an_order_is_asked_for():
    label = {"intent": "orderDrink", "slots": {"size": "small", "milkAmount": " milk"}}
    found = lessons(clip(set="picovoice_intents", label=label), {})
    official, free = found[::2], found[1::2]
    assert {lesson.question: lesson.answer for lesson in official} == {
        "According to the speech, what is the size?": "small",
        "According to the speech, what is the milk?": "milk",
    }
    assert [lesson.answer for lesson in free] == ["Small.", "Milk."]
    forms = {q.format(name) for q in QUESTIONS["slot"] for name in ("size", "milk")}
    assert {lesson.question for lesson in free} <= forms


def test_as_many_sounds_are_heard_as_are_not():
    answers = Counter()
    for index in range(400):
        heard = lessons(clip(f"{index}.ogg", set="esc10", label="rain"), SOUNDS)
        for lesson in heard:
            of_kind = any(kind in lesson.question for kind in KINDS_HEARD)
            if lesson.answer.startswith(("Yes.", "No.", "No, ")) and not of_kind:
                is_yes = lesson.answer.startswith("Yes")
                assert ("rain" in lesson.question) is is_yes
                answers[is_yes] += 1
    assert answers == {True: 400, False: 400}


@pytest.mark.parametrize(
    ("facts", "heard"),
    [
        ({"text": "so it goes"}, "speech"),
        ({"set": "instruments", "label": "cello"}, "music"),
        ({"set": "esc10", "label": "rooster"}, "an animal"),
        ({"set": "esc10", "label": "rain"}, None),
    ],
)
def test_only_the_kind_that_is_heard_is_said_to_be_heard(facts, heard):
    said = Counter()
    for index in range(100):
        for lesson in lessons(clip(f"{index}.ogg", **facts), {}):
            for kind in KINDS_HEARD:
                if kind in lesson.question and lesson.question not in QUESTIONS["kind"]:
                    assert (lesson.answer == "Yes.") is (kind == heard)
                    assert lesson.pair == ("kind" if heard else "")
                    said[kind] += 1
    assert said.total() == (200 if heard else 100)
    assert said.keys() == set(KINDS_HEARD)


def test_in_silence_nothing_is_heard():
    found = lessons(clip(set="made_silence", label="silence"), {})
    assert one_of_the_forms(*asked(found, "kind"), "silence")
    assert one_of_the_forms(*asked(found, "sound"), "silence")
    assert [lesson.answer for lesson in found][-1] == "No, it is silent."


@pytest.mark.parametrize(("is_same", "word"), [(True, "Yes"), (False, "No")])
def test_pairs_are_asked_whether_one_person_speaks(is_same, word):
    found = lessons(clip(same_speaker=is_same), {})
    assert taught(found, "speaker_verification") == [word]
    (free,) = asked(found, "same")
    assert free.startswith(word)


def test_stories_are_asked_what_they_bring_along():
    found = lessons(clip(qa=[["What is first?", "Rain."]]), {})
    assert [(q.question, q.answer) for q in found] == [("What is first?", "Rain.")]


def test_foreign_texts_are_asked_for_by_their_english_once():
    facts = {"lang": "fr", "text": "Un zèbre.", "translation_en": "A zebra."}
    clips = [
        clip("a.ogg", **facts),
        clip("b.ogg", **facts),
        clip("c.ogg", **facts | {"split": "dev"}),
        clip("d.ogg", lang="en_GB", text="A zebra.", translation_en="A zebra."),
    ]
    (line,) = foreign_lines(clips)
    assert (line["read"], line["text"]) == ("A zebra.", "Un zèbre.")
    assert line["Q"] == find_written("translate:fr")


def test_most_lessons_about_speech_tell_what_is_said_and_none_about_its_words():
    spoken = [
        clip(f"{n}.ogg", text="SO IT GOES", gender="f", translation_zh="就这样")
        for n in range(200)
    ]
    found = list(lines(spoken))
    told = [line for line in found if "said" in line]
    assert {line["said"] for line in told} == {"So it goes"}
    of_words = ("asr", "translation_ec")
    assert not {line["task"] for line in told} & {*of_words}
    others = [line for line in found if line["task"] not in of_words]
    assert len(told) / len(others) == pytest.approx(TOLD_WORDS, abs=0.05)
    assert not any("said" in line for line in lines([clip(set="esc10", label="rain")]))


def test_what_a_transcriber_heard_is_told_rather_than_what_was_written():
    spoken = [
        clip(f"{n}.ogg", text="SO IT GOES", said="So it grows.", gender="f")
        for n in range(20)
    ]
    found = list(lines(spoken))
    assert {line["said"] for line in found if "said" in line} == {"So it grows."}
    assert {line["text"] for line in found if line["task"] == "asr"} == {"So it goes"}


@pytest.mark.parametrize(
    ("label", "family"), [("cello", "strings"), ("snare drum", "percussion")]
)
def test_an_instrument_is_asked_for_its_family_too(label, family):
    found = lines([clip(set="instruments", task="instrument", label=label)])
    (line,) = [one for one in found if one.get("Q") in QUESTIONS["family"]]
    assert family in line["text"].lower()


def test_a_clips_text_is_asked_for_its_phones_and_for_what_is_ordered():
    label = {"intent": "order", "slots": {"coffeeDrink": "latte "}}
    clips = [
        clip("a.ogg", text="a latte", label=label),
        clip("b.ogg", text="so", phones="S OW1"),
        clip("c.ogg", text="no", phones="N OW1", split="dev"),
        clip("d.ogg", phones="N OW1"),
    ]
    order, phones = read_lines(clips)
    assert (order["read"], order["text"]) == ("a latte", "latte")
    assert order["Q"] == find_written("slot_filling:drink")
    assert (phones["read"], phones["text"]) == ("so", "S OW1")
    assert phones["Q"] == find_written("phone_recognition")


def test_so_many_of_the_texts_are_asked_about_as_one_says(tmp_path):
    manifest, out = tmp_path / "manifest.jsonl", tmp_path / "lessons.jsonl"
    shares = tmp_path / "shares.toml"
    shares.write_text("[shares]\nread = 1\n")
    facts = {"set": "read", "split": "train", "duration_s": 1.0}
    spoken = [
        {"path": f"{n}.ogg", "text": "so", "phones": "S OW1", **facts} for n in range(5)
    ]
    manifest.write_text("\n".join(map(json.dumps, spoken)))
    arguments = ["--manifest", str(manifest), "--out", str(out)]
    for more, count in (([], 5), (["--max-texts", "2"], 2), (["--max-texts", "0"], 0)):
        assert main([*arguments, "--shares", str(shares), *more]) == 0
        found = [json.loads(line) for line in out.read_text().splitlines()]
        assert sum("read" in line for line in found) == count


def test_the_same_clip_teaches_the_same():
    facts = {"set": "esc10", "label": "rain"}
    assert lessons(clip(**facts), SOUNDS) == lessons(clip(**facts), SOUNDS)
    assert lessons(clip(**facts), SOUNDS) != lessons(clip("b.ogg", **facts), SOUNDS)


def test_lines_are_of_train_clips_and_of_known_tasks():
    clips = [
        clip("a.ogg", text="so it goes", gender="m", lang="en_GB"),
        clip("b.ogg", text="not this", split="dev"),
        clip("c.ogg", set="esc10", label="rain"),
        clip("d.ogg", set="esc10", label="rooster"),
    ]
    found = list(lines(clips))
    assert {line["path"] for line in found} == {"a.ogg", "c.ogg", "d.ogg"}
    assert {line["split"] for line in found} == {"train"}
    told = {line["path"]: line.get("lang") for line in found}
    assert told == {"a.ogg": "en", "c.ogg": None, "d.ogg": None}
    assert {line["path"] for line in lines(clips, split="dev")} == {"b.ogg"}
    assert {line["task"] for line in found} <= WORDINGS.keys()
    assert all(bool(line.get("Q")) is (line["task"] == "QA") for line in found)


def test_pairs_of_sentences_are_asked_as_transcripts_are(tmp_path):
    manifest, pairs = tmp_path / "manifest.jsonl", tmp_path / "pairs.jsonl"
    facts = {"path": "a.ogg", "set": "x", "duration_s": 1.0, "split": "dev"}
    manifest.write_text(json.dumps(facts))
    told = [
        {"en": "It's OK.", "zh": ["没关系。", "没事。"], "split": "dev"},
        {"en": "I'm thrilled.", "zh": ["我激动不已。"], "split": "train"},
    ]
    pairs.write_text("\n".join(map(json.dumps, told)))
    out = tmp_path / "lessons.jsonl"
    arguments = ["--manifest", str(manifest), "--out", str(out)]
    assert main([*arguments, "--pairs", str(pairs), "--split", "dev"]) == 0
    *_, last = [json.loads(line) for line in out.read_text().splitlines()]
    assert (last["read"], last["text"]) == ("It's OK.", "没关系。")
    assert last["Q"] == find_written("translate:zh")
    assert read_examples([out], "dev").items[-1].read == "It's OK."
    pairs.write_text("no pair")
    assert main([*arguments, "--pairs", str(pairs)]) == 1


def test_the_command_writes_a_list(tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    facts = {"path": "a.ogg", "set": "esc10", "split": "train", "duration_s": 1.0}
    manifest.write_text(json.dumps(facts | {"label": "rain"}))
    out = tmp_path / "lessons.jsonl"
    assert main(["--manifest", str(manifest), "--out", str(out)]) == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["path"] for line in found} == {"a.ogg"}
    arguments = ["--manifest", str(manifest), "--out", str(out)]
    assert main([*arguments, "--set", "esc10"]) == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == found
    assert main([*arguments, "--set", "other"]) == 1
    assert main(["--manifest", str(tmp_path / "none"), "--out", str(out)]) == 1


def test_a_list_follows_shares(tmp_path, capsys):
    manifest, shares = tmp_path / "manifest.jsonl", tmp_path / "shares.toml"
    facts = {"split": "train", "duration_s": 1.0, "label": "rain"}
    sounds = [{"path": f"{n}.ogg", "set": "esc10", **facts} for n in range(4)]
    others = [{"path": "b.ogg", "set": "donateacry", **facts}]
    manifest.write_text("\n".join(map(json.dumps, [*sounds, *others])))
    shares.write_text("[shares]\nesc10 = 2\n")
    out = tmp_path / "lessons.jsonl"
    arguments = ["--manifest", str(manifest), "--out", str(out)]
    assert main([*arguments, "--shares", str(shares)]) == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    # Clips, visits, and what can be asked where nothing else is heard in the set.
    assert len(found) == 4 * 2 * 3
    assert {line["path"] for line in found} == {line["path"] for line in sounds}
    named = [line for line in found if "rain" in line["text"].lower()]
    assert len(named) >= 4 * 2
    rooster = {"path": "c.ogg", "set": "esc10", **facts, "label": "rooster"}
    manifest.write_text("\n".join(map(json.dumps, [*sounds, rooster])))
    assert main([*arguments, "--shares", str(shares)]) == 0
    found = [json.loads(line) for line in out.read_text().splitlines()]
    by_name = [line for line in found if re.search("rain|rooster", line["Q"])]
    answers = Counter(line["text"][:2] for line in by_name)
    assert answers["Ye"] == answers["No"] > 0
    for wrong in ("[shares]\nrain = 1\n", "[shares]\nesc10 = 'x'\n", "esc10 = 1\n"):
        shares.write_text(wrong)
        assert main([*arguments, "--shares", str(shares)]) == 1
        assert "shares" in capsys.readouterr().err or "rain" in wrong
