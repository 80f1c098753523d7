import pytest

from engine.training.labels import Target, parse, target

READ = {"set": "librispeech", "text": "MISTER QUILTER'S, ET CETERA", "gender": "m"}
TAGS = {
    "mtt": {"drums": 0.3, "slow": 0.1, "Electronic": 0.4},
    "msd": {"electronic": 0.6, "hip hop": 0.5, "ambient": 0.25},
}


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (READ, "mister quilter's et cetera speech man"),
        (READ | {"age": 7}, "mister quilter's et cetera speech child"),
        ({"set": "x", "text": "Press 7 to go."}, "press 7 to go speech"),
        ({"set": "x", "text": "Un zèbre.", "lang": "fr"}, "un zèbre speech french"),
        ({"set": "x", "text": "A lift.", "lang": "en_GB"}, "a lift speech"),
        ({"set": "x", "text": "Ĝis!", "lang": "eo"}, "ĝis speech foreign"),
        ({"set": "ravdess", "label": "sad", "gender": "f"}, "speech woman sad"),
        (
            {"set": "emodb", "label": "anger", "gender": "m", "lang": "de"},
            "speech man german angry",
        ),
        ({"set": "esc10", "label": "dog bark"}, "animal dog bark"),
        ({"set": "esc10", "label": "rain"}, "noise rain"),
        ({"set": "donateacry", "label": "baby crying"}, "human baby crying"),
        ({"set": "philharmonia", "label": "cor anglais"}, "music cor anglais"),
        ({"set": "tuxpaint_sounds", "label": "animals/birds"}, "animal bird"),
        (
            {"set": "tuxpaint_sounds", "label": "household/vacuum_cleaner"},
            "sound vacuum cleaner",
        ),
        (
            {"set": "game_music", "tags_estimated": TAGS},
            "music electronic hip hop drums",
        ),
        ({"set": "untranscribed", "gender": "f"}, "speech woman"),
    ],
)
def test_facts_become_words(facts, text):
    found = target(facts)
    assert found is not None
    assert found.text == text
    assert parse(text) == found


@pytest.mark.parametrize(
    "facts",
    [
        {"set": "tuxpaint_sounds", "label": "symbols/math"},
        {"set": "picovoice_intents", "label": {"intent": "orderDrink"}},
    ],
)
def test_facts_that_tell_nothing_that_is_heard_are_no_target(facts):
    assert target(facts) is None


def test_a_text_without_a_kind_is_a_transcript():
    assert parse("so it goes") == Target("so it goes", ())


def test_a_transcript_may_hold_the_name_of_a_kind():
    assert parse("the music of speech speech man") == Target(
        "the music of speech", ("speech", "man")
    )
