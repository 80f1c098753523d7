"""Twenty questions: in no training, of twenty clips that nobody picked, all shown."""

import random
import re
from pathlib import Path

import pytest

from engine.data.making import questions as made_questions
from engine.data.making import scenes
from engine.data.manifest import Clip, ManifestError
from engine.evaluation.asking import ask_each
from engine.evaluation.questions import ABOUT
from engine.evaluation.untaught import QUESTIONS, drawn, listed
from engine.tasks import SLOT, TEST_PROMPTS
from engine.training.free_questions import QUESTIONS as FREE
from engine.wordings import WORDINGS
from tests.engine.evaluation.test_table import Scripted

FACTS = (
    {"set": "esc", "task": "sound-event", "label": "rain"},
    {"set": "bells", "task": "sound-event", "label": "bell"},
    {"set": "solo", "task": "instrument,pitch", "label": "cello"},
    {"set": "acted", "task": "emotion,gender", "label": "sad", "gender": "f"},
    {"set": "read", "gender": "m", "lang": "en", "text": "GO ON", "age": 30},
    {"set": "café", "label": {"slots": {"size": "small"}}, "lang": "en"},
    {"set": "band", "tags_estimated": {"a": {"rock": 0.1, "fast": 0.4}}},
)
CLIPS = [
    Clip(f"{facts['set']}{n}.wav", Path("none"), 2.0, facts)
    for facts in FACTS
    for n in range(8)
]


NAME = r"\w+( \w+){0,2}"
"""What may stand where a wording is left open."""


def plain(text, keep=""):
    return re.sub(rf"[^\w{keep}]+", " ", text).strip().lower()


def test_no_training_asks_any_of_the_questions():
    asked = {w for group in (WORDINGS, FREE) for of in group.values() for w in of}
    asked |= {*TEST_PROMPTS.values(), *scenes.HEARD, *scenes.BESIDE}
    asked |= {w for of in made_questions.KINDS.values() for w in of}
    asked |= {w for ways in ABOUT.values() for w in (*ways.taught, *ways.new)}
    filled = [NAME.join(map(re.escape, plain(t, keep=SLOT).split(SLOT))) for t in asked]
    for question in QUESTIONS:
        assert not [f for f in filled if re.fullmatch(f, plain(question.text))]


def test_there_are_twenty_questions_about_as_many_clips():
    asked = drawn(CLIPS)
    assert len(QUESTIONS) == len({q.prompt for q in asked}) == 20
    assert len({q.clip.path for q in asked}) == 20
    assert all(q.is_new for q in asked)


def test_luck_and_not_the_order_of_the_clips_decides_what_is_asked_about():
    turned = random.Random(0).sample(CLIPS, len(CLIPS))
    assert drawn(turned) == drawn(CLIPS)


def test_small_sets_are_asked_about_as_large_ones_are():
    many = [Clip(f"esc{n}.wav", Path("none"), 2.0, FACTS[0]) for n in range(8, 1000)]
    sets = [q.clip.facts["set"] for q in drawn([*CLIPS, *many])][:6]
    assert set(sets) == {"esc", "bells"}


def test_each_question_is_about_a_clip_that_it_suits_and_says_what_that_is():
    told = {q.prompt: q.references[0] for q in drawn(CLIPS)}
    assert told["What happened just now?"] in ("rain", "bell")
    assert told["Is this a high or a low note?"] == "cello"
    assert told["Is the speaker calm?"] == "sad, female"
    assert told["Should I say sir or madam to whoever is talking?"] == "male, 30 years"
    assert told["What is this person talking about?"] == "“GO ON”"
    assert told["What would you bring to this customer?"] == "small"
    assert told["Could one dance to this?"] == "fast, rock"


def test_a_question_without_a_clip_is_an_error():
    silent = [clip for clip in CLIPS if clip.facts["set"] != "band"]
    with pytest.raises(ManifestError, match="Could one dance to this"):
        drawn(silent)


def begin(name, total):
    return lambda: None


def test_every_answer_is_shown_also_where_there_is_none():
    asked = drawn(CLIPS)[:2]
    answers = {asked[0].clip.path: "It\n rained. "}
    lines = ask_each(asked, [Scripted("offline", answers)], begin)
    said = ("It rained.", "*nothing*")
    assert listed(lines).splitlines() == [
        f"{n + 1}. {q.prompt} (`{q.clip.path}`: {q.references[0]}) → {said[n]}"
        for n, q in enumerate(asked)
    ]


def test_answers_of_two_stand_beside_each_other():
    asked = drawn(CLIPS)[:1]
    lines = ask_each(asked, [Scripted("offline", {asked[0].clip.path: "a"})], begin)
    (line,) = listed([lines[0] | {"hypothesis_live": "b"}]).splitlines()
    assert line.endswith("→ offline: a · live: b")
