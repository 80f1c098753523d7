import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.cache import SPARE, Cache, tentative

LAYERS, HEADS, DEPTH = 2, 2, 4


def write(cache, values):
    """Append a position for each value, which all of its numbers repeat."""
    cache.claim(len(values))
    new = torch.tensor(values, dtype=torch.float32)[None, :, None]
    new = new.expand(HEADS, -1, DEPTH)
    for layer in range(LAYERS):
        keys, kept = cache.append(layer, new + layer, -new)
    cache.advance()
    assert keys.shape == kept.shape == (HEADS, len(cache), DEPTH)


def read(cache):
    """Return the values that a cache holds."""
    fork = cache.fork()
    fork.claim(1)
    zeros = torch.zeros(HEADS, 1, DEPTH)
    held = []
    for layer in range(LAYERS):
        keys, values = fork.append(layer, zeros, zeros)
        assert torch.equal(keys[:, :-1] - layer, -values[:, :-1])
        held.append(values[0, :-1, 0].neg().tolist())
    assert held[0] == held[1]
    return held[0]


def test_a_new_cache_is_empty():
    assert (len(Cache()), Cache().size_bytes) == (0, 0)


def test_a_cache_keeps_what_it_was_given():
    cache = Cache()
    write(cache, [1, 2])
    write(cache, [3])
    assert (len(cache), read(cache)) == (3, [1, 2, 3])


def test_what_does_not_fit_moves_to_a_larger_storage():
    cache = Cache()
    expected = []
    for value in range(3 * SPARE):
        write(cache, [value])
        expected.append(value)
    assert read(cache) == expected


def test_a_fork_costs_no_memory_until_it_goes_on():
    cache = Cache()
    write(cache, [1, 2, 3])
    fork = cache.fork()
    assert fork._storage is cache._storage
    write(cache, [4])
    assert fork._storage is cache._storage
    write(fork, [5])
    assert fork._storage is not cache._storage
    assert (read(cache), read(fork)) == ([1, 2, 3, 4], [1, 2, 3, 5])


def test_a_tentative_block_that_is_left_lets_the_cache_go_on_in_place():
    cache = Cache()
    write(cache, [1, 2])
    storage = cache._storage
    with tentative(cache):
        write(cache, [3, 4])
        assert len(cache) == 4
    write(cache, [5])
    assert cache._storage is storage
    assert read(cache) == [1, 2, 5]


def test_a_tentative_block_forgets_also_when_it_fails():
    cache = Cache()
    write(cache, [1])

    def fail():
        with tentative(cache):
            write(cache, [2])
            raise ValueError("cut")

    with pytest.raises(ValueError, match="cut"):
        fail()
    assert read(cache) == [1]


def test_a_fork_of_tentative_positions_outlives_them():
    cache = Cache()
    write(cache, [1])
    with tentative(cache):
        write(cache, [2])
        fork = cache.fork()
    write(cache, [3])
    write(fork, [4])
    assert (read(cache), read(fork)) == ([1, 3], [1, 2, 4])


def test_a_pass_that_fails_midway_leaves_the_cache_as_it_was():
    cache = Cache()
    write(cache, [1, 2])
    cache.claim(1)
    cache.append(0, torch.ones(HEADS, 1, DEPTH), torch.ones(HEADS, 1, DEPTH))
    assert len(cache) == 2
    write(cache, [3])
    assert read(cache) == [1, 2, 3]


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 9), st.integers(1, 9)),
            st.tuples(st.just("fork"), st.integers(0, 9), st.just(0)),
            st.tuples(st.just("crop"), st.integers(0, 9), st.integers(0, 9)),
        ),
        max_size=30,
    )
)
def test_no_cache_sees_what_is_done_to_another(steps):
    caches, models = [Cache()], [[]]
    for number, (what, at, count) in enumerate(steps):
        cache, model = caches[at % len(caches)], models[at % len(caches)]
        if what == "write":
            new = [number * 10 + i for i in range(count)]
            write(cache, new)
            model += new
        elif what == "fork":
            caches.append(cache.fork())
            models.append(list(model))
        else:
            del model[count:]
            cache.crop(min(count, len(cache)))
    assert [read(cache) if len(cache) else [] for cache in caches] == models
