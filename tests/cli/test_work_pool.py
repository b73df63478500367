"""`headgate work-pool` and `headgate work-queue`, against the real app."""

import io
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command_line import Run, drawn, lines
from scripted_api import Script

from headgate.client.calls import claims, work_pools, work_queues, workers
from headgate.client.client import Client
from headgate.schema.claims import ClaimRequest
from headgate.schema.work_queues import WorkQueueCreate, WorkQueueUpdate
from headgate.schema.workers import WorkerHeartbeat


@pytest.fixture
def pool(api: Client, run: Run) -> dict[str, Any]:
    """A pool `local` of type `process`."""
    return run("work-pool", "create", "local", "--type", "process", "-o", "json").json


def test_create_makes_a_pool_with_its_types_template(pool: dict[str, Any]) -> None:
    assert (pool["name"], pool["type"], pool["is_paused"], pool["concurrency_limit"]) == ("local", "process", False, None)
    assert set(pool["base_job_template"]) == {"job_configuration", "variables"}


def test_create_says_what_comes_next(api: Client, run: Run) -> None:
    outcome = run("work-pool", "create", "local", "--type", "process", "--concurrency-limit", "3", "--paused")
    pool = run("work-pool", "inspect", "local", "-o", "json").json
    assert (pool["concurrency_limit"], pool["is_paused"]) == (3, True)
    assert lines(outcome.out) == [
        "Created work pool with properties:",
        "    name - 'local'",
        f"    id - {pool['id']}",
        "    concurrency limit - 3",
        "",
        "Start a worker to pick up runs from the work pool:",
        "    headgate worker start --pool 'local'",
        "",
        "Inspect the work pool:",
        "    headgate work-pool inspect 'local'",
    ]


def test_a_pool_without_a_type_is_for_agents_and_says_how_to_start_one(api: Client, run: Run) -> None:
    outcome = run("work-pool", "create", "test-pool")
    pool = run("work-pool", "inspect", "test-pool", "-o", "json").json
    assert pool["type"] == "prefect-agent"
    assert lines(outcome.out) == [
        "Created work pool with properties:",
        "    name - 'test-pool'",
        f"    id - {pool['id']}",
        "    concurrency limit - None",
        "",
        "Start an agent to pick up flows from the work pool:",
        "    headgate agent start -p 'test-pool'",
        "",
        "Inspect the work pool:",
        "    headgate work-pool inspect 'test-pool'",
    ]


def test_create_takes_a_template_from_a_file(api: Client, run: Run) -> None:
    Path("template.json").write_text('{"job_configuration": {"a": "{{ a }}"}, "variables": {"properties": {"a": {}}}}')
    created = run("work-pool", "create", "own", "--type", "mine", "--base-job-template", "template.json", "-o", "json")
    assert created.json["base_job_template"]["job_configuration"] == {"a": "{{ a }}"}


def test_create_may_make_it_the_default_pool(api: Client, run: Run) -> None:
    run("work-pool", "create", "local", "--type", "process", "--set-as-default")
    assert "HEADGATE_DEFAULT_WORK_POOL_NAME='local' (from profile)" in run("config", "view").out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["local"], 1, "Work pool 'local' exists already"),
        (["new", "--type", "procss"], 2, "There is no worker type 'procss' here; installed: process"),
        (["new", "--base-job-template", "none.json"], 2, "cannot read none.json"),
        (["new", "--base-job-template", "list.json"], 2, "list.json is not a JSON object"),
        (["new", "--base-job-template", "bad.json"], 1, "job_configuration"),
        (["a/b", "--type", "process"], 1, "name"),
        (["new", "--type", "process", "--concurrency-limit", "-1"], 1, "concurrency_limit"),
        (["Prefect-x", "--type", "process"], 1, "reserved"),
    ],
)
def test_a_pool_that_cannot_be_is_one_line(
    pool: dict[str, Any], run: Run, arguments: list[str], code: int, said: str
) -> None:
    Path("list.json").write_text("[]")
    Path("bad.json").write_text('{"variables": {}}')
    outcome = run("work-pool", "create", *arguments)
    assert outcome.code == code
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert [each["name"] for each in run("work-pool", "ls", "-o", "json").json] == ["local"]


