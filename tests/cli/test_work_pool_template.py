"""`headgate work-pool template`, against the real app: what is wrong, what becomes of it, what would change."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, drawn, lines

from headgate.client.calls import deployments
from headgate.client.client import Client
from headgate.schema.deployments import DeploymentPatch, DeploymentScheduleCreate
from headgate.schema.schedules import Schedule

TEMPLATE: dict[str, Any] = {
    "job_configuration": {
        "image": "{{ image }}",
        "env": "{{ env }}",
        "args": ["--size={{ size }}", "{{ headgate.secrets.token }}"],
        "home": "{{ $HOME }}",
        "kind": "batch",
        "unset": "{{ note }}",
    },
    "variables": {
        "type": "object",
        "properties": {
            "image": {"type": "string", "default": "x:1"},
            "env": {"type": "object", "additionalProperties": {"type": "string"}, "default": {"A": "pool"}},
            "size": {"type": "integer", "default": 1},
            "note": {"type": "string"},
        },
    },
}


def write(template: dict[str, Any], name: str = "template.json") -> str:
    Path(name).write_text(json.dumps(template))
    return name


def without(*names: str, **properties: Any) -> dict[str, Any]:
    """The template less some variables, with the placeholders for them, and with others changed."""
    template = json.loads(json.dumps(TEMPLATE))
    for name in names:
        del template["variables"]["properties"][name]
        template["job_configuration"] = {k: v for k, v in template["job_configuration"].items() if name not in str(v)}
    template["variables"]["properties"] |= properties
    return template


@pytest.fixture
def pool(api: Client, run: Run) -> None:
    """The pool `own` with the template, and its deployment `disk/disk`."""
    assert run("work-pool", "create", "own", "--type", "process", "--base-job-template", write(TEMPLATE)).code == 0
    variables = ("-jv", 'env={"B": "d {{ headgate.variables.b }}"}', "-jv", "image=y")
    assert run("deploy", "--command", "df", "--name", "disk", "--pool", "own", *variables).code == 0


# lint


def test_lint_lists_every_problem_and_fails(api: Client, run: Run) -> None:
    broken = without("note", size={"type": "intger"}, idle={"default": 1})
    broken["job_configuration"]["typo"] = "{{ imge }}"
    outcome = run("work-pool", "template", "lint", "--file", write(broken))
    assert outcome.code == 1
    assert [line.split(": ")[:2] for line in lines(outcome.out)[:-1]] == [
        ["error", "/variables/properties/size/type"],
        ["error", "/job_configuration/typo"],
        ["warning", "/variables/properties/idle"],
    ]
    assert "did you mean 'image'?" in outcome.out
    assert lines(outcome.out)[-1] == "2 errors, 1 warning"


def test_lint_of_a_pool_passes_with_warnings(pool: None, run: Run) -> None:
    run("work-pool", "update", "own", "--base-job-template", write(without(size={"type": "string", "default": 1})))
    outcome = run("work-pool", "template", "lint", "own")
    assert (outcome.code, lines(outcome.out)) == (
        0,
        [
            "warning: /variables/properties/size/default: its own schema refuses this default: 1 is not of type 'string'",
            "0 errors, 1 warning",
        ],
    )
    [problem] = run("work-pool", "template", "lint", "own", "-o", "json").json
    assert problem == {
        "severity": "warning",
        "pointer": "/variables/properties/size/default",
        "reason": "its own schema refuses this default: 1 is not of type 'string'",
        "value": 1,
    }


@pytest.mark.parametrize("arguments", [(), ("own", "--file", "template.json")])
def test_lint_asks_for_one_template(run: Run, arguments: tuple[str, ...]) -> None:
    outcome = run("work-pool", "template", "lint", *arguments)
    assert (outcome.code, outcome.err) == (2, "Error: Which template? Give a pool's name or --file FILE.\n")


def test_a_file_that_is_none_is_named_with_its_option(run: Run) -> None:
    Path("bad.json").write_text("[")
    assert "--file: cannot read none.json" in run("work-pool", "template", "lint", "-f", "none.json").err
    assert "--file: bad.json is not a JSON object" in run("work-pool", "template", "lint", "-f", "bad.json").err


# render


def test_render_of_a_pool_shows_its_defaults(pool: None, run: Run) -> None:
    outcome = run("work-pool", "template", "render", "own")
    assert outcome.code == 0
    cells = [[cell.strip() for cell in line.split("│")] for line in drawn(outcome.out) if "│ /" in line]
    rows = {place: (value, origin) for _, place, value, origin, _ in cells}
    assert rows["/image"] == ("x:1", "pool default")
    assert rows["/kind"] == ("batch", "hard-coded")
    assert rows["/home"] == ("{{ $HOME }}", "environment")
    assert rows["/args/1"] == ("{{ headgate.secrets.token }}", "secret")
    assert "/unset" not in rows


def test_render_of_a_deployment_names_the_origin_of_each_value(pool: None, run: Run) -> None:
    shown = run("work-pool", "template", "render", "--deployment", "disk/disk", "-o", "json").json
    assert shown == {
        "job_configuration": {
            "image": "y",
            "env": {"A": "pool", "B": "d {{ headgate.variables.b }}"},
            "args": ["--size=1", "{{ headgate.secrets.token }}"],
            "home": "{{ $HOME }}",
            "kind": "batch",
        },
        "origins": {
            "/image": ["deployment"],
            "/env/A": ["pool default"],
            "/env/B": ["deployment", "variable"],
            "/args/0": ["hard-coded", "pool default"],
            "/args/1": ["secret"],
            "/home": ["environment"],
            "/kind": ["hard-coded"],
        },
        "problems": [],
    }


def test_render_of_a_run_has_the_runs_layer_on_top(pool: None, run: Run) -> None:
    made = run("deployment", "run", "disk/disk", "-jv", 'env={"A": "run"}', "-jv", "size=5", "-o", "json").json
    shown = run("work-pool", "template", "render", "--flow-run", made["id"], "-o", "json").json
    assert shown["job_configuration"]["env"] == {"A": "run", "B": "d {{ headgate.variables.b }}"}
    assert shown["origins"]["/env/A"] == ["run"]
    assert shown["origins"]["/args/0"] == ["hard-coded", "run"]
    assert shown["origins"]["/image"] == ["deployment"]


def test_what_a_schedule_sets_is_told_apart_from_what_a_run_sets(pool: None, api: Client, run: Run) -> None:
    found = api.send(deployments.get_by_name("disk", "disk"))
    schedule = DeploymentScheduleCreate(schedule=Schedule(cron="0 9 * * *"), job_variables={"size": 7})
    api.send(deployments.update(found.id, DeploymentPatch(schedules=[schedule])))
    [first, *_] = run("flow-run", "ls", "--state", "Scheduled", "-o", "json").json
    shown = run("work-pool", "template", "render", "--flow-run", first["id"], "-o", "json").json
    assert shown["origins"]["/args/0"] == ["hard-coded", "schedule"]


def test_what_the_type_brings_is_told_apart_from_what_the_pool_changed(api: Client, run: Run) -> None:
    run("work-pool", "create", "local", "--type", "process")
    assert run("work-pool", "template", "render", "local", "-o", "json").json["origins"] == {
        "/stream_output": ["type's default"]
    }
    template = run("work-pool", "get-default-base-job-template", "--type", "process").json
    template["variables"]["properties"]["stream_output"]["default"] = False
    run("work-pool", "update", "local", "--base-job-template", write(template))
    assert run("work-pool", "template", "render", "local", "-o", "json").json["origins"] == {
        "/stream_output": ["pool default"]
    }


def test_render_warns_of_what_does_not_fit_any_more(pool: None, run: Run) -> None:
    run("work-pool", "update", "own", "--base-job-template", write(without(image={"type": "integer"})))
    outcome = run("work-pool", "template", "render", "--deployment", "disk/disk")
    assert outcome.code == 0
    assert outcome.err == "Warning: job variable /image: 'y' is not of type 'integer'. Runs crash when they are launched.\n"


@pytest.mark.parametrize("arguments", [(), ("own", "--deployment", "a/b")])
def test_render_asks_for_one_thing(run: Run, arguments: tuple[str, ...]) -> None:
    outcome = run("work-pool", "template", "render", *arguments)
    assert (outcome.code, outcome.err) == (
        2,
        "Error: Of what? Give a pool's name, --deployment FLOW/NAME or --flow-run ID.\n",
    )


def test_render_says_when_there_is_no_template(api: Client, run: Run) -> None:
    run("work-pool", "create", "old")
    outcome = run("work-pool", "template", "render", "old")
    assert outcome.code == 2
    assert "Work pool 'old' has no base job template" in outcome.err


# diff


def test_diff_with_a_file_shows_changes_and_who_would_break(pool: None, run: Run) -> None:
    other = without("note", image={"type": "string", "pattern": "^x"}, disk={"type": "string"})
    outcome = run("work-pool", "template", "diff", "own", "--file", write(other, "other.json"))
    assert outcome.code == 1
    assert lines(outcome.out) == [
        "From the template of work pool 'own' to other.json:",
        '  + /variables/properties/disk: {"type":"string"}',
        "  - /variables/properties/image/default: x:1",
        "  + /variables/properties/image/pattern: ^x",
        '  - /variables/properties/note: {"type":"string"}',
        "  - /job_configuration/unset: {{ note }}",
        "",
        "Deployments that would no longer fit:",
        """  disk/disk /image: "y" does not match "^x\"""",
    ]
    found = run("work-pool", "template", "diff", "own", "-f", "other.json", "-o", "json").json
    assert found["changes"][1] == {
        "change": "removed",
        "pointer": "/variables/properties/image/default",
        "before": "x:1",
        "after": None,
    }
    [misfit] = found["deployments"]
    assert (misfit["deployment"], misfit["schedule"], misfit["pointer"], misfit["already"]) == (
        "disk/disk",
        None,
        "/image",
        False,
    )


