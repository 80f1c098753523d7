import pytest
import torch
from torch.testing import assert_close

from engine.cache import Cache
from engine.errors import ContextFullError
from tests.engine.tiny_llm import WIDTH, tiny_llm

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
FAMILIES = ["llama", "gemma3", "qwen2", "qwen3"]


def piece(length, seed):
    return torch.randn(length, WIDTH, generator=torch.Generator().manual_seed(seed))


def filled(llm, length):
    cache = Cache()
    llm.extend([piece(length, 0)], [cache])
    return cache


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("window", [512, 7])
@pytest.mark.parametrize("stem", [0, 5])
def test_each_branch_is_as_if_it_stood_alone(family, window, stem):
    llm = tiny_llm(family, window=window)
    cache = filled(llm, 20)
    common, branches = piece(stem, 1), [piece(n, n) for n in (3, 1, 9)]
    hidden = llm.branch(cache, common, branches)
    assert hidden.shape == (3, WIDTH)
    for row, branch in zip(hidden, branches, strict=True):
        alone = llm.extend([torch.cat([common, branch])], [cache.fork()])[0]
        assert_close(row, alone[-1], **CLOSE)


def test_a_branch_leaves_no_trace_in_what_was_before_it():
    llm = tiny_llm("gemma3")
    cache, plain = filled(llm, 20), filled(llm, 20)
    llm.branch(cache, piece(4, 1), [piece(3, 2)])
    assert len(cache) == 20
    assert cache._storage.used == 20
    assert_close(llm.step([5], [cache]), llm.step([5], [plain]), **CLOSE)


def test_what_follows_a_cache_that_went_back_is_not_seen():
    llm = tiny_llm("llama")
    cache = filled(llm, 20)
    expected = llm.branch(cache, piece(4, 1), [piece(3, 2)])
    llm.extend([piece(6, 3)], [cache])
    cache.crop(20)
    assert_close(llm.branch(cache, piece(4, 1), [piece(3, 2)]), expected, **CLOSE)


def test_branches_that_do_not_fit_are_refused():
    llm = tiny_llm("llama")
    cache = filled(llm, 1_000)
    llm.branch(cache, piece(20, 1), [piece(4, 2)])
    with pytest.raises(ContextFullError):
        llm.branch(cache, piece(20, 1), [piece(4, 2), piece(5, 2)])
