"""What a name weighs, beside one plain forward of the model over everything."""

from math import isfinite

import pytest
import torch

from engine import prompt as prompts
from engine import weighing
from engine.api import UtteranceOptions
from engine.cache import Cache
from engine.config import EncodingConfig, EngineConfig
from engine.errors import ContextFullError, UnsupportedError
from engine.listening import Head
from engine.llm import LanguageModel, load_llm
from engine.local import LocalEngine
from engine.skills import Skills
from engine.vocabulary import prune
from engine.weighing import QUESTION, SAID, Weigher
from tests.engine.tiny_head import attentive_head, tiny_bridge, tiny_tokenizer
from tests.engine.tiny_llm import tiny_model
from tests.engine.tiny_salmonn import write_salmonn

NAMES = ("dog", "door", "a cat at night")
FAMILIES = ["llama", "gemma3"]


@pytest.fixture(autouse=True)
def any_beginning(monkeypatch):
    """Random models begin with anything; some tests say where the rest is not read."""
    monkeypatch.setattr(weighing, "LEAST", -1e9)
    monkeypatch.setattr(weighing, "UNHEARD", -1e9)


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


def plain_score(llm, embeddings, name):
    """Return how much likelier a name is behind audio, after plain forwards."""
    opening = llm.embed(prompts.opening(llm.tokenizer))
    return plain_chance(llm, embeddings, name) - plain_chance(llm, opening, name)


def plain_chance(llm, embeddings, name):
    asked = prompts.closing(llm.tokenizer, QUESTION)
    begun = llm.tokenizer.encode(SAID, add_special_tokens=False)
    said = llm.tokenizer.encode(f"{SAID} {name}.", add_special_tokens=False)
    row = torch.cat([embeddings, llm.embed([*asked, *said])])[None]
    steps = llm.model(inputs_embeds=row).logits[0].log_softmax(-1)
    first = len(said) - len(begun)
    found = [steps[-1 - n, said[-n]] for n in range(1, first + 1)]
    return float(sum(found))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_score_is_how_much_likelier_the_name_is_than_without_audio(family):
    llm = tiny_llm(family)
    audio = before(llm)
    found = Weigher(llm).weigh(NAMES, cached(llm, audio))
    assert found == pytest.approx(
        [plain_score(llm, audio, name) for name in NAMES], abs=1e-3
    )
    assert len(set(found)) == len(NAMES)


def test_audio_that_says_nothing_says_nothing_of_a_name():
    llm = tiny_llm("llama")
    nothing = cached(llm, llm.embed(prompts.opening(llm.tokenizer)))
    assert Weigher(llm).weigh(NAMES, nothing) == pytest.approx([0, 0, 0], abs=1e-4)


def test_the_question_is_read_once_and_names_in_one_pass():
    llm = tiny_llm("llama")
    cache = cached(llm, before(llm))
    weigher = Weigher(llm)
    weigher.weigh(NAMES, cache)
    rows = count_rows(llm)
    weigher.weigh(NAMES, cache)
    asked = [*prompts.closing(llm.tokenizer, QUESTION), *SAID]
    assert rows == [len(asked), sum(len(f" {name}") for name in NAMES)]


def test_how_likely_a_name_is_without_audio_is_told_once():
    llm = tiny_llm("llama")
    cache = cached(llm, before(llm))
    weigher = Weigher(llm)
    rows = count_rows(llm)
    weigher.weigh(NAMES[:2], cache)
    first = len(rows)
    weigher.weigh(NAMES[:2], cache)
    assert len(rows) - first == 2
    assert first == 2 + 3  # the opening, the question and the names, once


def test_so_many_names_are_remembered_and_no_more(monkeypatch):
    monkeypatch.setattr(weighing, "MOST_KEPT", 2)
    llm = tiny_llm("llama")
    cache = cached(llm, before(llm))
    weigher = Weigher(llm)
    expected = [weigher.weigh([name], cache)[0] for name in NAMES]
    assert len(weigher._unheard) <= 2
    assert weigher.weigh(NAMES, cache) == pytest.approx(expected, abs=1e-4)


