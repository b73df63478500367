"""`headgate import`: read from a scripted server, written to the real app."""

from typing import Any

import pytest
from command_line import Run, lines
from scripted_api import Script

from headgate.cli import imports
from headgate.client.calls import block_types, concurrency_limits, deployments, secrets, work_pools
from headgate.client.client import Client
from headgate.settings import Settings

POOL = {"name": "agents", "type": "prefect-agent", "base_job_template": {}, "concurrency_limit": 5}
QUEUE = {"name": "legacy", "priority": 1}
SECRET = {
    "id": "b",
    "name": "token",
    "data": {"value": "s3cret"},
    "block_type": {"name": "Secret", "slug": "secret"},
    "block_schema": {
        "fields": {
            "title": "Secret",
            "type": "object",
            "properties": {"value": {"type": "string"}},
            "secret_fields": ["value"],
        },
        "capabilities": [],
        "version": "3.9.1",
    },
}
FLOW = {"id": "f1", "name": "hello"}
NIGHTLY = {"name": "nightly", "flow_id": "f1", "work_pool_name": "agents", "work_queue_name": "legacy", "tags": ["a"]}


@pytest.fixture
def there(api: Client, monkeypatch: pytest.MonkeyPatch) -> tuple[Script, list[Settings]]:
    """A Prefect server with something of each kind, and the settings with which it was asked."""
    script, asked = Script(), []
    held: dict[str, list[Any]] = {"work_pools": [POOL], "flows": [FLOW], "deployments": [NIGHTLY]}
    for kind in ("work_pools", "flows", "deployments", "variables", "automations"):
        script.on("POST", f"/{kind}/filter", held.get(kind, []))
    script.on("POST", "/work_pools/agents/queues/filter", [QUEUE])
    script.on("POST", "/block_documents/filter", [SECRET], [])
    script.on("POST", "/v2/concurrency_limits/filter", [{"name": "db", "limit": 3}])
    script.on("GET", "/collections/views/aggregate-worker-metadata", {})

    def connect(settings: Settings, *, patience: float) -> Client:
        asked.append(settings)
        return Client(script, patience=0)

    monkeypatch.setattr(imports, "open_client", connect)
    return script, asked


def test_the_plan_is_shown_and_a_dry_run_writes_nothing(there: Any, run: Run, api: Client) -> None:
    outcome = run("import", "prefect", "http://there/api", "--dry-run", "--auth-string", "a:b")
    assert (outcome.code, outcome.err) == (0, "")
    assert lines(outcome.out) == [
        "  + secret 'token'",
        "  + concurrency limit 'db'",
        "  + block 'secret/token'",
        "  + work pool 'agents'",
        "  + work queue 'agents/legacy'",
        "  + deployment 'hello/nightly'",
        "Plan: 6 to create, 0 to change, 0 records as wanted already.",
    ]
    assert [(each.api_url, each.api_auth_string) for each in there[1]] == [("http://there/api", "a:b")]
    assert api.send(work_pools.query()) == []


def test_secrets_are_asked_for_and_never_shown(there: Any, run: Run) -> None:
    script, _ = there
    outcome = run("import", "prefect", "http://there/api", "--yes", "-o", "json")
    bodies = [body for _, target, body in script.requests if target == "/block_documents/filter"]
    assert [body["include_secrets"] for body in bodies] == [True, True]
    assert "s3cret" not in outcome.out + outcome.err


def test_a_second_import_writes_only_what_differs(there: Any, run: Run, api: Client) -> None:
    script, _ = there
    assert run("import", "prefect", "http://there/api", "--yes").code == 0
    assert [each.name for each in api.send(secrets.query())] == ["token"]
    assert api.send(work_pools.get("agents")).concurrency_limit == 5
    assert api.send(concurrency_limits.get("db")).limit == 3
    assert api.send(block_types.document("secret", "token", include_secrets=True)).data == {"value": "s3cret"}
    assert api.send(deployments.get_by_name("hello", "nightly")).work_queue_name == "legacy"
    script.on("POST", "/deployments/filter", [NIGHTLY | {"tags": ["b"]}])
    script.on("POST", "/block_documents/filter", [SECRET], [])
    outcome = run("import", "prefect", "http://there/api", "--yes")
    assert lines(outcome.out) == [
        "  ~ deployment 'hello/nightly'",
        '      tags: ["a"] -> ["b"]',
        "Plan: 0 to create, 1 to change, 5 records as wanted already.",
        "Updated deployment 'hello/nightly'",
    ]


def test_paused_until_the_cut_over(there: Any, run: Run, api: Client) -> None:
    script, _ = there
    script.on("POST", "/deployments/filter", [NIGHTLY | {"paused": False}])
    run("import", "prefect", "http://there/api", "--yes", "--paused")
    assert api.send(deployments.get_by_name("hello", "nightly")).paused
    run("import", "prefect", "http://there/api", "--yes")
    assert not api.send(deployments.get_by_name("hello", "nightly")).paused


def test_a_block_that_changed_is_written_anew_and_not_shown(there: Any, run: Run, api: Client) -> None:
    script, _ = there
    run("import", "prefect", "http://there/api", "--yes")
    script.on("POST", "/block_documents/filter", [SECRET | {"data": {"value": "other"}}], [])
    outcome = run("import", "prefect", "http://there/api", "--yes")
    assert lines(outcome.out)[:2] == ["  ~ block 'secret/token'", "      data: (not shown) -> (not shown)"]
    assert api.send(block_types.document("secret", "token", include_secrets=True)).data == {"value": "other"}


def test_what_has_no_equivalent_is_told_with_the_plan(there: Any, run: Run) -> None:
    script, _ = there
    script.on("POST", "/automations/filter", [{"name": "alarm"}])
    outcome = run("import", "prefect", "http://there/api", "--dry-run")
    assert lines(outcome.out)[-1] == (
        "  ! automation 'alarm': not copied; automations are kept for clients here, and not acted on"
    )


def test_queues_that_cannot_be_read_are_noted_and_the_rest_comes(there: Any, run: Run) -> None:
    script, _ = there
    script.on("POST", "/work_pools/agents/queues/filter", {"exception_message": "Internal Server Error"}, status=500)
    outcome = run("import", "prefect", "http://there/api", "--dry-run")
    assert "  + work pool 'agents'" in lines(outcome.out)
    assert lines(outcome.out)[-1] == "  ! work pool 'agents': its queues could not be read: Internal Server Error"


def test_a_page_that_is_full_is_followed_by_the_next(there: Any, run: Run) -> None:
    script, _ = there
    many = [{"name": f"v{number}", "value": number} for number in range(201)]
    script.on("POST", "/variables/filter", many[:200], many[200:])
    outcome = run("import", "prefect", "http://there/api", "--dry-run", "-o", "json")
    assert sum(each["kind"] == "variable" for each in outcome.json["changes"]) == 201
    offsets = [body["offset"] for _, target, body in script.requests if target == "/variables/filter"]
    assert offsets == [0, 200]


def test_a_server_that_is_none_of_these_is_an_error_in_one_line(there: Any, run: Run, api: Client) -> None:
    script, _ = there
    script.answers.clear()
    outcome = run("import", "prefect", "http://there/api", "--yes")
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert api.send(work_pools.query()) == []
