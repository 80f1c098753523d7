import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.stability import LocalAgreement, common_prefix

AGE = 10


def test_what_hypotheses_agree_on_is_stable_once_it_is_old_enough():
    agreement = LocalAgreement(AGE)
    agreement.update([1, 2, 3], heard=0, num_sure=3)
    agreement.update([1, 2, 3], heard=9, num_sure=3)
    assert agreement.stable == ()
    agreement.update([1, 2, 4, 5], heard=10, num_sure=4)
    assert agreement.stable == (1, 2)
    agreement.update([1, 2, 4], heard=20, num_sure=3)
    assert agreement.stable == (1, 2, 4)


def test_one_hypothesis_that_disagrees_in_between_is_enough_to_wait():
    agreement = LocalAgreement(AGE)
    agreement.update([1, 2], heard=0, num_sure=2)
    agreement.update([1, 3], heard=5, num_sure=2)
    agreement.update([1, 2], heard=10, num_sure=2)
    assert agreement.stable == (1,)


def test_what_is_not_sure_is_not_stable_whoever_agrees():
    agreement = LocalAgreement(AGE)
    agreement.update([1, 2, 3], heard=0, num_sure=1)
    agreement.update([1, 2, 3], heard=10, num_sure=1)
    assert agreement.stable == (1,)
    agreement.update([1, 2, 3], heard=20, num_sure=0)
    assert agreement.stable == (1,)


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 2), max_size=8),
            st.integers(0, 9),
            st.integers(0, 20),
        )
    )
)
def test_the_stable_prefix_only_grows(hypotheses):
    agreement, heard = LocalAgreement(AGE), 0
    for ending, num_sure, more in hypotheses:
        before, heard = agreement.stable, heard + more
        agreement.update([*before, *ending], heard=heard, num_sure=num_sure)
        assert agreement.stable[: len(before)] == before
        assert agreement.newest[: len(agreement.stable)] == agreement.stable


def test_a_hypothesis_that_drops_stable_tokens_is_refused():
    agreement = LocalAgreement(AGE)
    for heard in (0, 10):
        agreement.update([1, 2], heard=heard, num_sure=2)
    with pytest.raises(AssertionError, match="not forced"):
        agreement.update([1, 3], heard=20, num_sure=2)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_the_common_prefix_is_common_and_the_longest(a, b):
    count = common_prefix(a, b)
    assert a[:count] == b[:count]
    assert count in (len(a), len(b)) or a[count] != b[count]
