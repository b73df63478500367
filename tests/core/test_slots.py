"""Slots: never more than there are, never fewer back than were taken, and never long to wait."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.core.slots import (
    LONGEST_WAIT,
    Meter,
    fits,
    occupied,
    refused,
    settled,
    wait_seconds,
    with_denied,
    with_given_back,
    with_taken,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def meter(limit: int = 10, active: float = 0.0, denied: float = 0.0, decay: float = 0.0, occupancy: float = 2.0) -> Meter:
    return Meter(limit=limit, active=active, denied=denied, decay=decay, occupancy=occupancy, at=NOW)


@given(st.integers(1, 20), st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=60))
def test_slots_that_do_not_decay_are_counted_exactly(limit: int, moves: list[tuple[bool, int]]) -> None:
    it, taken = meter(limit), 0
    for number, (takes, slots) in enumerate(moves):
        it = settled(it, NOW + timedelta(seconds=number * 0.3))
        if takes and fits(it, slots):
            it, taken = with_taken(it, slots), taken + slots
        elif not takes and slots <= taken:
            it, taken = with_given_back(it, slots, 1.5), taken - slots
        assert occupied(it) == taken <= limit


@given(st.integers(1, 20), st.floats(0.01, 50), st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_a_rate_is_kept_however_often_one_looks(limit: int, decay: float, pauses: list[float]) -> None:
    """All that passes within any time is at most the limit and what decayed meanwhile; and looking costs nothing."""
    it, now, passed = meter(limit, decay=decay), NOW, 0
    for pause in pauses:
        now += timedelta(seconds=pause)
        it = settled(it, now)
        while fits(it, 1):
            it, passed = with_taken(it, 1), passed + 1
    seconds = Fraction((now - NOW).total_seconds())
    assert passed <= limit + seconds * Fraction(decay) + Fraction(1, 1000)
    assert passed >= limit - 1 + int(seconds * Fraction(decay) * Fraction(999, 1000)) or passed >= limit


def test_a_part_of_a_slot_counts_as_one_and_is_not_forgotten() -> None:
    it = settled(meter(active=10.0, decay=1.0), NOW + timedelta(seconds=0.5))
    assert (occupied(it), fits(it, 1)) == (10, False)
    it = settled(it, NOW + timedelta(seconds=1.0))
    assert (occupied(it), fits(it, 1)) == (9, True)


def test_a_clock_that_goes_back_changes_nothing() -> None:
    it = meter(active=3.0, decay=1.0)
    assert settled(it, NOW - timedelta(hours=1)) == it


@given(st.floats(0.2, 1e6), st.integers(1, 10), st.integers(1, 10))
def test_the_average_moves_towards_what_was_seen(seconds: float, slots: int, limit: int) -> None:
    before = meter(limit, active=10.0)
    after = with_given_back(before, slots, seconds)
    seen = max(seconds / slots, 0.1)
    low, high = sorted((before.occupancy, seen))
    assert low - 1e-9 <= after.occupancy <= high + 1e-9


@pytest.mark.parametrize(
    ("it", "slots", "seconds"),
    [
        (meter(active=10.0), 1, 0.2),
        (meter(active=10.0, denied=10.0), 1, 2.2),
        (meter(1, active=1.0, occupancy=3600.0), 1, LONGEST_WAIT),
        (meter(active=10.0, decay=1.0), 1, 1.0),
        (meter(active=10.0, denied=10.0, decay=1.0), 1, 11.0),
        (meter(active=9.5, decay=0.5), 1, 1.0),
        (meter(0), 1, 2.0),
    ],
)
def test_the_wait_is_for_the_slots_that_are_waited_for_already_and_ones_own(it: Meter, slots: int, seconds: float) -> None:
    assert wait_seconds([it], slots) == pytest.approx(seconds)


def test_the_longest_of_several_waits_counts() -> None:
    assert wait_seconds([meter(active=10.0), meter(active=10.0, decay=0.1)], 1) == pytest.approx(10.0)
    assert wait_seconds([], 1) == 0.0


def test_refusals_are_forgotten_as_slots_come_free() -> None:
    it = with_denied(meter(denied=0.0, occupancy=2.0), 3)
    assert refused(it) == 3
    assert refused(settled(it, NOW + timedelta(seconds=2))) == 2
    assert refused(settled(it, NOW + timedelta(seconds=60))) == 0
