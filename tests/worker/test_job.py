"""A job's environment leads to the worker's API, carries the user's variables, and tells the run who it is."""

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from headgate.errors import Invalid
from headgate.schema.claims import Grant, Lease
from headgate.schema.deployments import Deployment
from headgate.schema.flow_runs import FlowRun
from headgate.schema.flows import Flow
from headgate.settings import Settings
from headgate.worker.infra.process import ProcessInfrastructure
from headgate.worker.job import prepare
from headgate.worker.types import Job

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def stamps() -> dict[str, Any]:
    return {"id": uuid4(), "created": NOW, "updated": NOW}


def job(
    variables: dict[str, Any] | None = None,
    *,
    settings: Settings | None = None,
    template: Any = None,
    references: dict[str, Any] | None = None,
    unresolved: dict[str, str] | None = None,
    **deployment: Any,
) -> Job:
    run = FlowRun(name="run", flow_id=uuid4(), parameters={"n": 1}, job_variables=variables, **stamps())
    grant = Grant(
        lease=Lease(flow_run_id=run.id, fence=7, expires_at=NOW),
        flow_run=run,
        flow=Flow(name="flow", **stamps()),
        deployment=Deployment(name="d", flow_id=run.flow_id, **stamps(), **deployment),
        work_queue_name="default",
        references=references or {},
        unresolved=unresolved or {},
    )
    template = template or ProcessInfrastructure().default_base_job_template()
    settings = settings or Settings(api_url="http://api/api", home="/home/of/headgate")
    return prepare(grant, template, grant.layers, settings=settings, environ={}, on_line=print)


def test_an_engine_gets_its_run_its_fence_and_the_api() -> None:
    made = job(settings=Settings(api_url="http://api/api", api_auth_string="u:p", home="/h"))
    assert made.argv is None
    assert made.env == {
        "HEADGATE__FLOW_RUN_ID": str(made.flow_run_id),
        "HEADGATE__FENCE": "7",
        "HEADGATE_API_URL": "http://api/api",
        "HEADGATE_API_AUTH_STRING": "u:p",
        "HEADGATE_HOME": "/h",
        "HEADGATE_SERVER_ENCRYPTION_KEY": None,
    }


def test_without_a_url_engines_open_the_same_database() -> None:
    env = job(settings=Settings(home="/h")).env
    assert env["HEADGATE_API_URL"] is None
    assert env["HEADGATE_SERVER_DATABASE_CONNECTION_URL"] == "sqlite:////h/headgate.db"


def test_a_command_gets_its_parameters_and_no_fence() -> None:
    made = job(command="echo {{ n }}")
    assert made.argv == ("echo", "1")
    assert made.env["HEADGATE_PARAMETERS"] == '{"n": 1}'
    assert "HEADGATE__FENCE" not in made.env


def test_the_users_variables_go_over_the_connection_but_never_over_the_identity() -> None:
    env = job({"env": {"HEADGATE_API_URL": "http://other/api", "HEADGATE__FENCE": "9", "GONE": None, "A": "1"}}).env
    assert (env["HEADGATE_API_URL"], env["HEADGATE__FENCE"], env["GONE"], env["A"]) == ("http://other/api", "7", None, "1")


def test_a_runs_variables_go_over_its_deployments_and_those_over_the_templates_name_by_name_in_env() -> None:
    """Also where a layer in between took all of `env` away: what lay below that does not come back."""
    template = ProcessInfrastructure().default_base_job_template()
    variables = template["variables"] | {"properties": deepcopy(template["variables"]["properties"])}
    variables["properties"]["env"]["default"] = {"A": "template", "B": "template", "C": "template"}
    template |= {"variables": variables}
    env = job({"env": {"A": "run", "C": None}}, template=template, job_variables={"env": {"A": "d", "B": "d"}}).env
    assert (env["A"], env["B"], env["C"]) == ("run", "d", None)
    env = job({"env": {"A": "run"}}, template=template, job_variables={"env": None}).env
    assert (env["A"], "B" in env) == ("run", False)


def test_values_of_a_free_template_become_text() -> None:
    template = {"job_configuration": {"env": {"PORT": 8080, "ON": True}}, "variables": {"type": "object", "properties": {}}}
    env = job(template=template).env
    assert (env["PORT"], env["ON"]) == ("8080", "true")


def test_the_engine_enters_the_deployments_path_itself_but_not_a_configured_directory(tmp_path: Path) -> None:
    assert job(path=str(tmp_path)).directory is None
    assert job({"working_dir": str(tmp_path)}, path="/x").directory == str(tmp_path)


def test_a_command_goes_by_the_engines_order_of_directories(tmp_path: Path) -> None:
    """The deployment's path goes before a directory that only the pool's template names, and is entered from there."""
    template = ProcessInfrastructure().default_base_job_template()
    variables = deepcopy(template["variables"])
    variables["properties"]["working_dir"]["default"] = "/pool"
    template |= {"variables": variables}
    assert job(template=template, command="true", path="/code").directory == "/code"
    assert job(template=template, command="true", path="code").directory == "/pool/code"
    assert job(template=template, command="true").directory == "/pool"
    assert job({"working_dir": "/own"}, template=template, command="true", path="/code").directory == "/own"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"stream_output": "perhaps"}, "stream_output: 'perhaps' is not of type 'boolean'"),
        ({"env": ["A=1"]}, "env: .* is not of type 'object'"),
    ],
)
def test_variables_that_do_not_fit_are_refused_by_name(variables: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        job(variables)


@pytest.mark.parametrize(("configuration", "said"), [({"env": [1]}, "env="), ({"working_dir": 5}, "working_dir=5")])
def test_a_template_that_yields_nonsense_is_refused(configuration: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        job(template={"job_configuration": configuration, "variables": {"type": "object", "properties": {}}})


REFERRING = {"env": {"TOKEN": "{{ headgate.secrets.token }}", "REGION": "in {{ prefect.variables.region }}"}}


def test_references_are_resolved_from_the_grant() -> None:
    env = job(REFERRING, references={"secrets.token": "s3cret", "variables.region": "eu"}).env
    assert (env["TOKEN"], env["REGION"]) == ("s3cret", "in eu")


def test_a_reference_that_was_not_resolved_is_told_with_its_place_and_the_servers_reason() -> None:
    with pytest.raises(Invalid) as refusal:
        job(REFERRING, references={"variables.region": "eu"}, unresolved={"secrets.token": "another key."})
    expected = "{{ headgate.secrets.token }}, used at /job_variables/env/TOKEN, cannot be resolved: another key."
    assert str(refusal.value) == expected


def test_no_secret_shows_in_a_refusal_or_in_how_a_job_prints() -> None:
    found = {"secrets.token": "s3cret", "variables.region": "eu"}
    with pytest.raises(Invalid) as refusal:
        job({"stream_output": "{{ headgate.secrets.token }}"}, references=found)
    assert "s3cret" not in str(refusal.value)
    assert "{{ headgate.secrets.token }}" in str(refusal.value)
    assert "s3cret" not in repr(job(REFERRING, references=found))
