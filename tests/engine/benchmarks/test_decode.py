import pytest
import torch

from engine.benchmarks.decode import DecodeFigures, Variant, agreeing, answer, step_s
from engine.llm import LanguageModel
from engine.vocabulary import prune
from tests.engine.tiny_head import tiny_tokenizer
from tests.engine.tiny_llm import tiny_model

TEXT = "Who is it?"


@pytest.fixture
def llm():
    return LanguageModel(tiny_model("gemma3"), tiny_tokenizer())


def test_a_model_agrees_with_itself_and_not_with_others(llm):
    tokens = answer(llm, TEXT)
    assert tokens
    assert agreeing(llm, TEXT, tokens) == len(tokens)
    others = [(token + 1) % 96 for token in tokens]
    assert agreeing(llm, TEXT, others[:1]) == 0


def test_a_head_of_the_words_that_are_said_says_the_same(llm):
    tokens = answer(llm, TEXT)
    kept = sorted({*tokens, 5, 6})
    other = LanguageModel(tiny_model("gemma3"), tiny_tokenizer())
    prune(other.model, torch.tensor(kept))
    assert agreeing(other, TEXT, tokens) == len(tokens)
    assert answer(other, TEXT) == tokens


def test_a_step_takes_time(llm):
    assert step_s(llm, TEXT) > 0


def test_the_table_has_ratios_of_one_run():
    figures = DecodeFigures(
        engine="gemma3",
        variants=[Variant("float32", 96, 80.0, 1.0), Variant("int8", 48, 40.0, 0.975)],
    )
    told = [(row.what, row.figure) for row in figures.rows()]
    assert told[3:] == [
        ("int8, 48 words", "40 ms a token"),
        ("  of the first's time", "1 / 2.00"),
        ("  of the first's tokens", "97.5 %"),
    ]
