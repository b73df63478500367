"""`headgate global-concurrency-limit` and `headgate concurrency-limit`, against the real app."""

import pytest
from command_line import Run, drawn

from headgate.client.calls import tag_limits
from headgate.client.client import Client
from headgate.schema.concurrency_limits import TaskRunSlots

pytestmark = pytest.mark.usefixtures("api")

LIMIT = "global-concurrency-limit"


def test_a_limit_is_created_shown_changed_and_deleted(run: Run) -> None:
    assert run(LIMIT, "create", "db", "--limit", "5").out == "Created concurrency limit 'db' of 5 slots\n"
    made = run(LIMIT, "create", "rate", "-l", "9", "--slot-decay-per-second", "1.5", "--disable", "-o", "json").json
    assert (made["limit"], made["slot_decay_per_second"], made["active"]) == (9, 1.5, False)
    assert run(LIMIT, "create", "db", "--limit", "5").code == 1
    assert run(LIMIT, "enable", "rate").out == "Enabled concurrency limit 'rate'\n"
    assert run(LIMIT, "disable", "db").code == 0
    assert run(LIMIT, "update", "db", "--limit", "6", "--active-slots", "2", "--enable").code == 0
    shown = run(LIMIT, "inspect", "db", "-o", "json").json
    assert (shown["limit"], shown["active_slots"], shown["active"]) == (6, 2, True)
    assert "name='db'" in run(LIMIT, "inspect", "db").out
    rows = [line for line in drawn(run(LIMIT, "ls").out) if "yes" in line]
    assert [row.split("│")[1].strip() for row in rows] == ["db", "rate"]
    assert [each["name"] for each in run("gcl", "ls", "-o", "json").json] == ["db", "rate"]
    assert "Nobody can be asked here" in run(LIMIT, "delete", "db").err
    assert run(LIMIT, "delete", "db", "--yes").out == "Deleted concurrency limit 'db'\n"


def test_what_cannot_be_is_said(run: Run) -> None:
    for command in ("inspect", "enable", "disable", "delete"):
        refused = run(LIMIT, command, "none")
        assert (refused.code, refused.err.partition(";")[0]) == (1, "Error: There is no concurrency limit 'none'")
    assert run(LIMIT, "update", "none").code == 2
    assert run(LIMIT, "update", "none", "--enable", "--disable").code == 2


def test_the_limit_of_a_tag(run: Run, api: Client) -> None:
    assert run("concurrency-limit", "create", "db", "1").code == 0
    assert run("concurrency-limit", "create", "db", "2", "-o", "json").json["concurrency_limit"] == 2
    holder = "0199f9a0-0000-7000-8000-000000000001"
    api.send(tag_limits.take(TaskRunSlots(names=["db"], task_run_id=holder)))  # type: ignore[arg-type]
    assert run("concurrency-limit", "inspect", "db", "-o", "json").json["active_slots"] == [holder]
    assert any("db" in line for line in drawn(run("concurrency-limit", "ls").out))
    assert run("concurrency-limit", "reset", "db").out == "Freed all slots of the tag 'db'\n"
    assert run("concurrency-limit", "ls", "-o", "json").json[0]["active_slots"] == []
    assert run("concurrency-limit", "delete", "db").code == 2
    assert run("concurrency-limit", "delete", "db", "--yes").code == 0
    assert run("concurrency-limit", "inspect", "db").code == 1
