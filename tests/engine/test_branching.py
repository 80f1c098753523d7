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
def test_each_branch_is_as_if_it_stood_alone(family, window):
    llm = tiny_llm(family, window=window)
    cache = filled(llm, 20)
    branches = [piece(n, n) for n in (3, 1, 9)]
    for found, branch in zip(llm.branch(cache, branches), branches, strict=True):
        alone = llm.extend([branch], [cache.fork()])[0]
        assert_close(found, alone, **CLOSE)


def test_a_branch_leaves_no_trace_in_what_was_before_it():
    llm = tiny_llm("gemma3")
    cache, plain = filled(llm, 20), filled(llm, 20)
    llm.branch(cache, [piece(3, 2)])
    assert len(cache) == 20
    assert cache._storage.used == 20
    assert_close(llm.step([5], [cache]), llm.step([5], [plain]), **CLOSE)


def test_what_follows_a_cache_that_went_back_is_not_seen():
    llm = tiny_llm("llama")
    cache = filled(llm, 20)
    expected = llm.branch(cache, [piece(3, 2)])
    llm.extend([piece(6, 3)], [cache])
    cache.crop(20)
    assert_close(llm.branch(cache, [piece(3, 2)]), expected, **CLOSE)


def test_branches_that_do_not_fit_are_refused():
    llm = tiny_llm("llama")
    cache = filled(llm, 1_000)
    llm.branch(cache, [piece(24, 2)])
    with pytest.raises(ContextFullError):
        llm.branch(cache, [piece(24, 2), piece(25, 2)])
