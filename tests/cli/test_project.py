"""A project's file: which one is read, what it may say, what is refused by name."""

from datetime import datetime
from pathlib import Path

import pytest

from headgate.cli.project import DeploymentEntry, entry_of, find_file, read_project
from headgate.errors import ConfigError, HeadgateError
from headgate.schema.deployments import InfraRetries
from headgate.schema.states import CrashReason

ENTRY = "deployments:\n  - name: a\n    entrypoint: flows.py:hello\n"


def _read(text: str, name: str = "headgate.yaml") -> list[tuple[str, DeploymentEntry]]:
    Path(name).write_text(text)
    return [(where, entry_of(entry, where)) for where, entry in read_project(Path(name)).entries]


def _only(text: str, name: str = "headgate.yaml") -> DeploymentEntry:
    [(_, entry)] = _read(text, name)
    return entry


def test_files_are_looked_for_in_their_order() -> None:
    assert find_file(Path.cwd()) is None
    for name in ("deployment.yaml", "prefect.yaml", "headgate.yaml"):
        Path(name).write_text(ENTRY)
        assert find_file(Path.cwd()) == Path.cwd() / name


def test_all_keys_of_a_deployment() -> None:
    entry = _only("""
deployments:
  - name: nightly
    version: 1.2
    tags: [a, b]
    description: text
    entrypoint: flows.py:hello
    parameters: {name: moon}
    schedules:
      - {interval: 15m, anchor_date: 2026-01-01, timezone: UTC, slug: s, active: false}
      - {cron: "0 3 * * *", day_or: false, parameters: {times: 2}, job_variables: {env: {}}, max_scheduled_runs: 5}
      - {rrule: FREQ=DAILY}
    concurrency_limit: {limit: 2, collision_strategy: CANCEL_NEW, grace_period_seconds: 60}
    infra_retries: {max: 3, delay_seconds: 5, reasons: [lost]}
    paused: true
    enforce_parameter_schema: false
    work_pool: {name: local, work_queue_name: q, job_variables: {stream_output: false}}
""")
    assert entry.version == 1.2
    assert entry.schedules is not None
    assert entry.schedules[0].anchor_date == datetime(2026, 1, 1)
    assert entry.schedules[1].day_or is False
    assert entry.concurrency_limit is not None
    assert (entry.concurrency_limit.limit, entry.concurrency_limit.grace_period_seconds) == (2, 60)
    assert entry.infra_retries == InfraRetries(max=3, delay_seconds=5, reasons=[CrashReason.LOST])
    assert entry.work_pool is not None
    assert entry.work_pool.job_variables == {"stream_output": False}


def test_a_file_of_the_peer_as_its_init_writes_it() -> None:
    """Keys without a value are as if they were not there."""
    entry = _only(
        """
name: my-project
prefect-version: 3.9.1
build: null
push: null
pull:
- prefect.deployments.steps.set_working_directory:
    directory: /srv/project
definitions: {x: &x {timezone: UTC}}
deployments:
- name: a
  version: null
  tags: []
  description: null
  schedule: {}
  flow_name: null
  entrypoint: flows.py:hello
  parameters: {}
  work_pool:
    name: local
    work_queue_name: null
    job_variables: {}
""",
        "prefect.yaml",
    )
    assert entry.pull == [{"prefect.deployments.steps.set_working_directory": {"directory": "/srv/project"}}]
    assert (entry.version, entry.flow_name, entry.description) == (None, None, None)


def test_a_deployments_own_pull_steps_go_before_the_projects() -> None:
    entry = _only(f"pull: [{{a.set_working_directory: {{directory: /x}}}}]\n{ENTRY}    pull: []\n")
    assert entry.pull == []


def test_an_old_file_holds_one_deployment_at_its_top() -> None:
    text = """
name: a
entrypoint: flows.py:hello
schedule: {cron: "0 3 * * *"}
work_pool: {name: local, infra_overrides: {env: {A: "1"}}}
"""
    entry = _only(text, "deployment.yaml")
    assert (entry.name, entry.entrypoint) == ("a", "flows.py:hello")
    assert entry.work_pool is not None
    assert entry.work_pool.infra_overrides == {"env": {"A": "1"}}


