"""`deploy`: what code says about a deployment is what the API gets, and mistakes are found before anything is written."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi

from headgate import deploy, flow
from headgate.errors import ConfigError, Invalid, Unreachable
from headgate.flows.plans import ConcurrencyLimit
from headgate.schema.deployments import (
    CollisionStrategy,
    ConcurrencyKey,
    ConcurrencyOptions,
    DeploymentScheduleCreate,
    InfraRetries,
    KeyStrategy,
)
from headgate.schema.schedules import Schedule

pytestmark = pytest.mark.usefixtures("url")


@flow(description="Counts.", version="3")
def count_things(n: int, where: Path = Path("/x")): ...


@flow
def other(): ...


@pytest.fixture(autouse=True)
def pool(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.add_pool("local", type="process")
    monkeypatch.chdir(Path(__file__).parent)


def deployed(api: FakeApi, name: str = "daily", **options: Any) -> Any:
    return api.deployments[count_things.deploy(name, work_pool_name="local", print_next_steps=False, **options)]


def test_a_deployment_carries_what_its_flow_says(api: FakeApi) -> None:
    made = deployed(api)
    assert api.flows[made.flow_id].name == "count-things"
    assert (made.name, made.version, made.description, made.paused) == ("daily", "3", "Counts.", False)
    assert (made.entrypoint, made.path) == ("test_deploy.py:count_things", str(Path(__file__).parent))
    assert made.work_pool_name == "local"
    assert made.parameter_openapi_schema["properties"]["n"] == {"title": "n", "type": "integer", "position": 0}
    assert made.parameter_openapi_schema["properties"]["where"]["default"] == "/x"
    assert made.schedules == []


def test_everything_may_be_said(api: FakeApi) -> None:
    made = deployed(
        api,
        parameters={"n": 3, "where": Path("/data")},
        tags=["a"],
        version="9",
        description="d",
        paused=True,
        job_variables={"env": {"A": "1"}},
        work_queue_name="urgent",
        concurrency_limit=ConcurrencyLimit(2, "CANCEL_NEW", grace_period_seconds=90),
        concurrency_key="of {{ parameters.where }}",
        infra_retries=4,
        entrypoint="shop.orders:count",
        path="/srv/code",
    )
    assert made.parameters == {"n": 3, "where": "/data"}
    assert (made.tags, made.version, made.description, made.paused) == (["a"], "9", "d", True)
    assert (made.job_variables, made.work_queue_name) == ({"env": {"A": "1"}}, "urgent")
    assert made.concurrency_limit == 2
    assert made.concurrency_key == ConcurrencyKey(expression="of {{ parameters.where }}")
    assert made.infra_retries == InfraRetries(max=4)
    assert made.concurrency_options == ConcurrencyOptions(
        collision_strategy=CollisionStrategy.CANCEL_NEW, grace_period_seconds=90
    )
    assert (made.entrypoint, made.path) == ("shop.orders:count", "/srv/code")


def test_a_concurrency_key_is_checked_when_it_is_said(api: FakeApi) -> None:
    """Before anything is sent; a record says more than a text."""
    key = ConcurrencyKey(expression="{{ parameters.n }}", limit=2, collision_strategy=KeyStrategy.CANCEL_NEW)
    assert deployed(api, concurrency_key=key).concurrency_key == key
    with pytest.raises(Invalid, match="names parameter 'm', which the flow does not have: it has n, where"):
        deployed(api, concurrency_key="{{ parameters.m }}")


def test_schedules_come_in_every_form(api: FakeApi) -> None:
    made = deployed(
        api,
        cron=["0 9 * * *", "0 17 * * *"],
        interval=timedelta(minutes=10),
        rrule="FREQ=DAILY",
        timezone="Europe/Berlin",
        schedule=Schedule(cron="1 1 * * *"),
        schedules=[DeploymentScheduleCreate(schedule=Schedule(interval=60.0), active=False, parameters={"n": 1})],
    )
    zone = "Europe/Berlin"
    assert [each.schedule for each in made.schedules] == [
        Schedule(interval=60.0),
        Schedule(cron="1 1 * * *"),
        Schedule(cron="0 9 * * *", timezone=zone),
        Schedule(cron="0 17 * * *", timezone=zone),
        Schedule(interval=600.0, timezone=zone),
        Schedule(rrule="FREQ=DAILY", timezone=zone),
    ]
    assert (made.schedules[0].active, made.schedules[0].parameters) == (False, {"n": 1})


def test_a_redeploy_that_is_silent_about_schedules_and_pause_leaves_them(api: FakeApi) -> None:
    first = deployed(api, cron="0 9 * * *", paused=True)
    again = deployed(api)
    assert (again.id, again.paused, len(again.schedules)) == (first.id, True, 1)
    assert deployed(api, schedules=[], paused=False).schedules == []
    assert not api.deployments[first.id].paused


def test_many_deployments_at_once_and_bare_flows(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    ids = deploy(count_things.to_deployment("a"), count_things.to_deployment("b"), other, work_pool_name="local")
    assert [api.deployments[id].name for id in ids] == ["a", "b", "other"]
    shown = capsys.readouterr().out
    assert "Deployed 'count-things/a' to work pool 'local'." in shown
    assert "headgate deployment run 'count-things/a'" in shown
    assert "headgate worker start --pool 'local'" in shown


def test_for_a_pool_without_a_type_an_agent_is_what_comes_next(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.add_pool("mine", type="prefect-agent")
    deploy(count_things.to_deployment("a"), work_pool_name="mine")
    assert capsys.readouterr().out.splitlines()[-1] == "  Start an agent:     headgate agent start -p 'mine'"


def test_the_default_pool_is_a_setting(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_DEFAULT_WORK_POOL_NAME", "local")
    (id,) = deploy(other, print_next_steps=False)
    assert api.deployments[id].work_pool_name == "local"


def test_a_pool_that_is_not_there_is_an_error_before_anything_is_written(api: FakeApi) -> None:
    with pytest.raises(ConfigError, match=r"no work pool 'nope'\. Pools there: local\. `headgate work-pool create nope"):
        deploy(other, count_things.to_deployment("a", work_pool_name="nope"), work_pool_name="local")
    assert api.flows == {}
    with pytest.raises(ConfigError, match=r"Which work pool\? Give `work_pool_name=`.* Pools there: local\."):
        deploy(other)
    api.pools.clear()
    with pytest.raises(ConfigError, match=r"There are no pools yet\."):
        deploy(other)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"parameters": {"n": "x"}}, Invalid, "parameter 'n' is not valid"),
        ({"parameters": {"m": 1}}, Invalid, "no parameter 'm'"),
        ({"corn": "* * * * *"}, TypeError, "no option corn; it has work_pool_name"),
        ({"interval": 0}, Invalid, "above 0 seconds"),
        ({"entrypoint": "flows.py"}, ConfigError, "neither"),
    ],
)
def test_mistakes_are_found_where_they_are_written(options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        count_things.to_deployment("daily", **options)


def test_a_deployments_name_may_stand_in_a_path() -> None:
    with pytest.raises(Invalid, match="no / % & > < in it: 'a/b'"):
        other.to_deployment("a/b")


def test_an_api_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr("headgate.client.client._Patience.pause", lambda *_: None)
    with pytest.raises(Unreachable, match="headgate server start"):
        deploy(other, work_pool_name="local")


def test_a_flow_of_the_present_directory_is_deployed_relative_to_it(api: FakeApi, program: Callable[..., Path]) -> None:
    program("from headgate import flow\n@flow\ndef go(): ...", "jobs/nightly_jobs.py")
    from headgate.flows.entrypoints import load_flow

    loaded = load_flow("jobs/nightly_jobs.py:go", base=Path.cwd())
    made = api.deployments[loaded.deploy("d", work_pool_name="local", print_next_steps=False)]
    assert (made.entrypoint, made.path) == ("jobs/nightly_jobs.py:go", str(Path.cwd()))
