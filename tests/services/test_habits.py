"""What callers asked for of late."""

from datetime import UTC, datetime, timedelta

import pytest

from headgate.services import habits
from headgate.services.habits import OF_LATE, Habits

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_a_caller_is_known_by_what_it_asked_for_of_late() -> None:
    known = Habits()
    assert known.note("a", 1, NOW) == set()
    assert known.note("b", 2, NOW) == set()
    assert known.note("a", 3, NOW) == {1}
    assert known.note("a", 3, NOW + OF_LATE) == {1, 3}
    assert known.note("a", 3, NOW + OF_LATE + timedelta(seconds=1)) == {3}


def test_who_has_been_silent_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(habits, "MOST", 2)
    known = Habits()
    for caller in "aba":
        known.note(caller, 1, NOW)
    known.note("c", 1, NOW)
    assert known.note("a", 1, NOW) == {1}
    assert known.note("b", 1, NOW) == set()
