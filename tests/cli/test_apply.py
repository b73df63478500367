"""`headgate export` and `headgate apply`, against the real app: what is written reads back, only differences are made."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import Run, lines

from headgate.client.calls import deployments, variables, work_pools, work_queues
from headgate.client.client import Client

FILE = """
variables:
  - {name: region, value: eu, tags: [a]}
  - {name: sizes, value: {small: 1}}
work_pools:
  - name: local
    type: process
    description: For tests
    concurrency_limit: 4
    fair_share: true
    work_queues:
      - {name: urgent, priority: 1, concurrency_limit: 2}
      - {name: default, priority: 2}
deployments:
  - name: nightly
    entrypoint: flows.py:hello
    parameters: {name: moon}
    schedules:
      - {cron: "0 3 * * *", timezone: Europe/Vienna, slug: night}
      - {interval: 1h, active: false}
    concurrency_limit: {limit: 2, collision_strategy: CANCEL_NEW}
    work_pool: {name: local, work_queue_name: urgent, job_variables: {stream_output: false}}
  - name: disk
    command: df -h {{ path }}
    parameters: {path: /}
    work_pool: {name: local}
"""


@pytest.fixture
def file(api: Client, flows_file: Path) -> Path:
    """A file with something of each kind, beside its code."""
    path = Path("headgate.yaml")
    path.write_text(FILE)
    return path


def _plan(run: Run, *arguments: str) -> list[Any]:
    changes = run("apply", "--dry-run", "-o", "json", *arguments).json["changes"]
    return [(each["action"], each["kind"], each["name"], [f["field"] for f in each["fields"]]) for each in changes]


def test_a_dry_run_shows_the_plan_and_writes_nothing(file: Path, run: Run, api: Client) -> None:
    outcome = run("apply", "--dry-run")
    assert (outcome.code, outcome.err) == (0, "")
    assert lines(outcome.out) == [
        "  + variable 'region'",
        "  + variable 'sizes'",
        "  + work pool 'local'",
        "  + work queue 'local/urgent'",
        "  + work queue 'local/default'",
        "  + deployment 'hello/nightly'",
        "  + deployment 'disk/disk'",
        "Plan: 7 to create, 0 to change, 0 records as wanted already.",
    ]
    assert api.send(work_pools.query()) == []


def test_apply_makes_what_the_file_says_and_a_second_time_nothing(file: Path, run: Run, api: Client) -> None:
    outcome = run("apply", "--yes")
    assert (outcome.code, outcome.err) == (0, "")
    assert "Created deployment 'hello/nightly'" in outcome.out
    pool = api.send(work_pools.get("local"))
    assert (pool.description, pool.concurrency_limit, pool.fair_share) == ("For tests", 4, True)
    assert set(pool.base_job_template) == {"job_configuration", "variables"}
    assert [(q.name, q.priority, q.concurrency_limit) for q in api.send(work_queues.query("local"))] == [
        ("urgent", 1, 2),
        ("default", 2, None),
    ]
    assert api.send(variables.get_by_name("sizes")).value == {"small": 1}
    nightly = api.send(deployments.get_by_name("hello", "nightly"))
    assert (nightly.work_queue_name, nightly.path) == ("urgent", str(Path.cwd()))
    assert nightly.parameter_openapi_schema is not None
    again = run("apply")  # nothing to agree to
    assert (again.code, again.err) == (0, "")
    assert lines(again.out) == ["Plan: 0 to create, 0 to change, 7 records as wanted already."]


def test_without_agreement_nothing_is_written(file: Path, run: Run, api: Client) -> None:
    outcome = run("apply")
    assert outcome.code == 2
    assert "pass --yes" in outcome.err
    assert api.send(variables.query()) == []


def test_only_what_differs_is_changed(file: Path, run: Run, api: Client) -> None:
    run("apply", "--yes")
    before = api.send(deployments.get_by_name("hello", "nightly"))
    content = yaml.safe_load(FILE)
    content["variables"][0]["value"] = "us"
    content["work_pools"][0]["concurrency_limit"] = 0
    content["deployments"][0]["schedules"][0]["cron"] = "0 4 * * *"
    content["deployments"][0]["schedules"][0]["max_scheduled_runs"] = 2
    content["deployments"][1]["tags"] = ["x"]
    file.write_text(yaml.safe_dump(content))
    assert [each for each in _plan(run) if each[0] != "keep"] == [
        ("update", "variable", "region", ["value"]),
        ("update", "work pool", "local", ["concurrency_limit"]),
        ("update", "deployment", "hello/nightly", ["schedules"]),
        ("update", "deployment", "disk/disk", ["tags"]),
    ]
    assert run("apply", "--yes").code == 0
    after = api.send(deployments.get_by_name("hello", "nightly"))
    assert api.send(work_pools.get("local")).concurrency_limit == 0
    kept = {each.slug: each for each in after.schedules}
    assert kept["night"].id == next(each.id for each in before.schedules if each.slug == "night")
    assert (kept["night"].schedule.cron, kept["night"].max_scheduled_runs) == ("0 4 * * *", 2)
    assert {each[0] for each in _plan(run)} == {"keep"}


@pytest.mark.parametrize(
    ("queues", "order"),
    [
        ("[{name: c, priority: 1}, {name: urgent, priority: 2}]", ["c", "urgent", "default"]),
        ("[{name: default, priority: 1}, {name: urgent, priority: 2}]", ["default", "urgent"]),
        ("[{name: urgent, priority: 1}, {name: c, priority: 2}, {name: d}]", ["urgent", "c", "default", "d"]),
    ],
)
def test_queues_end_in_their_order(file: Path, run: Run, api: Client, queues: str, order: list[str]) -> None:
    run("apply", "--yes")
    file.write_text(f"work_pools: [{{name: local, type: process, work_queues: {queues}}}]")
    assert run("apply", "--yes").code == 0
    assert [queue.name for queue in api.send(work_queues.query("local"))] == order
    assert {each[0] for each in _plan(run)} == {"keep"}


def test_an_export_applies_to_an_empty_server_as_it_is(file: Path, run: Run, api: Client, tmp_path: Path) -> None:
    run("apply", "--yes")
    assert run("export", "--file", "all.yaml").out == "Wrote all.yaml: 2 variables, 1 work pool, 2 deployments\n"
    exported = run("export", "-o", "json").json
    assert {each[0] for each in _plan(run, "--file", "all.yaml")} == {"keep"}
    Path("flows.py").unlink()  # an export carries the schema: the code need not be here
    for name in ("hello/nightly", "disk/disk"):
        run("deployment", "delete", name, "--yes")
    run("work-pool", "delete", "local", "--yes")
    for name in ("region", "sizes"):
        run("variable", "unset", name, "--yes")
    assert {each[0] for each in _plan(run, "--file", "all.yaml")} == {"create"}
    outcome = run("apply", "--file", "all.yaml", "--yes")
    assert (outcome.code, outcome.err) == (0, "")
    assert run("export", "-o", "json").json == exported


def test_an_export_overwrites_nothing_unasked(file: Path, run: Run) -> None:
    outcome = run("export")
    assert outcome.code == 1
    assert outcome.err.startswith("Error: headgate.yaml exists already; --overwrite replaces it")
    assert file.read_text() == FILE
    assert run("export", "--overwrite").code == 0
    assert run("export", "--file", "-").out == file.read_text()


def test_one_that_fails_does_not_keep_back_the_others(file: Path, run: Run, api: Client) -> None:
    run("apply", "--yes")
    content = yaml.safe_load(FILE)
    content["work_pools"][0]["base_job_template"] = {"job_configuration": {"x": "{{ nowhere }}"}, "variables": {}}
    content["variables"][0]["value"] = "us"
    content["deployments"] = []
    file.write_text(yaml.safe_dump(content))
    outcome = run("apply", "--yes")
    assert outcome.code == 1
    assert outcome.err.startswith("Error: work pool 'local':")
    assert api.send(variables.get_by_name("region")).value == "us"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("variables: {a: 1}", "variables: expected a list"),
        ("variables: [1]", "variables[0]: expected keys and values"),
        ("variables: [{name: A B, value: 1}]", "variables[0].name"),
        ("work_pools: [{name: a}]", "work_pools[0]: Object missing required field `type`"),
        ("work_pools: [{name: a, type: process, limit: 1}]", "unknown key 'limit'"),
        ("work_pools: [{name: a, type: process, work_queues: [{nam: q}]}]", "work_queues[0]: unknown key 'nam'"),
        ("work_pools: [{name: a, type: nothing}]\nvariables: []", "nothing"),
        ("deployments: [{name: a, command: ls, work_pool: {name: away}}]", "There is no work pool 'away'"),
        (
            "work_pools: [{name: p, type: process}]\n"
            "deployments: [{name: a, command: ls, work_pool: {name: p}, concurrency_limit: {shared: away}}]",
            "There is no concurrency limit 'away'",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_said_before_anything_is_written(api: Client, run: Run, text: str, message: str) -> None:
    Path("headgate.yaml").write_text(text)
    outcome = run("apply", "--yes")
    assert outcome.code in (1, 2)
    assert message in outcome.err
    assert api.send(work_pools.query()) == []


def test_a_pool_of_another_type_is_a_conflict(file: Path, run: Run, api: Client) -> None:
    run("work-pool", "create", "local", "--type", "prefect-agent")
    outcome = run("apply", "--yes")
    assert outcome.code == 1
    assert "a pool keeps its type" in outcome.err
    assert api.send(variables.query()) == []


SHARED = """
concurrency_limits:
  - {name: database, limit: 3}
