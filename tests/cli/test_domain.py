"""The examples of the documents that describe the domain, with what the command line shows for them."""

import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command_line import NOW, Run, drawn, lines
from scripted_api import Script

from headgate.cli.dispatch import build
from headgate.client.client import Client
from headgate.clock import FrozenClock

IDS = [f"00000000-0000-0000-0000-00000000000{n}" for n in range(3)]
DEPLOYMENT_ID = "156edead-fe6a-4783-a618-210000000000"


def test_a_pool_needs_a_name(api: Client, run: Run) -> None:
    outcome = run("work-pool", "create")
    assert outcome.code == 2
    assert "NAME requires an argument" in outcome.err


@pytest.mark.parametrize("type", ["prefect-agent", "process"])
def test_the_commands_that_create_prints_are_ones_that_work(api: Client, run: Run, type: str) -> None:
    shown = lines(run("work-pool", "create", "test-pool", "--type", type).out)
    start, inspect = [shlex.split(line)[1:] for line in shown if line.startswith("    headgate ")]
    build().parse_args(start, exit_on_error=False, print_error=False)
    assert "    name='test-pool',\n" in run(*inspect).out


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_of_pools(api: Client, run: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """All of its columns, whatever the terminal; with its lines where there is room for them."""
    names = ("barbeque", "k8s-pool", "test-pool")
    ids = [run("work-pool", "create", name, "-o", "json").json["id"] for name in names]
    run("work-pool", "pause", "k8s-pool")
    monkeypatch.setenv("COLUMNS", str(width))
    shown = drawn(run("work-pool", "ls").out)
    assert (shown[0], shown[-1]) == ("Work pools", "(**) denotes a paused pool")
    cells = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in shown]
    if width == 100:
        assert cells[2] == ["Name", "Type", "ID", "Concurrency Limit"]
        assert cells[4:7] == [
            ["barbeque", "prefect-agent", ids[0], "None"],
            ["k8s-pool **", "prefect-agent", ids[1], "None"],
            ["test-pool", "prefect-agent", ids[2], "None"],
        ]
    else:
        assert [line.split() for line in shown[2:6]] == [
            ["Name", "Type", "ID", "Limit"],
            ["barbeque", "prefect-agent", ids[0], "None"],
            ["k8s-pool", "**", "prefect-agent", ids[1], "None"],
            ["test-pool", "prefect-agent", ids[2], "None"],
        ]


def test_a_pool_that_is_inspected(script: Script, frozen: FrozenClock, run: Run) -> None:
    when = NOW - timedelta(minutes=2)
    pool = {"id": IDS[0], "created": when, "updated": when, "name": "test-pool", "default_queue_id": IDS[1]}
    script.on("GET", "/work_pools/test-pool", pool)
    shown = lines(run("work-pool", "inspect", "test-pool").out)
    assert shown[:5] == [
        "Workpool(",
        f"    id='{IDS[0]}',",
        "    created='2 minutes ago',",
        "    updated='2 minutes ago',",
        "    name='test-pool',",
    ]
    assert shown[-2:] == ["    filter=None,", ")"]


def test_a_pool_is_known_by_its_id_too(api: Client, run: Run) -> None:
    """Wherever a command about pools takes one."""
    id = run("work-pool", "create", "test-pool", "--type", "process", "-o", "json").json["id"]
    assert run("work-pool", "inspect", id, "-o", "json").json["name"] == "test-pool"
    assert run("work-pool", "preview", id).out == "Scheduled runs of test-pool: none\n"
    assert run("work-pool", "explain", id).out.startswith("Work pool 'test-pool' (process)")
    assert run("work-pool", "template", "diff", id).code == 0
    assert run("work-pool", "pause", id).out == "Paused work pool 'test-pool'\n"
    assert run("work-pool", "resume", id).out == "Resumed work pool 'test-pool'\n"
    assert run("work-pool", "update", id, "--description", "x").out == "Updated work pool 'test-pool'\n"
    assert run("work-pool", "set-concurrency-limit", id, "3").out.startswith(
        "Set concurrency limit for work pool 'test-pool'"
    )
    assert run("work-pool", "delete", id, "--yes").out == "Deleted work pool 'test-pool'\n"
    assert (
        run("work-pool", "inspect", id).err == f"Error: There is no work pool '{id}'; `headgate work-pool ls` lists all.\n"
    )


