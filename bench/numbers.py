"""Percentiles, medians and ratios, and how numbers are written for a reader."""

from collections.abc import Sequence
from math import ceil


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that at least `percent` of them do not exceed (nearest rank); they must not be empty."""
    if not values:
        raise ValueError("There is no percentile of no values.")
    ordered = sorted(values)
    return ordered[max(ceil(len(ordered) * percent / 100), 1) - 1]


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle; they must not be empty."""
    if not values:
        raise ValueError("There is no median of no values.")
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def times_better(ours: float, theirs: float, *, more_is_better: bool) -> float | None:
    """How many times better ours is, below 1 when it is worse; None where a zero leaves nothing to compare by."""
    if ours == 0 or theirs == 0:
        return None
    return ours / theirs if more_is_better else theirs / ours


def written(value: float) -> str:
    """With three significant digits, and thousands set apart: `0.0123`, `4.56`, `78.9`, `1,234`."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:.{digits}f}".rstrip("0").rstrip(".")