work_pools:
  - {name: local, type: process}
deployments:
  - name: first
    command: ls
    concurrency_limit: {shared: database, collision_strategy: CANCEL_NEW}
    work_pool: {name: local}
  - name: second
    command: ls
    concurrency_limit: {shared: database}
    work_pool: {name: local}
"""


def test_a_limit_and_deployments_that_share_it_stand_in_one_file(api: Client, run: Run) -> None:
    """It is made before them, and an export has it by its name."""
    file = Path("headgate.yaml")
    file.write_text(SHARED)
    assert run("apply", "--yes").code == 0
    shared = {each.name: each.global_concurrency_limit for each in api.send(deployments.query())}
    assert [limit and limit.name for _, limit in sorted(shared.items())] == ["database", "database"]
    assert {each[0] for each in _plan(run)} == {"keep"}
    run("export", "--overwrite")
    entries = yaml.safe_load(file.read_text())["deployments"]
    assert [each["concurrency_limit"] for each in entries] == [
        {"shared": "database", "collision_strategy": "CANCEL_NEW"},
        {"shared": "database"},
    ]
    assert {each[0] for each in _plan(run)} == {"keep"}
    file.write_text(SHARED.replace("concurrency_limit: {shared: database}", "concurrency_limit: 1"))
    assert [each for each in _plan(run) if each[0] != "keep"] == [
        ("update", "deployment", "second/second", ["concurrency_limit"])
    ]
    assert run("apply", "--yes").code == 0
    file.write_text(SHARED)
    assert [each for each in _plan(run) if each[0] != "keep"] == [
        ("update", "deployment", "second/second", ["global_concurrency_limit_id"])
    ]
