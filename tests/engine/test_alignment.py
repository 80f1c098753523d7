import pytest
import torch

from engine.alignment import last_token_frame, token_bounds, token_frames, words
from engine.api import Word

PROMPT = 4


def attention_of(spans, frames):
    """Return the attention of two heads, tokens looking at their spans.

    A prompt stands before them; all look at frame 7 as well, which means nothing.
    """
    rows = torch.full((2, PROMPT + len(spans), frames), 0.01)
    rows[:, :, 7] = 3.0
    for token, (start, end) in enumerate(spans):
        rows[:, PROMPT - 1 + token, start:end] += 1.0
    return rows


def test_tokens_are_laid_where_they_looked():
    attention = attention_of([(0, 20), (20, 50), (50, 80)], 80)
    assert token_bounds(attention, PROMPT) == pytest.approx([0, 20, 50, 80], abs=3)


def test_tokens_are_laid_in_order_even_if_the_attention_was_not():
    bounds = token_bounds(attention_of([(40, 60), (0, 20), (60, 80)], 80), PROMPT)
    assert bounds == sorted(bounds)


def test_a_single_token_has_all_frames():
    assert token_bounds(attention_of([(0, 30)], 30), PROMPT) == [0, 30]


def test_a_token_is_heard_where_it_looked_most():
    spans = [(40, 60), (0, 20), (60, 80)]
    for frame, (start, end) in zip(
        token_frames(attention_of(spans, 80), PROMPT), spans, strict=True
    ):
        assert start <= frame < end


def test_the_last_token_is_heard_where_all_of_them_say():
    attention = attention_of([(40, 60), (0, 20), (60, 80)], 80)
    assert last_token_frame(attention) == token_frames(attention, PROMPT)[-1]


PIECES = {1: " ask", 2: " not", 3: ",", 4: "ing", 5: "问", 6: "题", 7: "。", 8: "“"}


def say(tokens):
    return "".join(PIECES[token] for token in tokens)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([1, 2], [("ask", 0, 10), ("not", 10, 20)]),
        ([1, 4, 3, 2], [("asking,", 0, 30), ("not", 30, 40)]),
        ([5, 6, 7], [("问", 0, 10), ("题。", 10, 30)]),
        ([], []),
    ],
)
def test_tokens_become_words(tokens, expected):
    bounds = [10 * i for i in range(len(tokens) + 1)]
    found = words(tokens, bounds, say)
    assert found == tuple(
        Word(text=text, start=start * 320, end=end * 320)
        for text, start, end in expected
    )


def test_a_character_of_several_tokens_is_one_word():
    def say(tokens):
        return "" if len(tokens) < 2 else "问"

    assert words([1, 2], [0, 5, 9], say) == (Word(text="问", start=0, end=9 * 320),)
