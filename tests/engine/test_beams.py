"""Searches with beams: the original's over a whole prompt, and ours behind a cache."""

import math

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from engine.answering import Answer, Sampling, Search, search, search_for
from engine.api import Finish
from engine.beams import beam_search
from engine.cache import Cache
from engine.llm import LanguageModel
from tests.engine.tiny_llm import STOP, WIDTH, tiny_llm

A, B, C, START = 2, 3, 4, 5
WORDS = 8
NEVER = -30.0


def chain(table):
    """Return a language model whose next word depends on the last one alone.

    Args:
        table: Of each word, how likely others follow.
    """
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=WORDS,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        eos_token_id=STOP,
        bos_token_id=START,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    layer = model.model.layers[0]
    layer.self_attn.o_proj.weight.zero_()
    layer.mlp.down_proj.weight.zero_()
    model.model.embed_tokens.weight.copy_(torch.eye(WORDS))
    head = torch.full((WORDS, WORDS), NEVER)
    for word, others in table.items():
        for other, probability in others.items():
            head[other, word] = math.log(probability)
    # A row of the identity, normalised, is √D times itself.
    model.lm_head.weight.copy_(head / math.sqrt(WORDS))
    return LanguageModel(model)


def prompt(length, seed=0, width=WIDTH):
    return torch.randn(length, width, generator=torch.Generator().manual_seed(seed))


def whole(llm, piece, **how):
    return search(llm, piece, Search(**how))


def behind_a_cache(llm, piece, **how):
    cache = Cache()
    llm.extend([piece[:-2]], [cache])
    return beam_search(llm, piece[-2:], cache, **how)


@pytest.fixture(params=[whole, behind_a_cache])
def searched(request):
    """Return what searches in a chain, behind four words that are of no account."""

    def found(table, **how):
        llm = chain(table)
        return request.param(llm, llm.embed([C, B, C, START]), **how)

    return found


# In logarithms, of the empty answer -0.916, of A (ln 0.6 + ln 0.5) -1.204.
EMPTY_OR_A = {
    START: {STOP: 0.4, A: 0.6},
    A: {STOP: 0.5, B: 0.5},
    B: {A: 0.4, B: 0.3, C: 0.3},
    C: {A: 0.4, B: 0.3, C: 0.3},
}


def test_a_score_is_a_mean_over_the_words_the_stop_counted(searched):
    # -0.916 / 1 < -1.204 / 2: the prompt's four words are not counted, by which
    # -0.916 / 5 > -1.204 / 6.
    assert searched(EMPTY_OR_A, beams=4, max_tokens=5) == [A]


def test_without_a_penalty_the_likelier_answer_is_the_better(searched):
    how = {"beams": 4, "max_tokens": 5, "length_penalty": 0.0}
    assert searched(EMPTY_OR_A, **how) == []


def test_an_answer_of_n_words_is_divided_by_one_more(searched):
    table = {
        START: {A: 0.5, B: 0.5},
        A: {STOP: 0.76, A: 0.24},
        B: {C: 0.5, A: 0.5},
        C: {STOP: 0.8, C: 0.2},
    }
    # A: ln 0.38 = -0.968, over 2 -0.484.  B C: ln 0.2 = -1.609, over 3 -0.536; without
    # the stop it would be the better one, -0.968 / 1 against -1.609 / 2.
    assert searched(table, beams=4, max_tokens=6) == [A]


def test_what_reaches_the_limit_counts_as_it_stands(searched):
    table = {START: {A: 0.5, STOP: 0.5}, A: {B: 0.9, STOP: 0.1}, B: {C: 1.0}}
    # A B: (ln 0.5 + ln 0.9) / 2 = -0.399; the empty answer, -0.693.
    assert searched(table, beams=4, max_tokens=2) == [A, B]


@pytest.mark.parametrize("family", ["llama", "gemma3"])
@pytest.mark.parametrize("beams", [1, 2, 4])
def test_behind_a_cache_the_same_is_found_as_over_the_whole_prompt(family, beams):
    llm = tiny_llm(family)
    llm.stop = frozenset(range(STOP, 96, 7))  # else hardly one ends by itself
    ended = set()
    for seed in range(3):
        piece = prompt(12, seed)
        for length_penalty in (0.0, 1.0):
            how = {"beams": beams, "max_tokens": 9, "length_penalty": length_penalty}
            found = behind_a_cache(llm, piece, **how)
            assert found == whole(llm, piece, **how)
            ended.add(len(found))
    assert len(ended) > 1, "some end by themselves, and some do not"


def test_a_search_leaves_the_cache_as_it_is():
    llm = tiny_llm("llama")
    cache = Cache()
    llm.extend([prompt(20)], [cache])
    expected = llm.step([5], [cache.fork()])
    beam_search(llm, prompt(3, 1), cache, beams=3, max_tokens=4)
    assert len(cache) == 20
    assert torch.equal(llm.step([5], [cache]), expected)


def begun(llm, piece, **sampling):
    return Answer(
        piece,
        Cache(),
        text=lambda tokens: " ".join(map(str, tokens)),
        stop=llm.stop,
        sampling=Sampling(**sampling),
    )


def test_an_answer_that_was_searched_ends_as_one_that_was_chosen():
    llm = chain(EMPTY_OR_A)
    answer = begun(llm, llm.embed([START]), max_tokens=5)
    search_for(llm, answer, 4)
    assert (answer.tokens, answer.finish) == ([A], Finish.STOP)
    short = begun(llm, llm.embed([START]), max_tokens=1)
    search_for(llm, short, 4)
    assert (short.tokens, short.finish) == ([A], Finish.LENGTH)


def test_a_loop_that_a_search_finds_is_cut():
    llm = chain({START: {A: 1.0}, A: {B: 1.0}, B: {A: 1.0}})
    answer = begun(llm, llm.embed([START]), max_tokens=40)
    search_for(llm, answer, 2)
    assert answer.finish is Finish.LOOP
    assert len(answer.tokens) < 40
