import pytest

from engine.evaluation.scores import word_errors


def test_marks_capitals_and_spellings_are_no_errors():
    errors = word_errors(["MISTER SMITH'S COLOUR"], ["Mr. Smith's color!"])
    assert errors.rate == 0


def test_errors_are_counted_over_all_words():
    errors = word_errors(["red green blue", "cat"], ["red grin blue", "cat dog"])
    assert (errors.substitutions, errors.deletions, errors.insertions) == (1, 0, 1)
    assert errors.words == 4
    assert errors.rate == pytest.approx(50.0)


def test_no_answer_is_all_left_out():
    assert word_errors(["a b c", "d"], ["", "d"]).rate == pytest.approx(75.0)


def test_references_without_words_are_refused():
    with pytest.raises(ValueError, match="no reference has a word"):
        word_errors([""], ["something"])
