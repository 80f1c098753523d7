import pytest
import torch
from torch.testing import assert_close

from engine import llm as llms
from engine.cache import Cache, tentative
from engine.errors import ContextFullError, WeightsError
from engine.llm import LanguageModel
from tests.engine.tiny_llm import STOP, WIDTH, config, tiny_llm, tiny_model

FAMILIES = ["llama", "gemma3", "qwen2", "qwen3"]
LONG = 600  # positions: beyond Gemma 3's window of 512
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(params=["llama", "gemma3"])
def llm(request):
    return tiny_llm(request.param)


def prompt(length, seed=0):
    return torch.randn(length, WIDTH, generator=torch.Generator().manual_seed(seed))


def filled(llm, piece):
    cache = Cache()
    llm.extend([piece], [cache])
    return cache


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("window", [512, 7])
def test_a_pass_computes_what_transformers_does(family, window):
    piece = prompt(20)
    expected = tiny_model(family, window=window)(inputs_embeds=piece[None]).logits[0]
    llm = tiny_llm(family, window=window)
    hidden = llm.extend([piece], [Cache()])[0]
    assert_close(llm.logits(hidden), expected, **CLOSE)


def test_prefill_in_pieces_is_one_forward(llm):
    piece = prompt(LONG)
    whole = llm.extend([piece], [Cache()])[0]
    cache = Cache()
    cut = [llm.extend([p], [cache])[0] for p in piece.split([7, 1, 200, 310, 1, 81])]
    assert_close(torch.cat(cut), whole, **CLOSE)
    assert len(cache) == LONG


def test_what_transformers_generates_is_what_steps_choose(llm):
    piece = prompt(LONG)
    expected = llm.model.generate(
        inputs_embeds=piece[None], max_new_tokens=20, do_sample=False
    )[0].tolist()
    cache = Cache()
    logits = llm.prefill(piece, cache)
    tokens = []
    while len(tokens) < 20 and STOP not in tokens:
        tokens.append(int(logits.argmax()))
        logits = llm.step([tokens[-1]], [cache])[0]
    assert tokens == expected


def test_forked_prompts_are_separate_runs(llm):
    audio, questions = prompt(LONG - 30), [prompt(n, seed=n) for n in (9, 30, 17)]
    cache = filled(llm, audio)
    forks = [cache.fork() for _ in questions]
    forked = [llm.prefill(q, f) for q, f in zip(questions, forks, strict=True)]
    stepped = llm.step([5, 6, 7], forks)
    for i, question in enumerate(questions):
        alone = Cache()
        assert_close(
            forked[i], llm.prefill(torch.cat([audio, question]), alone), **CLOSE
        )
        assert_close(stepped[i], llm.step([5 + i], [alone])[0], **CLOSE)
    assert len(cache) == len(audio)
    assert_close(llm.step([9], [cache]), llm.step([9], [filled(llm, audio)]), **CLOSE)


def test_two_interleaved_sequences_are_each_alone(llm):
    pieces = [prompt(LONG, seed=1), prompt(90, seed=2)]
    caches = [Cache(), Cache()]
    mixed = [[], []]
    for cut in zip(*(p.split(len(p) // 10) for p in pieces), strict=True):
        for i, part in enumerate(cut):
            mixed[i].append(llm.extend([part], [caches[i]])[0])
    for piece, hidden in zip(pieces, mixed, strict=True):
        alone = llm.extend([piece], [Cache()])[0]
        assert_close(torch.cat(hidden), alone, **CLOSE)


def test_a_batch_of_any_lengths_is_each_alone(llm):
    lengths = [LONG, 3, 511, 64]
    caches = [filled(llm, prompt(n, seed=n)) for n in lengths]
    alone = [filled(llm, prompt(n, seed=n)) for n in lengths]
    for tokens in ([4, 5, 6, 7], [8, 9, 10, 11]):
        batched = llm.step(tokens, caches)
        steps = [llm.step([t], [c]) for t, c in zip(tokens, alone, strict=True)]
        assert_close(batched, torch.cat(steps), **CLOSE)


def test_prefill_and_decode_share_a_pass(llm):
    caches = [filled(llm, prompt(40, seed=1)), filled(llm, prompt(550, seed=2))]
    pieces = [prompt(30, seed=3), llm.embed([5])]
    twins = [cache.fork() for cache in caches]
    together = llm.extend(pieces, caches)
    for piece, cache, hidden in zip(pieces, twins, together, strict=True):
        assert_close(llm.extend([piece], [cache])[0], hidden, **CLOSE)


def test_tentative_tokens_leave_no_trace(llm):
    audio = prompt(LONG).split(60)
    tried, plain = Cache(), Cache()
    for part in audio:
        llm.extend([part], [plain])
        llm.extend([part], [tried])
        with tentative(tried):
            llm.prefill(prompt(20, seed=5), tried)
            llm.step([3], [tried])
        assert len(tried) == len(plain)
    assert torch.equal(llm.step([4], [tried]), llm.step([4], [plain]))


def test_an_answer_that_is_cancelled_leaves_no_trace(llm):
    cache = filled(llm, prompt(LONG))
    expected = llm.step([4], [cache.fork()])

    def answer_until_cancelled():
        with tentative(cache):
            llm.prefill(prompt(20, seed=5), cache)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        answer_until_cancelled()
    assert len(cache) == LONG
    assert torch.equal(llm.step([4], [cache]), expected)


def test_words_of_gemma_are_scaled_once_and_audio_is_not():
    llm = tiny_llm("gemma3")
    table = llm.model.get_input_embeddings().weight
    assert_close(llm.embed([5, 6]), table[[5, 6]] * WIDTH**0.5)
    by_ids = llm.model(input_ids=torch.tensor([[5, 6]])).logits[0]
    hidden = llm.extend([llm.embed([5, 6])], [Cache()])[0]
    assert_close(llm.logits(hidden), by_ids, **CLOSE)


def test_a_sequence_that_outgrows_the_model_is_refused_untouched(llm):
    cache, other = filled(llm, prompt(1020)), Cache()
    with pytest.raises(ContextFullError) as caught:
        llm.extend([prompt(1), prompt(5)], [other, cache])
    assert str(caught.value) == ("1025 positions of a language model; at most 1024 fit")
    assert (len(other), len(cache)) == (0, 1020)


def test_stop_tokens_come_from_the_model(llm):
    assert llm.stop == {STOP}


def test_a_model_with_another_attention_is_refused():
    model = tiny_model("gemma3")
    model.config.attn_logit_softcapping = 50.0
    with pytest.raises(WeightsError, match="caps its attention"):
        LanguageModel(model)
    model.config.layer_types = ["full_attention", "chunked_attention"]
    with pytest.raises(WeightsError, match="attends by chunked_attention"):
        LanguageModel(model)


def test_every_family_has_a_config():
    assert [config(f).hidden_size for f in FAMILIES] == [WIDTH] * len(FAMILIES)


@pytest.mark.parametrize("fast", ["bfloat16", "float32"])
def test_the_faster_type_is_taken(monkeypatch, fast):
    monkeypatch.setattr(llms, "_seconds", lambda dtype: 1.0 if dtype == fast else 2.0)
    assert llms.faster_dtype() == fast


def test_types_are_timed():
    assert llms._seconds("float32") > 0.0
