"""Which polls may be held open: those of workers and agents, and never a list that a person asked for."""

from datetime import UTC, datetime, timedelta

import pytest

from headgate.core.patience import prefetch_of

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
NEW, OLD = "prefect/3.9.1 (API 0.8.4)", "prefect/2.20.27 (API 0.8.4)"


@pytest.mark.parametrize(
    ("agent", "worker", "ahead", "held"),
    [
        (NEW, "w1", 10, 10),
        (NEW, "w1", 600, 600),
        (NEW, "w1", -1, 0),
        (NEW, "w1", None, None),
        (NEW, None, 3600, None),
        (OLD, None, 10, 10),
        (OLD, None, 15, 15),
        (OLD, None, 60, 60),
        (OLD, None, 61, None),
        (OLD, None, 0, None),
        (OLD, None, None, None),
        ("headgate/1.0", None, 10, None),
        ("curl/8.0", "w1", 10, None),
        ("", None, 10, None),
    ],
)
def test_who_is_held(agent: str, worker: str | None, ahead: float | None, held: float | None) -> None:
    before = None if ahead is None else NOW + timedelta(seconds=ahead)
    found = prefetch_of(user_agent=agent, worker=worker, scheduled_before=before, now=NOW)
    assert found == (None if held is None else timedelta(seconds=held))