def test_the_table_of_a_preview(script: Script, frozen: FrozenClock, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe, which has no width."""
    monkeypatch.delenv("COLUMNS")
    blank: dict[str, Any] = {"created": NOW, "updated": NOW}
    script.on("GET", "/work_pools/test-pool", blank | {"id": IDS[0], "name": "test-pool", "default_queue_id": IDS[0]})
    script.on("POST", "/work_pools/test-pool/queues/filter", [])
    due = {"messy-petrel": -0.5, "unselfish-grouse": 1, "solid-ostrich": 2}
    entries = [
        {
            "scheduled_time": NOW + timedelta(hours=hours),
            "projected": False,
            "flow_run": blank | {"id": id, "name": name, "flow_id": IDS[0]},
            "deployment_id": DEPLOYMENT_ID,
            "deployment_name": "nightly",
            "flow_id": IDS[0],
            "flow_name": "etl",
            "work_queue_id": IDS[0],
            "work_queue_name": "default",
            "late_by_seconds": max(-hours, 0) * 3600,
        }
        for id, (name, hours) in zip(IDS, due.items(), strict=True)
    ]
    script.on("POST", "/work_pools/test-pool/preview", {"entries": entries, "until": NOW, "cut": False})
    shown = drawn(run("work-pool", "preview", "test-pool", "--hours", "12").out)
    cells = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in shown]
    assert cells[2] == ["Scheduled Start Time", "Run ID", "Name", "Deployment ID"]
    assert [row[1:] for row in cells[4:7]] == [
        [IDS[2], "solid-ostrich", DEPLOYMENT_ID],
        [IDS[1], "unselfish-grouse", DEPLOYMENT_ID],
        [IDS[0], "messy-petrel", DEPLOYMENT_ID],
    ]
    assert [row[0].endswith(" **") for row in cells[4:7]] == [False, False, True]
    assert shown[-1] == "(**) denotes a late run"


def test_a_pool_is_paused_resumed_and_deleted_by_its_name(api: Client, run: Run) -> None:
    run("work-pool", "create", "test-pool")
    for command, said, paused in (("pause", "Paused", True), ("resume", "Resumed", False)):
        outcome = run("work-pool", command, "test-pool")
        assert (outcome.code, outcome.out) == (0, f"{said} work pool 'test-pool'\n")
        assert run("work-pool", "inspect", "test-pool", "-o", "json").json["is_paused"] is paused
    assert run("work-pool", "delete", "test-pool", "--yes").out == "Deleted work pool 'test-pool'\n"
    assert run("work-pool", "ls").out == "Work pools: none\n"


def test_a_pool_of_processes_shows_its_options(api: Client, run: Run) -> None:
    run("work-pool", "create", "--type", "process", "above-ground")
    options = run("work-pool", "inspect", "above-ground", "-o", "json").json["base_job_template"]["variables"]["properties"]
    assert {"env", "working_dir", "stream_output"} <= set(options)
    assert all(option["title"] and option["description"] for option in options.values())
    assert options["stream_output"]["default"] is True
    shown = run("work-pool", "inspect", "above-ground").out
    assert all(f"'{name}'" in shown for name in options)


def test_a_deployment_file_overrides_each_option_of_a_process(api: Client, run: Run) -> None:
    run("work-pool", "create", "--type", "process", "above-ground")
    variables = {"env": {"A": "1"}, "working_dir": "/srv", "stream_output": False}
    work_pool = {"name": "above-ground", "job_variables": variables}
    entry = {"name": "d", "command": "true", "work_pool": work_pool}
    Path("deployment.yaml").write_bytes(msgspec.json.encode(entry))
    assert run("deploy").code == 0
    job = run("work-pool", "template", "render", "--deployment", "d/d", "-o", "json").json
    assert job["job_configuration"] == variables


MANIFEST = {
    "job_configuration": {
        "namespace": "{{ namespace }}",
        "job_manifest": {
            "kind": "Job",
            "metadata": {"labels": {"team": "{{ team }}"}},
            "spec": {"template": {"spec": {"containers": [{"image": "{{ image }}", "args": ["--team={{ team }}"]}]}}},
        },
    },
    "variables": {
        "type": "object",
        "properties": {
            "namespace": {"type": "string", "default": "default"},
            "team": {"type": "string", "enum": ["data", "web"]},
            "image": {"type": "string"},
        },
        "required": ["image", "team"],
    },
}


def test_a_manifest_is_a_template_too(api: Client, run: Run) -> None:
    """Also of a type that is not installed where the pool is made; only what the template exposes can be chosen."""
    Path("manifest.json").write_bytes(msgspec.json.encode(MANIFEST))
    run("work-pool", "create", "k8s", "--type", "kubernetes", "--base-job-template", "manifest.json")
    deploy = ["deploy", "--command", "true", "-n", "d", "-p", "k8s", "-jv", "image=app:1"]
    refused = run(*deploy, "-jv", "team=ops")
    assert refused.code == 1
    assert "'ops' is not one of" in refused.err
    assert "'cpu'" in run(*deploy, "-jv", "team=data", "-jv", "cpu=9").err
    assert run(*deploy, "-jv", "team=data").code == 0
    job = run("work-pool", "template", "render", "--deployment", "d/d", "-o", "json").json
    containers = [{"image": "app:1", "args": ["--team=data"]}]
    assert job["job_configuration"] == {
        "namespace": "default",
        "job_manifest": {
            "kind": "Job",
            "metadata": {"labels": {"team": "data"}},
            "spec": {"template": {"spec": {"containers": containers}}},
        },
    }
