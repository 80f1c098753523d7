import itertools

import pytest

from engine.training.pieces import SPACE, Pieces

VOCABULARY = {
    piece: index
    for index, piece in enumerate(
        [*"▁abcdeghilnoprstuw", "▁the", "▁a", "ing", "▁go", "▁going", "▁s", "le", "ep"]
    )
}
WORDS = {"the": 90, "a": 50, "going": 3, "sleeping": 9, "going's": 1}
TEXT = {index: piece for piece, index in VOCABULARY.items()}


@pytest.fixture
def pieces():
    return Pieces.learn(WORDS, VOCABULARY, least=5)


def test_frequent_words_stay_whole_and_others_share_pieces(pieces):
    assert pieces.cut("the") == ("▁the",)
    assert pieces.cut("sleeping") == ("▁s", "le", "ep", "ing")
    assert pieces.cut("going")[-1] == "ing"
    assert VOCABULARY["▁going"] not in pieces.tokens


@pytest.mark.parametrize("text", ["the", "a going", "the sleeping pigs", "gone"])
def test_pieces_spell_the_text(pieces, text):
    spelled = "".join(TEXT[token] for token in pieces.split(text))
    assert spelled.replace(SPACE, " ").strip() == text


def test_all_pieces_are_among_the_tokens(pieces):
    found = set(itertools.chain(*map(pieces.split, WORDS)))
    assert found <= set(pieces.tokens)


def test_a_character_that_no_word_had_is_passed_over(pieces):
    assert pieces.split("a☃") == pieces.split("a")
    assert pieces.split("☃") == [VOCABULARY[SPACE]]


def test_with_nothing_required_words_of_the_vocabulary_are_whole():
    pieces = Pieces.learn(WORDS, VOCABULARY, least=1)
    assert pieces.cut("going") == ("▁going",)
