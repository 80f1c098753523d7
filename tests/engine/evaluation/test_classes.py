import pytest

from engine.evaluation.classes import (
    FAMILIES,
    KIND_OF_SOUND,
    KINDS,
    TAGS,
    called,
    strongest,
)
from engine.evaluation.labels import Labels

FAMILY = Labels(FAMILIES, synonyms=FAMILIES)
KIND = Labels(KINDS, synonyms=KINDS)


@pytest.mark.parametrize(
    ("family", "answer"),
    [
        ("strings", "It is a string instrument."),
        ("strings", "Strings: a double bass."),
        ("strings", "a violin or fiddle"),
        ("woodwind", "An English horn"),
        ("woodwind", "A bass clarinet, so woodwind."),
        ("brass", "a French horn"),
        ("percussion", "A bass drum"),
        ("percussion", "Clash cymbals."),
    ],
)
def test_a_family_is_named_by_its_name_or_its_members(family, answer):
    assert FAMILY.is_right(family, answer)


@pytest.mark.parametrize("answer", ["Woodwind or brass", "bass", "an instrument", ""])
def test_two_families_or_none_are_no_answer(answer):
    assert len(FAMILY.named(answer)) != 1


def test_no_instrument_is_of_two_families():
    members = [name for names in FAMILIES.values() for name in names]
    assert len(members) == len(set(members))


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("animal", "It is an animal."),
        ("silence", "I hear nothing."),
        ("speech", "Someone is talking"),
        ("noise", "background noise"),
        ("music", "A song."),
    ],
)
def test_kinds_have_other_names(kind, answer):
    assert KIND.is_right(kind, answer)


def test_every_kind_of_sound_is_a_kind():
    assert set(KIND_OF_SOUND.values()) <= KINDS.keys()


def test_the_likeliest_tag_of_all_taggers_counts():
    estimated = {
        "mtt": {"slow": 0.5, "piano": 0.3, "techno": 0.4},
        "msd": {"electronica": 0.45, "rock": 0.1},
    }
    assert strongest("leading instrument", estimated) == "piano"
    assert strongest("style", estimated) == "electronic"
    assert strongest("tempo", estimated) == "slow"
    assert strongest("tempo", {"mtt": {"piano": 0.9}}) == ""


@pytest.mark.parametrize("kind", TAGS)
def test_no_tag_means_two_things(kind):
    names = [n for tag, others in TAGS[kind].items() for n in (tag, *others)]
    assert len(names) == len(set(names))


def test_labels_are_called_as_one_would_ask_for_them():
    assert called("oboe") == "an oboe"
    assert called("cello") == "a cello"
    assert called("dog bark") == "a barking dog"