def test_a_name_that_would_not_be_begun_is_not_read(monkeypatch):
    llm = tiny_llm("llama")
    cache = cached(llm, before(llm))
    weigher = Weigher(llm)
    plain = weigher.weigh(NAMES, cache)
    monkeypatch.setattr(weighing, "LEAST", 0.0)
    monkeypatch.setattr(weighing, "UNHEARD", -12.0)
    rows = count_rows(llm)
    assert weigher.weigh(NAMES, cache) == [-12.0] * 3
    assert len(rows) == 1
    monkeypatch.setattr(weighing, "LEAST", -1e9)
    monkeypatch.setattr(weighing, "UNHEARD", max(plain))
    assert weigher.weigh(NAMES, cache) == pytest.approx([max(plain)] * 3)


def count_rows(llm):
    """Return a list that grows by how many positions each pass has."""
    rows = []
    run = llm.model.base_model.forward

    def counted(*args, inputs_embeds, **kwargs):
        rows.append(inputs_embeds.shape[1])
        return run(*args, inputs_embeds=inputs_embeds, **kwargs)

    llm.model.base_model.forward = counted
    return rows


@pytest.mark.parametrize("family", FAMILIES)
def test_a_name_weighs_the_same_in_any_company(family):
    llm = tiny_llm(family)
    cache = cached(llm, before(llm))
    weigher = Weigher(llm)
    one, other, two = weigher.weigh([NAMES[0], NAMES[2], NAMES[0]], cache)
    assert one == pytest.approx(two, abs=1e-5)
    assert weigher.weigh(NAMES[:1], cache) == pytest.approx([one], abs=1e-4)
    assert weigher.weigh(NAMES[2:], cache) == pytest.approx([other], abs=1e-4)
    assert weigher.weigh((), cache) == []


def test_words_of_several_tokens_are_read_to_their_end(tmp_path):
    files = write_salmonn(tmp_path)
    llm = load_llm(files.llm, "float32")
    tokens = Weigher(llm)._tokens("dog")
    assert len(tokens) > 1, "what this test is about"
    audio = before(llm, 9)
    (score,) = Weigher(llm).weigh(["dog"], cached(llm, audio))
    assert score == pytest.approx(plain_score(llm, audio, "dog"), abs=1e-3)


def test_a_name_of_words_that_are_never_written_is_never_heard():
    llm = tiny_llm("gemma3")
    letters = llm.tokenizer.encode("I hear dog.", add_special_tokens=False)
    prune(llm.model, torch.tensor(sorted({*letters, *llm.stop})))
    cache = cached(llm, before(llm))
    known, unknown, half = Weigher(llm).weigh(["dog", "tin", "dot"], cache)
    assert isfinite(known)
    assert known != weighing.UNHEARD
    assert unknown == half == weighing.UNHEARD


def test_a_name_longer_than_the_model_is_refused():
    llm = tiny_llm("llama")
    cache = cached(llm, before(llm))
    with pytest.raises(ContextFullError):
        Weigher(llm).weigh(["why " * 300, "rain"], cache)


def test_a_head_that_answers_no_questions_weighs_none(tiny_whisper, noise):
    llm = tiny_llm("llama")
    head = Head(tiny_bridge(has_audio=False), None, llm, Skills(tasks=("describe",)))
    assert head.weigher is None
    for found in (head, None):
        engine = LocalEngine(tiny_whisper, EngineConfig(), why="tiny", head=found)
        utterance = engine.open(UtteranceOptions(tasks=()))
        utterance.push(noise.numpy())
        with pytest.raises(UnsupportedError, match="no sound 'dog'"):
            utterance.weigh(NAMES)


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
    first = utterance.weigh(NAMES)
    assert utterance.weigh(NAMES) == pytest.approx(first, abs=1e-5)
    # The official way encodes 30 s anew each time; live, the audio is read once.
    # Beside it, the question each time, and once more without audio.
    assert len(read) == {"streaming": 1, "exact": 2}[replies] + 2 + 2


def test_what_was_fitted_makes_weights_of_log_odds():
    llm = tiny_llm("llama")
    cache = cached(llm, before(llm))
    plain = Weigher(llm).weigh(NAMES, cache)
    fitted = Weigher(llm, (0.5, -3.0)).weigh(NAMES, cache)
    assert fitted == pytest.approx([0.5 * odds - 3.0 for odds in plain], abs=1e-5)
    head = Head(
        tiny_bridge(has_audio=False),
        None,
        llm,
        Skills(questions=True, calibration=(0.5, -3.0)),
    )
    assert head.weigher is not None
    assert head.weigher.weigh(NAMES, cache) == pytest.approx(fitted, abs=1e-5)
