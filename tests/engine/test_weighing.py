"""What a yes weighs, beside one plain forward of the model over everything."""

import pytest
import torch
from torch.testing import assert_close

from engine import prompt as prompts
from engine.api import UtteranceOptions
from engine.cache import Cache
from engine.config import EncodingConfig, EngineConfig
from engine.errors import ContextFullError, UnsupportedError, WeightsError
from engine.listening import Head
from engine.llm import LanguageModel, load_llm
from engine.local import LocalEngine
from engine.skills import Skills
from engine.vocabulary import prune
from engine.weighing import Weigher
from tests.engine.tiny_head import attentive_head, tiny_bridge, tiny_tokenizer
from tests.engine.tiny_llm import tiny_model
from tests.engine.tiny_salmonn import write_salmonn

QUESTIONS = ("Do you hear a dog?", "Do you hear a door?", "Is it late?")
FAMILIES = ["llama", "gemma3"]


def tiny_llm(family):
    return LanguageModel(tiny_model(family), tiny_tokenizer())


def before(llm, length=40):
    """Return embeddings of an opening and of audio, as a bridge might give them."""
    opening = llm.embed(prompts.opening(llm.tokenizer))
    return torch.cat([opening, torch.randn(length, llm.width)])


def cached(llm, embeddings):
    cache = Cache()
    llm.extend([embeddings], [cache])
    return cache


def plain_chances(llm, embeddings, question, answers):
    """Return the chances of two answers after one forward of transformers' own."""
    ids = prompts.closing(llm.tokenizer, question)
    row = torch.cat([embeddings, llm.embed(ids)])[None]
    logits = llm.model(inputs_embeds=row).logits[0, -1]
    first = [llm.tokenizer.encode(a, add_special_tokens=False)[0] for a in answers]
    return logits.softmax(-1)[first]


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_are_those_of_one_plain_forward_each(family):
    llm = tiny_llm(family)
    audio = before(llm)
    odds = Weigher(llm).weigh(QUESTIONS, cached(llm, audio))
    assert len(set(odds)) == len(QUESTIONS)
    for question, found in zip(QUESTIONS, odds, strict=True):
        yes, no = plain_chances(llm, audio, question, ("Yes", "No"))
        assert_close(torch.tensor(found).sigmoid(), yes / (yes + no), atol=1e-4, rtol=0)


def test_what_questions_have_in_common_is_read_once():
    llm = tiny_llm("llama")
    cache = cached(llm, before(llm))
    rows = []
    run = llm.model.base_model.forward

    def counted(*args, inputs_embeds, **kwargs):
        rows.append(inputs_embeds.shape[1])
        return run(*args, inputs_embeds=inputs_embeds, **kwargs)

    llm.model.base_model.forward = counted
    weigher = Weigher(llm)
    weigher.weigh(QUESTIONS[:2], cache)
    lengths = [len(prompts.closing(llm.tokenizer, q)) for q in QUESTIONS[:2]]
    common = len("</Speech> Do you hear a do")
    assert rows == [sum(lengths) - common]
    rows.clear()
    weigher.weigh([f"Do you hear sound {n}?" for n in range(10, 26)], cache)
    assert len(rows) == 1
    alone = len(prompts.closing(llm.tokenizer, "Do you hear sound 10?"))
    assert rows[0] < 16 * alone / 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_question_asked_twice_weighs_the_same(family):
    llm = tiny_llm(family)
    cache = cached(llm, before(llm))
    weigher = Weigher(llm)
    one, two = weigher.weigh([QUESTIONS[0]] * 2, cache)
    assert one == pytest.approx(two, abs=1e-5)
    assert weigher.weigh(QUESTIONS[:1], cache) == pytest.approx([one], abs=1e-4)
    assert weigher.weigh((), cache) == []


