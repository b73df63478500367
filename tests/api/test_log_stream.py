"""Log lines over a websocket as they come."""

from typing import Any

import msgspec
import pytest

RUN, OTHER = "01a200d8-0000-7000-8000-00000000000a", "01a200d8-0000-7000-8000-00000000000b"
NONE = {"operator": "and_", "level": None, "timestamp": None, "flow_run_id": None, "task_run_id": None, "text": None}


async def write(api: Any, *messages: str, run: str | None = RUN, level: int = 20) -> None:
    lines = [
        {"name": "n", "level": level, "message": each, "timestamp": api.clock().isoformat(), "flow_run_id": run}
        for each in messages
    ]
    assert (await api.post("/logs/", lines)).status == 201


async def following(socket: Any, wanted: Any) -> None:
    """Send the filter, and wait until lines are followed."""
    await socket.send({"type": "filter", "filter": NONE | wanted})
    await socket.taken()


async def test_lines_that_match_are_sent_as_they_come(api: Any) -> None:
    await write(api, "before")
    async with api.socket("/logs/out") as socket:
        await following(socket, {"flow_run_id": {"any_": [RUN]}, "level": {"ge_": 20}})
        await write(api, "hello", "again")
        await write(api, "of another", run=OTHER)
        await write(api, "too low", level=10)
        await write(api, "the end")
        told = [await socket.next() for _ in range(3)]
    assert [each["log"]["message"] for each in told] == ["hello", "again", "the end"]
    assert [each["type"] for each in told] == ["log"] * 3
    stored = (await api.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [RUN]}}})).json
    assert told[0]["log"] == next(line for line in stored if line["message"] == "hello")


async def test_without_runs_every_line_that_matches_is_sent(api: Any) -> None:
    async with api.socket("/logs/out") as socket:
        await following(socket, {"text": {"query": "x"}})
        await write(api, "x1", "no")
        await write(api, "x2", run=OTHER)
        await write(api, "x3", run=None)
        assert [(await socket.next())["log"]["message"] for _ in range(3)] == ["x1", "x2", "x3"]


async def test_lines_of_the_last_minute_are_sent_to_who_asks_for_them(api: Any) -> None:
    """Whoever reconnects misses nothing; clients pass over what they have seen."""
    await write(api, "old")
    api.clock.advance(seconds=90)
    await write(api, "recent")
    api.clock.advance(seconds=5)
    async with api.socket("/logs/out") as socket:
        times = {"after_": "2026-03-02T08:00:00Z", "before_": "2027-03-02T08:00:00Z"}
        await socket.send({"type": "filter", "filter": NONE | {"flow_run_id": {"any_": [RUN]}, "timestamp": times}})
        assert (await socket.next())["log"]["message"] == "recent"


@pytest.mark.parametrize("path", ["/logs/out", "/events/out"])
@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("nonsense", "Expected 'filter' message"),
        ({"type": "what?", "filter": {}}, "Expected 'filter' message"),
        ({"type": "filter"}, "Invalid filter: 1 validation error"),
        ({"type": "filter", "filter": "jankystank"}, "Invalid filter: 1 validation error"),
    ],
)
async def test_what_is_no_filter_ends_it_in_the_words_that_existing_clients_know(
    api: Any, path: str, frame: Any, said: str
) -> None:
    async with api.socket(path) as socket:
        await socket.send(frame if isinstance(frame, str) else msgspec.json.encode(frame).decode())
        assert await socket.next() is None
        code, reason = socket.closed
        assert code == 1002
        assert reason.partition(": Ob")[0].partition(": Exp")[0] == said
