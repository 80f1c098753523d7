import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.benchmarks.statistics import Quantiles, quantiles, slope

MODERATE = st.floats(-1e3, 1e3)


def test_half_of_the_values_are_at_most_the_median():
    assert quantiles([4.0, 1.0, 2.0, 3.0, 0.0], of="final") == Quantiles(
        count=5, p50=2.0, p90=3.6, p95=3.8
    )


def test_nothing_has_no_quantiles():
    with pytest.raises(ValueError, match="there was no final to measure"):
        quantiles([], of="final")


def test_quantiles_are_shown_as_three_numbers():
    assert str(quantiles([1.0], of="final")) == "1.00 / 1.00 / 1.00"


@given(
    st.lists(MODERATE.map(round), min_size=2, unique=True),
    MODERATE,
    MODERATE,
)
def test_the_slope_of_points_on_a_line_is_the_lines(xs, rise, offset):
    found = slope([(x, offset + rise * x) for x in xs])
    assert found == pytest.approx(rise, rel=1e-6, abs=1e-6)


def test_points_above_each_other_have_no_slope():
    assert slope([(1.0, 2.0), (1.0, 3.0)]) is None
    assert slope([]) is None