def test_ls_at_80_columns(api: Client, run: Run) -> None:
    run("work-pool", "create", "barbeque", "--type", "process", "--concurrency-limit", "5")
    run("work-pool", "create", "k8s", "--type", "process", "--paused")
    ids = {pool["name"]: pool["id"] for pool in run("work-pool", "ls", "-o", "json").json}
    assert drawn(run("work-pool", "ls").out) == [
        "Work pools",
        "┏━━━━━━━━━━┳━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━┓",
        "┃          ┃         ┃                                      ┃ Concurrency ┃",
        "┃ Name     ┃ Type    ┃ ID                                   ┃       Limit ┃",
        "┡━━━━━━━━━━╇━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━┩",
        f"│ barbeque │ process │ {ids['barbeque']} │           5 │",
        f"│ k8s **   │ process │ {ids['k8s']} │        None │",
        "└──────────┴─────────┴──────────────────────────────────────┴─────────────┘",
        "(**) denotes a paused pool",
    ]


def test_pause_and_resume(pool: dict[str, Any], run: Run) -> None:
    assert run("work-pool", "pause", "local").out == "Paused work pool 'local'\n"
    assert run("work-pool", "inspect", "local", "-o", "json").json["is_paused"] is True
    assert run("work-pool", "resume", "local").out == "Resumed work pool 'local'\n"
    assert run("work-pool", "inspect", "local", "-o", "json").json["is_paused"] is False