def test_an_old_file_may_also_hold_a_list() -> None:
    assert _only(ENTRY, "deployment.yaml").name == "a"


def test_the_environment_fills_in_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAGE", "test")
    monkeypatch.setenv("LIMIT", "3")
    entry = _only(
        "deployments:\n  - name: run-{{ $STAGE }}\n    command: df {{ path }}\n    concurrency_limit: '{{$LIMIT}}'\n"
        "    parameters: {path: [/, '{{ $STAGE }}/{{ $STAGE }}']}\n"
    )
    assert entry.name == "run-test"
    assert entry.command == "df {{ path }}"
    assert entry.concurrency_limit is not None
    assert entry.concurrency_limit.limit == 3
    assert entry.parameters == {"path": ["/", "test/test"]}


def test_steps_that_are_not_run_are_warned_about() -> None:
    Path("prefect.yaml").write_text(f"build: [{{a.b: {{}}}}]\n{ENTRY}")
    [warning] = read_project(Path("prefect.yaml")).warnings
    assert warning == "prefect.yaml: the `build` steps are not run; run them yourself before you deploy."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deploymnets: []", "unknown key 'deploymnets'; did you mean 'deployments'?"),
        (f"{ENTRY}    nmae: b", "headgate.yaml: deployments[0]: unknown key 'nmae'; did you mean 'name'?"),
        (f"{ENTRY}    work_pool: {{nam: x}}", "deployments[0].work_pool: unknown key 'nam'; did you mean 'name'?"),
        (f"{ENTRY}    schedules: [{{corn: x}}]", "deployments[0].schedules[0]: unknown key 'corn'; did you mean 'cron'?"),
        (f"{ENTRY}    schedule: {{catchup: true}}", "schedule: unknown key 'catchup'; missed runs are not made up for"),
        (f"{ENTRY}    concurrency_limit: {{max: 1}}", "concurrency_limit: unknown key 'max'"),
        (f"{ENTRY}    infra_retries: {{times: 1}}", "deployments[0].infra_retries: unknown key 'times'"),
        (f"{ENTRY}    infra_retries: {{max: 1, reasons: [rain]}}", "infra_retries.reasons[0]: Invalid enum value 'rain'"),
        (f"{ENTRY}    triggers: []", "unknown key 'triggers'; automations"),
        (f"{ENTRY}    job_variables: {{}}", "unknown key 'job_variables'; it stands in work_pool"),
        (f"{ENTRY}    tags: [1, 2]", "deployments[0].tags[0]: Expected `str`, got `int`."),
        (f"{ENTRY}    tags: x", "deployments[0].tags: Expected `array | null`, got `str`."),
        (f"{ENTRY}    paused: maybe", "deployments[0].paused:"),
        (f"{ENTRY}    concurrency_limit: many", "deployments[0].concurrency_limit.limit:"),
        (f"{ENTRY}    concurrency_limit: {{limit: 1, collision_strategy: DROP}}", "Invalid enum value 'DROP'"),
        (f"{ENTRY}    concurrency_limit: {{limit: 1, shared: database}}", "concurrency_limit: give either `limit`"),
        (f"{ENTRY}    concurrency_limit: {{collision_strategy: CANCEL_NEW}}", "concurrency_limit: give either `limit`"),
        (f"{ENTRY}    description: '{{{{ $NOT_SET }}}}'", "description: the environment variable NOT_SET is not set."),
        ("deployments: {a: b}", "deployments: expected a list"),
        ("deployments: [a]", "deployments[0]: expected keys and values, got 'a'"),
        ("just text", "holds nothing"),
        ("a: [", "is not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _read(text)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(HeadgateError, match=r"There is no file nowhere\.yaml"):
        read_project(Path("nowhere.yaml"))