def test_a_head_of_fewer_words_weighs_the_same():
    whole, pruned = tiny_llm("gemma3"), tiny_llm("gemma3")
    kept = {i for word in ("Yes", "No") for i in pruned.tokenizer.encode(word)}
    prune(pruned.model, torch.tensor(sorted(kept | pruned.stop)))
    audio = before(whole)
    expected = Weigher(whole).weigh(QUESTIONS, cached(whole, audio))
    found = Weigher(pruned).weigh(QUESTIONS, cached(pruned, audio))
    assert found == pytest.approx(expected, abs=1e-5)


def test_words_of_several_tokens_are_told_apart_where_they_part(tmp_path):
    files = write_salmonn(tmp_path)
    llm = load_llm(files.llm, "float32")
    yes, no = (llm.tokenizer.encode(w, add_special_tokens=False) for w in ("Yes", "No"))
    assert len(yes) > 1, "what this test is about"
    shared = next(n for n, (a, b) in enumerate(zip(yes, no, strict=False)) if a != b)
    audio = before(llm, 9)
    (odds,) = Weigher(llm).weigh(QUESTIONS[:1], cached(llm, audio))
    ids = [*prompts.closing(llm.tokenizer, QUESTIONS[0]), *yes[:shared]]
    logits = llm.prefill(torch.cat([audio, llm.embed(ids)]), Cache())
    assert odds == pytest.approx(
        float(logits[yes[shared]] - logits[no[shared]]), abs=1e-4
    )


def test_a_vocabulary_that_knows_no_yes_is_refused():
    llm = tiny_llm("llama")
    llm._tokenizer = type("Mute", (), {"encode": lambda *_, **__: [3]})()
    with pytest.raises(WeightsError, match="no token tells Yes from No"):
        Weigher(llm)


def test_a_question_longer_than_the_model_is_refused():
    llm = tiny_llm("llama")
    cache = cached(llm, before(llm))
    with pytest.raises(ContextFullError):
        Weigher(llm).weigh(["why " * 300, "why?"], cache)


def test_a_head_that_answers_no_questions_weighs_none(tiny_whisper, noise):
    llm = tiny_llm("llama")
    head = Head(tiny_bridge(has_audio=False), None, llm, Skills(tasks=("describe",)))
    assert head.weigher is None
    for found in (head, None):
        engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny", head=found)
        utterance = engine.open(UtteranceOptions(tasks=()))
        utterance.push(noise.numpy())
        with pytest.raises(UnsupportedError, match="no question 'Do you hear"):
            utterance.weigh(QUESTIONS)


@pytest.mark.parametrize("replies", ["streaming", "exact"])
def test_audio_is_encoded_once_for_all_that_is_weighed_and_asked(
    tiny_whisper, noise, replies
):
    head = attentive_head("gemma3", beats=None)
    config = EngineConfig(encoding=EncodingConfig(replies=replies))
    engine = LocalEngine(tiny_whisper, config, why="tiny", head=head)
    read = []
    extend = head.llm.extend
    head.llm.extend = lambda pieces, caches: read.append(1) or extend(pieces, caches)
    utterance = engine.open(UtteranceOptions(tasks=()))
    utterance.push(noise.numpy())
    first = utterance.weigh(QUESTIONS)
    assert utterance.weigh(QUESTIONS) == pytest.approx(first, abs=1e-5)
    # The official way encodes 30 s anew each time; live, the audio is read once.
    assert len(read) == {"streaming": 1, "exact": 2}[replies]


def test_what_was_fitted_makes_weights_of_log_odds():
    llm = tiny_llm("llama")
    cache = cached(llm, before(llm))
    plain = Weigher(llm).weigh(QUESTIONS, cache)
    fitted = Weigher(llm, (0.5, -3.0)).weigh(QUESTIONS, cache)
    assert fitted == pytest.approx([0.5 * odds - 3.0 for odds in plain], abs=1e-5)
    head = Head(
        tiny_bridge(has_audio=False),
        None,
        llm,
        Skills(questions=True, calibration=(0.5, -3.0)),
    )
    assert head.weigher is not None
    assert head.weigher.weigh(QUESTIONS, cache) == pytest.approx(fitted, abs=1e-5)
