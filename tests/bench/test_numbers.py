"""Percentiles, medians, ratios and how numbers are written."""

import pytest
from bench.numbers import median, percentile, times_better, written
from hypothesis import given
from hypothesis import strategies as st

VALUES = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1)


def test_a_percentile_is_the_value_that_so_many_do_not_exceed() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([7.0], 99) == 7.0


@given(VALUES, st.integers(min_value=1, max_value=100))
def test_a_percentile_is_one_of_the_values_and_covers_its_share(values: list[float], percent: int) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= len(values) * percent


@given(VALUES)
def test_half_of_the_values_lie_on_each_side_of_the_median(values: list[float]) -> None:
    middle = median(values)
    assert sum(value <= middle for value in values) * 2 >= len(values)
    assert sum(value >= middle for value in values) * 2 >= len(values)


@pytest.mark.parametrize("function", [median, lambda values: percentile(values, 50)])
def test_nothing_comes_of_no_values(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match="no values"):
        function([])


def test_a_ratio_says_how_many_times_better_ours_is() -> None:
    assert times_better(400.0, 100.0, more_is_better=True) == 4
    assert times_better(400.0, 100.0, more_is_better=False) == 0.25
    assert times_better(0.0, 100.0, more_is_better=True) is None
    assert times_better(5.0, 0.0, more_is_better=False) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (0.5, "0.5"),
        (4.561, "4.56"),
        (78.94, "78.9"),
        (100, "100"),
        (1234.5, "1,234"),
        (1e6, "1,000,000"),
        (20.0, "20"),
    ],
)
def test_numbers_are_written_with_three_digits(value: float, text: str) -> None:
    assert written(value) == text
