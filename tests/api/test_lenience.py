"""Bodies of clients that write numbers and times otherwise than the API does."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import Struct, ValidationError, json

from headgate.api import lenience


class Span(Struct, forbid_unknown_fields=True):
    after: datetime | None = None
    limit: int | None = None
    ratio: float = 0.0
    force: bool = False
    name: str | None = None
    data: Any = None


NEW_YEAR = datetime(2021, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2021-01-01", "2021-01-01T00:00", "2021-01-01T01:00+01:00", "2021-01-01 00:00:00", 1609459200, "1609459200"]
)
def test_a_time_may_be_a_date_or_a_number(text: Any) -> None:
    [span] = lenience.read(json.encode([{"after": text}]), list[Span])
    found = span.after
    assert found is not None
    assert (found if found.tzinfo else found.replace(tzinfo=UTC)) == NEW_YEAR


def test_numbers_and_switches_may_be_texts_and_texts_stay_texts() -> None:
    given = {"limit": "5", "ratio": "1.5", "force": "true", "name": "null", "data": "7"}
    assert lenience.read(json.encode(given), Span) == Span(limit=5, ratio=1.5, force=True, name="null", data="7")


@pytest.mark.parametrize(
    "given", [{"after": "soon"}, {"after": "2021-13-01"}, {"limit": "x"}, {"limit": 2.5}, {"name": 3}, {"nmae": "x"}, []]
)
def test_what_cannot_be_meant_is_refused(given: Any) -> None:
    with pytest.raises(ValidationError):
        lenience.read(json.encode(given), Span)


async def test_a_filter_may_name_a_day(api: Any) -> None:
    run = await api.run(state={"type": "RUNNING"})
    for day, found in (("2026-03-02", [run["id"]]), ("2026-03-03", [])):
        got = await api.post("/flow_runs/filter", {"flow_runs": {"start_time": {"after_": day}}, "limit": "5"})
        assert [each["id"] for each in got.json] == found
    got = await api.post("/flow_runs/filter", {"flow_runs": {"start_time": {"after_": "2026-03-40"}}})
    assert (got.status, got.json["exception_detail"][0]["loc"][-1]) == (422, "after_")
