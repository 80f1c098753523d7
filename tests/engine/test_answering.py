from itertools import pairwise

import pytest
import torch

from engine.answering import Answer, Sampling, Search, advance, draw, search
from engine.api import Finish
from engine.cache import Cache
from engine.errors import ContextFullError
from engine.llm import LanguageModel
from tests.engine.tiny_llm import STOP, WIDTH, tiny_llm, tiny_model

WORDS = {2: "<0xE4>", 3: "<0xB8>", 4: "<0xAD>"}


def say(tokens):
    """Say tokens as a vocabulary of bytes does: one that is cut spoils its run."""
    text, run = "", []
    for token in [*tokens, None]:
        if token in WORDS:
            run.append(int(WORDS[token][1:-1], 16))
            continue
        try:
            text += bytes(run).decode()
        except UnicodeDecodeError:
            text += "\N{REPLACEMENT CHARACTER}" * len(run)
        run = []
        if token is not None:
            text += f" {token}"
    return text


def prompt(length=6, seed=0):
    return torch.randn(length, WIDTH, generator=torch.Generator().manual_seed(seed))


def answer(piece=None, cache=None, stop=frozenset({STOP}), **sampling):
    return Answer(
        prompt() if piece is None else piece,
        cache or Cache(),
        text=say,
        stop=stop,
        sampling=Sampling(**sampling),
    )


def scripted(tokens, **sampling):
    """Return an answer that was made to choose these tokens, and what it showed."""
    ours = answer(**sampling)
    shown = []
    for token in tokens:
        ours.take(token)
        shown.append(ours.text)
    return ours, shown


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def llm(request):
    return tiny_llm(request.param)


def test_a_stop_token_ends_the_answer_and_is_not_part_of_it():
    ours, shown = scripted([7, 8, STOP])
    assert (ours.tokens, ours.finish, shown[-1]) == ([7, 8], Finish.STOP, "7 8")


def test_the_limit_ends_the_answer():
    ours, _ = scripted([7, 8, 9], max_tokens=3)
    assert (ours.tokens, ours.finish) == ([7, 8, 9], Finish.LENGTH)


def test_a_loop_ends_the_answer_at_its_second_saying():
    ours, shown = scripted([9, *[5, 6, 7, 8] * 3])
    assert (ours.tokens, ours.finish) == ([9, *[5, 6, 7, 8] * 2], Finish.LOOP)
    assert shown[-1] == "9 5 6 7 8 5 6 7 8"


def test_text_only_grows_also_when_a_loop_is_cut_or_bytes_are_missing():
    for tokens in (
        [7] * 12,
        [7, 7, 7, 8, STOP],
        [9, *[5, 6, 7, 8] * 3],
        [6, 2, 3, 4, 2, 3, 4, 8, STOP],
        [6, 2, 3, 4, 2, 3, STOP],
    ):
        _, shown = scripted(tokens)
        assert all(b.startswith(a) for a, b in pairwise(shown))


def test_a_character_is_shown_when_all_of_its_bytes_are_there():
    _, shown = scripted([6, 2, 3, 4, 2, 3, 4, 8])
    assert shown == ["6", "6", "6", "6中", "6中", "6中", "6中中", "6中中 8"]


def test_a_third_saying_is_shown_once_it_proves_to_be_none():
    _, shown = scripted([7, 7, 7, 8])
    assert shown == ["7", "7 7", "7 7", "7 7 7 8"]


def test_what_was_held_back_is_shown_at_the_end():
    _, shown = scripted([7, 7, 7, STOP])
    assert shown[-1] == "7 7 7"


def test_answers_in_company_are_those_of_each_alone(llm):
    pieces = [prompt(n, seed=n) for n in (4, 33, 12)]
    alone = []
    for piece in pieces:
        one = answer(piece, max_tokens=9)
        while one.finish is None:
            advance(llm, [one])
        alone.append(one.tokens)
    together = [answer(piece, max_tokens=9) for piece in pieces]
    late = [together[0]]
    while open_ := [a for a in late if a.finish is None]:
        advance(llm, open_)
        late = together  # the others join when the first has begun
    assert [a.tokens for a in together] == alone
    assert all(len(a.tokens) == 9 or a.finish is Finish.STOP for a in together)


def test_an_answer_leaves_the_cache_that_it_was_forked_from(llm):
    cache = Cache()
    llm.extend([prompt(20)], [cache])
    expected = llm.step([5], [cache.fork()])
    ours = answer(prompt(5, seed=1), cache.fork())
    advance(llm, [ours])
    advance(llm, [ours])
    ours.close()
    assert torch.equal(llm.step([5], [cache]), expected)


def test_an_answer_too_long_for_the_model_changes_none(llm):
    fits, long = answer(prompt(5)), answer(prompt(1025))
    with pytest.raises(ContextFullError):
        advance(llm, [fits, long])
    assert (fits.tokens, len(fits.cache)) == ([], 0)


def test_temperature_zero_takes_the_likeliest(llm):
    ours = answer(max_tokens=1)
    advance(llm, [ours])
    assert ours.tokens == [int(llm.prefill(prompt(), Cache()).argmax())]


def test_a_draw_follows_the_probabilities():
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    generator = torch.Generator().manual_seed(0)
    how = Sampling(temperature=1.0, top_p=1.0)
    drawn = [draw(logits, how, generator) for _ in range(2000)]
    # Three deviations are 0.034: a false alarm in 400, but the seed is fixed.
    assert [drawn.count(i) / 2000 for i in range(3)] == pytest.approx(
        [0.5, 0.3, 0.2], abs=0.034
    )
    cold = Sampling(temperature=0.05, top_p=1.0)
    assert {draw(logits, cold, generator) for _ in range(100)} == {0}


def test_the_unlikely_tail_is_never_drawn():
    logits = torch.tensor([0.1, 0.5, 0.3, 0.1]).log()
    how = Sampling(temperature=1.0, top_p=0.7)
    assert {draw(logits, how) for _ in range(200)} == {1, 2}
    greedy = Sampling(temperature=1.0, top_p=0.0)
    assert {draw(logits, greedy) for _ in range(20)} == {1}


def test_a_seed_repeats_a_draw(llm):
    def drawn():
        ours = answer(temperature=1.0, seed=3, max_tokens=9)
        while ours.finish is None:
            advance(llm, [ours])
        return ours.tokens

    assert drawn() == drawn()


def test_a_search_of_one_beam_is_the_greedy_answer(llm):
    ours = answer(max_tokens=9)  # too few for a loop, which a search does not cut
    while ours.finish is None:
        advance(llm, [ours])
    assert search(llm, prompt(), Search(beams=1, max_tokens=9)) == ours.tokens


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_a_search_ignores_the_settings_beside_the_weights(family):
    model = tiny_model(family)
    liked = {"do_sample": True, "temperature": 2.0, "top_k": 3, "min_new_tokens": 30}
    model.generation_config.update(**liked)
    found = search(LanguageModel(model), prompt(), Search(max_tokens=40))
    assert found == search(tiny_llm(family), prompt(), Search(max_tokens=40))
