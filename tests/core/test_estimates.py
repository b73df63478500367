"""When a slot is likely to become free."""

import pytest

from headgate.core.estimates import remaining, wait_for_slot


@pytest.mark.parametrize(
    ("durations", "elapsed", "seconds"),
    [
        ([10, 20, 30], 0, 20),
        ([30, 10, 20], 5, 15),
        ([10, 20, 30], 15, 10),  # one that took 10 is no example of a run that has gone for 15
        ([10, 20, 30], 30, None),
        ([], 0, None),
    ],
)
def test_what_is_left_of_a_run_is_told_by_those_that_took_longer(
    durations: list[float], elapsed: float, seconds: float | None
) -> None:
    assert remaining(durations, elapsed) == seconds


@pytest.mark.parametrize(
    ("ends", "limit", "ahead", "seconds"),
    [
        ([7.0], 1, 0, 7.0),
        ([7.0, 3.0], 2, 0, 3.0),
        ([7.0, 3.0], 2, 1, 7.0),
        ([7.0, 3.0], 2, 2, 13.0),
        ([7.0, 3.0], 2, 4, 23.0),
        ([7.0], 2, 1, 7.0),  # a free slot that goes to the run ahead
        ([1.0, 2.0, 3.0], 1, 0, 3.0),  # a limit that was lowered under three runs
        ([None, 5.0], 2, 0, 5.0),
        ([None, 5.0], 2, 1, 15.0),
        ([None], 1, 0, None),
        ([1.0], 0, 0, None),
    ],
)
def test_a_slot_comes_when_those_who_have_it_and_those_ahead_have_ended(
    ends: list[float | None], limit: int, ahead: int, seconds: float | None
) -> None:
    assert wait_for_slot(ends, limit=limit, ahead=ahead, duration=10.0) == seconds


def test_runs_ahead_of_which_nothing_is_known_leave_it_open() -> None:
    assert wait_for_slot([1.0], limit=1, ahead=1, duration=None) is None
    assert wait_for_slot([1.0], limit=1, ahead=0, duration=None) == 1.0
