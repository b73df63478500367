"""Log lines over HTTP."""

from typing import Any
from uuid import uuid4

import pytest


def line(message: str, *, run: str | None = None, level: int = 20, second: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "name": "headgate.flow_runs",
        "level": level,
        "message": message,
        "timestamp": f"2026-03-02T09:00:{second:02}.500000Z",
        "flow_run_id": run,
        "task_run_id": None,
        **fields,
    }


async def messages(api: Any, **body: Any) -> list[str]:
    got = await api.post("/logs/filter", body)
    assert got.status == 200, got.json
    return [each["message"] for each in got.json]


async def test_lines_are_written_and_read(api: Any) -> None:
    run = (await api.run())["id"]
    task = str(uuid4())
    got = await api.post("/logs/", [line("hello bob", run=run, task_run_id=task)])
    assert (got.status, got.json) == (201, None)
    (log,) = (await api.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})).json
    assert log == {
        "id": log["id"],
        "created": log["created"],
        "updated": log["created"],
        "name": "headgate.flow_runs",
        "level": 20,
        "message": "hello bob",
        "timestamp": "2026-03-02T09:00:00.500000Z",
        "flow_run_id": run,
        "task_run_id": task,
    }


async def test_no_lines_are_fine(api: Any) -> None:
    assert (await api.post("/logs/", [])).status == 201


async def test_lines_may_belong_to_no_run_or_to_one_that_is_not_known(api: Any) -> None:
    unknown = str(uuid4())
    await api.post("/logs/", [line("a"), line("b", run=unknown)])
    found = {each["message"]: each["flow_run_id"] for each in (await api.post("/logs/filter")).json}
    assert found == {"a": None, "b": unknown}


async def test_lines_are_filtered(api: Any) -> None:
    one, two, task = (str(uuid4()) for _ in range(3))
    await api.post(
        "/logs/",
        [
            line("first Line", run=one, level=10, second=1),
            line("second line", run=one, level=30, second=2),
            line("third", run=two, level=40, second=3, task_run_id=task),
        ],
    )
    cases: list[tuple[dict[str, Any] | None, list[str]]] = [
        (None, ["first Line", "second line", "third"]),
        ({"flow_run_id": {"any_": [one]}}, ["first Line", "second line"]),
        ({"level": {"ge_": 30}}, ["second line", "third"]),
        ({"level": {"ge_": 30, "le_": 30}}, ["second line"]),
        ({"timestamp": {"before_": "2026-03-02T09:00:01.500000Z"}}, ["first Line"]),
        ({"timestamp": {"after_": "2026-03-02T09:00:03"}}, ["third"]),
        ({"task_run_id": {"any_": [task]}}, ["third"]),
        ({"task_run_id": {"is_null_": True}}, ["first Line", "second line"]),
        ({"text": {"query": "LINE"}}, ["first Line", "second line"]),
        ({"text": {"query": "first THIRD"}}, ["first Line", "third"]),
        ({"text": {"query": "line -first"}}, ["second line"]),
        ({"text": {"query": "!second"}}, ["first Line", "third"]),
        ({"text": {"query": "line +cond"}}, ["second line"]),
        ({"text": {"query": '"t line"'}}, ["first Line"]),
        ({"text": {"query": "headgate.flow -line"}}, ["third"]),
        ({"text": {"query": "  "}}, ["first Line", "second line", "third"]),
        (
            {
                "operator": "and_",
                "level": None,
                "timestamp": None,
                "flow_run_id": {"any_": [two]},
                "task_run_id": None,
                "text": None,
            },
            ["third"],
        ),
    ]
    for filters, found in cases:
        assert await messages(api, logs=filters) == found, filters


async def test_lines_are_read_page_by_page_in_the_order_of_their_time(api: Any) -> None:
    await api.post("/logs/", [line(str(second), second=second) for second in (3, 1, 2, 0)])
    assert await messages(api, sort="TIMESTAMP_ASC") == ["0", "1", "2", "3"]
    assert await messages(api, sort="TIMESTAMP_DESC", limit=2) == ["3", "2"]
    assert await messages(api, limit=2, offset=2) == ["2", "3"]
    assert await messages(api, limit=4, offset=4) == []


async def test_lines_of_one_moment_stay_in_the_order_in_which_they_were_written(api: Any) -> None:
    written = [str(n) for n in range(50)]
    await api.post("/logs/", [line(each) for each in written])
    assert await messages(api) == written


async def test_whatever_a_program_prints_can_be_kept(api: Any) -> None:
    texts = ["nul \0 byte", "back\\slash \\u0000", "\ufffd", "🙂 emoji", "\x1b[31mred", "", "x" * 100_000, "\\\0"]
    await api.post("/logs/", [line(text) for text in texts])
    assert await messages(api) == [text.replace("\0", "\ufffd") for text in texts]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ([{}], [0]),
        ([line("ok"), line("x", level="high")], [1, "level"]),
        ([line("x", level=2**31)], [0, "level"]),
        ([line("x", timestamp="noon")], [0, "timestamp"]),
        ([line("x", flow_run_id="1")], [0, "flow_run_id"]),
        ({}, []),
        ([line("x" * 1_000_001)], [0, "message"]),
    ],
)
async def test_a_line_that_cannot_be_is_named_and_none_is_written(api: Any, body: Any, loc: list[Any]) -> None:
    got = await api.post("/logs/", body)
    assert got.status == 422
    assert got.json["exception_detail"][0]["loc"][: len(loc) + 1] == ["body", *loc]
    assert await messages(api) == []