def test_ls_verbose_tells_what_a_pool_is_for_and_how_it_is(api: Client, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("work-pool", "create", "barbeque", "--type", "process", "--description", "for lunch")
    run("work-pool", "create", "k8s")
    monkeypatch.setenv("COLUMNS", "90")
    assert drawn(run("work-pool", "ls", "-v").out) == [
        "Work pools",
        "┏━━━━━━━━━━┳━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━━━━━━┓",
        "┃          ┃               ┃ Concurrency ┃           ┃  Slots ┃        ┃             ┃",
        "┃ Name     ┃ Type          ┃       Limit ┃ Status    ┃ in use ┃ Paused ┃ Description ┃",
        "┡━━━━━━━━━━╇━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━━━━━━┩",
        "│ barbeque │ process       │        None │ NOT_READY │      0 │        │ for lunch   │",
        "│ k8s      │ prefect-agent │        None │           │      0 │        │             │",
        "└──────────┴───────────────┴─────────────┴───────────┴────────┴────────┴─────────────┘",
        "(**) denotes a paused pool",
    ]


def test_inspect_has_the_documents_shape_and_every_field(pool: dict[str, Any], run: Run) -> None:
    shown = run("work-pool", "inspect", "local").out
    names = [
        line.partition("=")[0].strip() for line in shown.splitlines() if line.startswith("    ") and line[4] not in " }"
    ]
    assert lines(shown)[:2] == ["Workpool(", f"    id='{pool['id']}',"]
    assert names == [*pool, "filter"]
    assert names[:4] == ["id", "created", "updated", "name"]
    assert lines(shown)[-2:] == ["    filter=None,", ")"]


def test_inspect_as_json_is_the_apis_record(api: Client, pool: dict[str, Any], run: Run) -> None:
    record = msgspec.to_builtins(api.send(work_pools.get("local")))
    assert run("work-pool", "inspect", "local", "-o", "json").json == record
    assert "filter" not in record


def test_delete_asks_and_deletes(pool: dict[str, Any], run: Run) -> None:
    assert run("work-pool", "delete", "local").code == 2
    assert run("work-pool", "delete", "local", "--yes").out == "Deleted work pool 'local'\n"
    assert run("work-pool", "ls", "-o", "json").json == []


def test_delete_says_what_goes_with_it_and_what_stays(api: Client, pool: dict[str, Any], run: Run) -> None:
    run("deploy", "--command", "true", "-n", "job", "-p", "local", "-q", "urgent")
    for _ in range(2):
        run("deployment", "run", "job/job")
    api.send(claims.claim("local", ClaimRequest(worker="night", worker_type="process", room=1)))
    api.send(workers.heartbeat("local", WorkerHeartbeat(name="night")))
    left = "Left without a pool until they are given another: 1 deployment (job/job), 1 waiting run."
    goes_on = "Going on as before: 1 run in progress."
    outcome = run("work-pool", "delete", "local")
    assert outcome.code == 2
    gone = "Gone with it: 2 queues (default, urgent), 1 worker (night), 1 of them online."
    assert f"{gone} {left} {goes_on} Delete work pool 'local'?" in outcome.err
    assert lines(run("work-pool", "delete", "local", "--yes").out) == ["Deleted work pool 'local'", left, goes_on]
    assert run("deployment", "inspect", "job/job", "-o", "json").json["work_pool_name"] is None


def test_of_many_deployments_that_are_left_some_are_named(pool: dict[str, Any], run: Run) -> None:
    for n in range(7):
        run("deploy", "--command", "true", "-n", f"job{n}", "-p", "local")
    left = run("work-pool", "delete", "local", "--yes").out.splitlines()[1]
    assert left.endswith(": 7 deployments (job0/job0, job1/job1, job2/job2, job3/job3, job4/job4 and 2 more).")


def test_a_question_is_asked_on_lines_of_its_own(pool: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "n")
    assert run("work-pool", "delete", "local").code == 1
    assert asked == ["Gone with it: 1 queue (default).\nDelete work pool 'local'? [y/N] "]


@pytest.mark.parametrize("command", ["inspect", "pause", "resume", "delete"])
def test_a_pool_that_is_not_there_is_named(api: Client, run: Run, command: str) -> None:
    outcome = run("work-pool", command, "nowhere")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == "Error: There is no work pool 'nowhere'; `headgate work-pool ls` lists all.\n"


def test_listings_are_read_page_by_page(run: Run, script: Script) -> None:
    records = [
        {
            "id": f"00000000-0000-0000-0000-{n:012}",
            "created": "2026-03-01T12:00:00Z",
            "updated": "2026-03-01T12:00:00Z",
            "name": f"pool-{n}",
            "default_queue_id": "00000000-0000-0000-0000-000000000000",
        }
        for n in range(250)
    ]
    script.on("POST", "/work_pools/filter", records[:200], records[200:])
    assert [pool["name"] for pool in run("work-pool", "ls", "-o", "json").json] == [record["name"] for record in records]
    assert [(body["limit"], body["offset"]) for _, _, body in script.requests] == [(200, 0), (200, 200)]


@pytest.fixture
def queues(api: Client, pool: dict[str, Any], run: Run) -> None:
    """Queues `default` (2) and `urgent` (1, limited, paused) in `local`, and a second pool."""
    urgent = api.send(work_queues.create("local", WorkQueueCreate(name="urgent", priority=1, concurrency_limit=2)))
    api.send(work_queues.update(urgent.id, WorkQueueUpdate(is_paused=True)))
    run("work-pool", "create", "other", "--type", "process")


def test_queues_stand_in_the_order_in_which_they_are_served(queues: None, run: Run) -> None:
    assert drawn(run("work-queue", "ls", "--pool", "local").out) == [
        "Work queues",
        "┏━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━┳━━━━━━━┳━━━━━━━━┓",
        "┃ Pool  ┃ Queue     ┃ Priority ┃ Limit ┃ Polled ┃",
        "┡━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━╇━━━━━━━╇━━━━━━━━┩",
        "│ local │ urgent ** │        1 │     2 │ never  │",
        "│ local │ default   │        2 │  None │ never  │",
        "└───────┴───────────┴──────────┴───────┴────────┘",
        "(**) denotes a paused queue",
    ]


def test_queues_of_all_pools(queues: None, run: Run) -> None:
    found = run("work-queue", "ls", "-o", "json").json
    assert sorted((queue["work_pool_name"], queue["name"]) for queue in found) == [
        ("local", "default"),
        ("local", "urgent"),
        ("other", "default"),
    ]


def test_a_queue_is_found_without_its_pool_when_only_one_has_it(queues: None, run: Run) -> None:
    assert run("work-queue", "inspect", "urgent", "-o", "json").json["priority"] == 1
    assert run("work-queue", "inspect", "default", "-p", "other", "-o", "json").json["work_pool_name"] == "other"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["default"], 2, "Several pools have a queue 'default': local, other. Say which with --pool."),
        (["nowhere"], 1, "There is no work queue 'nowhere'"),
        (["urgent", "-p", "other"], 1, "Work pool 'other' has no queue 'urgent'"),
    ],
)
def test_a_queue_that_is_not_found_is_one_line(queues: None, run: Run, arguments: list[str], code: int, said: str) -> None:
    outcome = run("work-queue", "inspect", *arguments)
    assert outcome.code == code
    assert said in outcome.err
