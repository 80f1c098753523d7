import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.stability import LocalAgreement, common_prefix


def test_what_two_hypotheses_agree_on_is_stable():
    agreement = LocalAgreement()
    agreement.update([1, 2, 3], num_sure=3)
    assert agreement.stable == ()
    agreement.update([1, 2, 4, 5], num_sure=4)
    assert agreement.stable == (1, 2)
    agreement.update([1, 2, 4], num_sure=3)
    assert agreement.stable == (1, 2, 4)


def test_what_is_not_sure_is_not_stable_whoever_agrees():
    agreement = LocalAgreement()
    agreement.update([1, 2, 3], num_sure=1)
    agreement.update([1, 2, 3], num_sure=1)
    assert agreement.stable == (1,)
    agreement.update([1, 2, 3], num_sure=0)
    assert agreement.stable == (1,)


@given(st.lists(st.tuples(st.lists(st.integers(0, 2), max_size=8), st.integers(0, 9))))
def test_the_stable_prefix_only_grows(hypotheses):
    agreement = LocalAgreement()
    for ending, num_sure in hypotheses:
        before = agreement.stable
        agreement.update([*before, *ending], num_sure=num_sure)
        assert agreement.stable[: len(before)] == before
        assert agreement.newest[: len(agreement.stable)] == agreement.stable


def test_a_hypothesis_that_drops_stable_tokens_is_refused():
    agreement = LocalAgreement()
    agreement.update([1, 2], num_sure=2)
    agreement.update([1, 2], num_sure=2)
    with pytest.raises(AssertionError, match="not forced"):
        agreement.update([1, 3], num_sure=2)


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_the_common_prefix_is_common_and_the_longest(a, b):
    count = common_prefix(a, b)
    assert a[:count] == b[:count]
    assert count in (len(a), len(b)) or a[count] != b[count]
