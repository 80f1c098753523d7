import pytest
import torch

from engine.benchmarks import decode
from engine.benchmarks.decode import DecodeFigures, Variant, agreeing, answer
from engine.benchmarks.statistics import Quantiles
from engine.llm import LanguageModel
from engine.vocabulary import PrunedHead, prune
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


def test_all_ways_are_tried_in_turns(llm, monkeypatch):
    whole = llm.model.get_output_embeddings()
    said = sorted({*answer(llm, decode.QUESTIONS[0]), 5, 6})
    fewer = PrunedHead(whole, torch.tensor(said))
    heads = []

    def steps_s(llm, text):
        heads.append(llm.model.get_output_embeddings())
        return [0.08 if heads[-1] is whole else 0.04]

    monkeypatch.setattr(decode, "steps_s", steps_s)
    ways = [decode.Way("whole", llm, whole), decode.Way("fewer", llm, fewer)]
    steps = []
    first, second = decode.compare(ways, 3, lambda: steps.append(1))
    assert heads == [whole, fewer] * 3
    assert len(steps) == len(heads)
    assert (first.words, first.step_ms.p50, first.same_tokens) == (96, 80.0, 1.0)
    assert (second.words, second.step_ms.p50) == (len(said), 40.0)
    assert second.step_ms.count == 3


def test_steps_take_time(llm):
    taken = decode.steps_s(llm, TEXT)
    assert len(taken) == decode.STEPS
    assert min(taken) > 0


def test_the_table_has_ratios_of_one_run():
    figures = DecodeFigures(
        engine="gemma3",
        variants=[
            Variant("float32", 96, Quantiles(5, 80.0, 90.0, 99.0), 1.0),
            Variant("int8", 48, Quantiles(5, 40.0, 44.0, 45.0), 0.975),
        ],
    )
    told = [(row.what, row.figure) for row in figures.rows()]
    assert told[4:] == [
        ("int8, 48 words", ""),
        ("  a token, p50 / p90 / p95", "40.00 / 44.00 / 45.00 ms (n 5)"),
        ("  of the first's time", "1 / 2.00"),
        ("  of the first's tokens", "97.5 %"),
    ]
