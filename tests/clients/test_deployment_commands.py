"""`prefect deploy`, `prefect deployment` with its schedules, `prefect flow` and `prefect flow-run` without a worker."""

import pytest
from prefect_client import Prefect
from scenario import THREE, scenario

from headgate.client.calls import deployments, flow_runs
from headgate.errors import NotFound
from headgate.schema.deployments import Deployment
from headgate.schema.states import StateType

MISSING = "11111111-1111-4111-8111-111111111111"


def deployment(prefect: Prefect, name: str = "family/one") -> Deployment:
    """A deployment as it stands on the server."""
    return prefect.system.client.send(deployments.get_by_name(*name.split("/")))


@scenario("deploy", "deployment ls", "deployment inspect", "deployment delete", "flow ls")
def test_a_project_is_deployed_twice_shown_and_deleted(deployed: Prefect) -> None:
    first = deployment(deployed)
    assert (first.parameters["n"], set(first.tags), first.work_queue_name) == (5, {"a", "b"}, "special")
    assert first.job_variables == {"env": {"WORD": "here"}}
    assert sorted(schedule.active for schedule in first.schedules) == [False, True]
    yaml = deployed.directory / "prefect.yaml"
    yaml.write_text(yaml.read_text().replace("n: 5", "n: 6"))
    deployed("--no-prompt", "deploy", "-n", "one")
    again = deployment(deployed)
    assert (again.id, again.parameters["n"], len(again.schedules)) == (first.id, 6, 2)

    listed = deployed("deployment", "ls").text
    assert all(name in listed for name in ("family/one", "broken/two", "lasting/three"))
    assert "broken/two" not in deployed("deployment", "ls", "--flow-name", "family").text
    assert "family" in deployed("flow", "ls").text
    assert "special" in deployed("deployment", "inspect", "family/one").text
    assert "not found" in deployed("deployment", "inspect", "family/none", code=1).text
    deployed("deployment", "delete", "family/one")
    with pytest.raises(NotFound):
        deployment(deployed)
    assert "not found" in deployed("deployment", "delete", "family/one", code=1).text


@scenario(
    *("deployment run", "flow-run ls", "flow-run inspect", "flow-run logs", "flow-run cancel", "flow-run delete"),
    *("work-pool preview", "work-queue preview", "work-queue read-runs"),
)
def test_runs_are_made_shown_cancelled_and_deleted(deployed: Prefect) -> None:
    options = ("-p", "n=7", "-p", "name=ada", "--job-variable", 'env={"A": "1"}', "--tag", "cli", "--start-in", "1 hour")
    deployed("deployment", "run", "family/one", *options)
    [run] = [each for each in deployed.system.flow_runs() if not each.auto_scheduled]
    assert (run.parameters["n"], run.parameters["name"]) == (7, "ada")
    assert set(run.tags) == {"a", "b", "cli"}
    assert run.job_variables["env"] == {"A": "1"}
    if not deployed.is_2:  # which does not ask for parameters to be checked
        refused = deployed("deployment", "run", "family/one", "-p", "n=many", code=1).text
        assert "Validation failed for field 'n'" in refused
        assert "'many' is not of type 'integer'" in refused
    deployed("deployment", "run", "family/one", "-p", "nothing=1", code=1)
    deployed("deployment", "run", "family/none", code=1)

    id = str(run.id)
    assert run.name in deployed("flow-run", "ls", "--limit", "50").text
    assert run.name in deployed("flow-run", "ls", "--state-type", "SCHEDULED", "--limit", "50").text
    assert run.name not in deployed("flow-run", "ls", "--state", "Completed").text
    assert run.name in deployed("flow-run", "inspect", id).text
    deployed("flow-run", "logs", id)
    assert run.name in deployed("work-pool", "preview", "local", "--hours", "2").text
    deployed("work-queue", "preview", "special", "--pool", "local", "--hours", "2")
    deployed("work-queue", "read-runs", "special", "--pool", "local")
    deployed("flow-run", "cancel", id)
    assert deployed.system.flow_run(run.id).state_type == StateType.CANCELLED
    deployed("flow-run", "delete", id, answers="y\n")
    with pytest.raises(NotFound):
        deployed.system.client.send(flow_runs.get(run.id))
    for verb in ("inspect", "logs", "cancel", "delete"):
        deployed("flow-run", verb, MISSING, code=1, answers="y\n")


SCHEDULE = ("deployment", "schedule")


@scenario(*(f"deployment schedule {verb}" for verb in ("create", "ls", "pause", "resume", "delete", "clear")))
def test_schedules_are_made_paused_resumed_and_deleted(deployed: Prefect) -> None:
    name = "broken/two"
    deployed(*SCHEDULE, "create", name, "--interval", "1800")
    deployed(*SCHEDULE, "create", name, "--cron", "0 3 * * *", "--timezone", "Europe/Berlin")
    deployed(*SCHEDULE, "create", name, "--rrule", '{"rrule": "FREQ=HOURLY"}')
    made = deployment(deployed, name).schedules
    assert len(made) == 3
    listed = deployed(*SCHEDULE, "ls", name).text
    assert all(str(schedule.id) in listed for schedule in made)

    one = str(made[0].id)
    deployed(*SCHEDULE, "pause", name, one)
    assert sum(each.active for each in deployment(deployed, name).schedules) == 2
    deployed(*SCHEDULE, "resume", name, one)
    assert sum(each.active for each in deployment(deployed, name).schedules) == 3
    deployed(*SCHEDULE, "pause", name, MISSING, code=1)
    deployed(*SCHEDULE, "delete", name, one, answers="y\n")
    assert len(deployment(deployed, name).schedules) == 2
    deployed(*SCHEDULE, "clear", name, "--accept-yes")
    assert deployment(deployed, name).schedules == []


@scenario("deployment schedule pause", "deployment schedule resume", on=THREE)
def test_all_schedules_are_paused_and_resumed(deployed: Prefect) -> None:
    deployed(*SCHEDULE, "create", "broken/two", "--interval", "1800")
    deployed(*SCHEDULE, "pause", "--all", answers="y\n")
    assert not any(each.active for name in ("family/one", "broken/two") for each in deployment(deployed, name).schedules)
    deployed(*SCHEDULE, "resume", "--all", answers="y\n")
    assert all(each.active for name in ("family/one", "broken/two") for each in deployment(deployed, name).schedules)