def test_diff_with_the_types_default(api: Client, run: Run) -> None:
    run("work-pool", "create", "local", "--type", "process")
    same = run("work-pool", "template", "diff", "local")
    assert (same.code, lines(same.out)) == (
        0,
        ["From the template of work pool 'local' to the default of type 'process':", "  no difference"],
    )
    template = run("work-pool", "get-default-base-job-template", "--type", "process").json
    template["variables"]["properties"]["stream_output"]["default"] = False
    run("work-pool", "update", "local", "--base-job-template", write(template))
    assert lines(run("work-pool", "template", "diff", "local").out)[1:] == [
        "  ~ /variables/properties/stream_output/default: false -> true"
    ]


def test_diff_names_the_schedule_that_would_break_and_what_is_broken_already(pool: None, api: Client, run: Run) -> None:
    """An update is taken, with a warning; what broke by it is told from then on, whatever is compared."""
    found = api.send(deployments.get_by_name("disk", "disk"))
    schedule = DeploymentScheduleCreate(schedule=Schedule(cron="0 9 * * *"), job_variables={"size": 7}, slug="daily")
    api.send(deployments.update(found.id, DeploymentPatch(schedules=[schedule])))
    narrow = write(without(size={"type": "integer", "maximum": 5}))
    outcome = run("work-pool", "template", "diff", "own", "-f", narrow)
    assert "  disk/disk (schedule 'daily') /size: 7 is greater than the maximum of 5" in lines(outcome.out)
    updated = run("work-pool", "update", "own", "--base-job-template", narrow)
    assert updated.code == 0
    assert "no longer fit: disk/disk. `headgate work-pool template diff own` says why." in updated.err
    again = run("work-pool", "template", "diff", "own", "-f", narrow)
    assert again.code == 0
    assert lines(again.out)[-2:] == [
        "Deployments that do not fit the pool as it is:",
        "  disk/disk (schedule 'daily') /size: 7 is greater than the maximum of 5",
    ]
    assert run("work-pool", "update", "own", "--description", "x").err == ""


def test_diff_with_a_template_that_no_pool_could_take_is_refused(pool: None, run: Run) -> None:
    outcome = run("work-pool", "template", "diff", "own", "-f", write({"variables": {}}))
    assert (outcome.code, outcome.err) == (
        1,
        "Error: The `base_job_template` must contain both a `job_configuration` key and a `variables` key. "
        "base job template: /job_configuration must be an object; it is missing\n",
    )


def test_a_run_is_warned_that_a_value_does_not_name_the_workers_environment(pool: None, run: Run) -> None:
    outcome = run("deployment", "run", "disk/disk", "-jv", 'env={"A": "{{ $HOME }}"}', "-o", "json")
    assert (outcome.code, outcome.json["job_variables"]) == (0, {"env": {"A": "{{ $HOME }}"}})
    assert outcome.err.startswith("Warning: --job-variable /env/A: {{ $HOME }} stays the text that it is;")
