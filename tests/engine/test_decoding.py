import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.decoding import beam_search, greedy
from engine.whisper_decoder import TokenDecoder
from tests.engine.test_whisper_decoder import cross_of


@pytest.fixture
def setting(tiny_whisper):
    decoder = TokenDecoder(tiny_whisper.model)
    vocabulary = tiny_whisper.vocabulary
    return {
        "decoder": decoder,
        "cross": cross_of(decoder, torch.randn(100, 64)),
        "prompt": vocabulary.prompt("en", "transcribe"),
        "filters": vocabulary.filters,
        "stop": vocabulary.end,
    }


def official_greedy(model, frames, prompt, filters, limit):
    tokens = list(prompt)
    for _ in range(limit):
        logits = model(
            encoder_outputs=(frames[None],), decoder_input_ids=torch.tensor([tokens])
        ).logits[0, -1]
        first = len(tokens) == len(prompt)
        tokens.append(int(filters.apply(logits, first=first).argmax()))
    return tokens[len(prompt) :]


def test_greedy_matches_a_full_pass_for_each_token(tiny_whisper):
    decoder = TokenDecoder(tiny_whisper.model)
    vocabulary, frames = tiny_whisper.vocabulary, torch.randn(100, 64)
    prompt = vocabulary.prompt("en", "transcribe")
    with torch.inference_mode():
        expected = official_greedy(
            tiny_whisper.model, frames, prompt, vocabulary.filters, 6
        )
    decoded = greedy(
        decoder,
        cross_of(decoder, frames),
        prompt,
        filters=vocabulary.filters,
        stop=-1,
        limit=6,
    )
    assert decoded.tokens == expected[: len(decoded.tokens)]
    assert decoded.looped or len(decoded.tokens) == 6


@given(draft=st.lists(st.integers(0, 63), max_size=9), agree=st.integers(0, 8))
def test_the_answer_does_not_depend_on_the_draft(tiny_whisper, draft, agree):
    torch.manual_seed(0)
    decoder = TokenDecoder(tiny_whisper.model)
    vocabulary = tiny_whisper.vocabulary
    cross = cross_of(decoder, torch.randn(100, 64))
    prompt = vocabulary.prompt("en", "transcribe")

    def answer(draft):
        return greedy(
            decoder,
            cross,
            prompt,
            filters=vocabulary.filters,
            stop=vocabulary.end,
            limit=8,
            draft=draft,
        )

    plain = answer(())
    drafted = answer([*plain.tokens[:agree], *draft])
    assert drafted.tokens == plain.tokens
    assert drafted.logprobs == pytest.approx(plain.logprobs, abs=1e-4)


def test_forced_tokens_begin_the_answer(setting):
    decoded = greedy(**setting, limit=10, forced=[5, 6, 7])
    assert decoded.tokens[:3] == [5, 6, 7]
    decoded = beam_search(**setting, limit=10, forced=[5, 6, 7], beams=3)
    assert decoded.tokens[:3] == [5, 6, 7]


def test_the_limit_ends_an_answer_and_is_told(setting):
    setting["stop"] = -1
    decoded = greedy(**setting, limit=2)
    assert len(decoded.tokens) == 2
    assert not decoded.is_complete


def test_filtered_tokens_are_never_chosen(setting):
    free = greedy(**setting, limit=4).tokens
    blocked = torch.tensor(free)
    filters = setting.pop("filters")
    filters = type(filters)(torch.cat([filters.always, blocked]), filters.first)
    assert not set(free) & set(greedy(**setting, filters=filters, limit=4).tokens)


def test_one_beam_is_greedy(setting):
    assert (
        beam_search(**setting, limit=6, beams=1).tokens
        == greedy(**setting, limit=6).tokens
    )


def test_more_beams_find_an_answer_at_least_as_likely(setting):
    setting["stop"] = -1
    narrow = beam_search(**setting, limit=5, beams=1)
    wide = beam_search(**setting, limit=5, beams=5)
    assert wide.mean_logprob >= narrow.mean_logprob - 1e-5


def test_a_barred_token_does_not_follow_the_forced_ones(setting):
    free = greedy(**setting, limit=5)
    barred = greedy(**setting, limit=5, forced=free.tokens[:2], barred=free.tokens[2])
    assert barred.tokens[:2] == free.tokens[:2]
    assert barred.tokens[2:3] != free.tokens[2:3]


def test_an_answer_ends_with_the_token_that_is_lost(setting):
    whole = greedy(**setting | {"stop": -1}, limit=6).tokens
    told = []

    def is_lost(attention, tokens):
        told.append((attention.shape[1], list(tokens)))
        return len(tokens) == 3

    watch = torch.tensor([[0, 0]])
    cut = greedy(**setting | {"stop": -1}, limit=6, watch=watch, is_lost=is_lost)
    assert cut.tokens == whole[:3]
    assert not cut.is_complete
    prompt = len(setting["prompt"])
    assert told == [(prompt + n, whole[:n]) for n in (1, 2, 3)]
    assert cut.attention.shape[1] == prompt + 3
