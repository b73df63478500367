"""`run_deployment`: creates a run of a deployment and waits for it, from threads and from coroutines alike."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from fake_api import FakeApi

from headgate import flow, run_deployment, run_deployment_async
from headgate.errors import Invalid, NotFound
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import StateType

pytestmark = pytest.mark.usefixtures("url")

Run = Callable[..., Awaitable[FlowRun]]


@flow
def load(n: int = 1, where: Path | None = None): ...


@pytest.fixture
def deployment(api: FakeApi) -> UUID:
    api.add_pool("local")
    return load.deploy("daily", work_pool_name="local", tags=["base"], parameters={"n": 5}, print_next_steps=False)


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both forms behind one face."""

    async def call(*args: Any, **options: Any) -> FlowRun:
        if request.param == "async":
            return await run_deployment_async(*args, **options)
        return await asyncio.to_thread(run_deployment, *args, **options)

    return call


async def test_without_waiting_the_new_run_is_answered(api: FakeApi, deployment: UUID, run: Run) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    made = await run(
        "load/daily",
        timeout=0,
        parameters={"n": 2, "where": Path("/x")},
        scheduled_time=at,
        flow_run_name="mine",
        tags=["extra"],
        job_variables={"env": {"A": "1"}},
        idempotency_key="k",
    )
    stored = api.runs[made.id]
    assert stored.deployment_id == deployment
    assert (stored.name, stored.parameters, stored.tags) == ("mine", {"n": 2, "where": "/x"}, ["base", "extra"])
    assert stored.expected_start_time == at
    assert stored.job_variables == {"env": {"A": "1"}}
    assert made.state_type is StateType.SCHEDULED
    assert (await run("load/daily", timeout=0, idempotency_key="k")).id == made.id


async def test_it_waits_until_the_run_has_ended(api: FakeApi, deployment: UUID, run: Run) -> None:
    looks = 0

    def progress(method: str, target: str) -> None:
        nonlocal looks
        if method == "GET" and target.startswith("/flow_runs/"):
            looks += 1
            (id,) = api.runs
            api.force(id, StateType.COMPLETED if looks == 3 else StateType.RUNNING)

    api.before = progress
    ended = await run(deployment, poll_interval=0.001)
    assert looks == 3
    assert ended.state is not None
    assert ended.state.type is StateType.COMPLETED


async def test_after_the_timeout_the_run_is_answered_as_it_is(api: FakeApi, deployment: UUID, run: Run) -> None:
    made = await run(str(deployment), timeout=0.05, poll_interval=0.001)
    assert made.state_type is StateType.SCHEDULED


async def test_unknown_deployments_and_options_are_errors(deployment: UUID, run: Run) -> None:
    with pytest.raises(NotFound, match="Deployment not found"):
        await run("load/nightly", timeout=0)
    with pytest.raises(NotFound):
        await run(uuid4(), timeout=0)
    with pytest.raises(Invalid, match="'daily' is neither `flow/deployment` nor a deployment's id"):
        await run("daily", timeout=0)
    with pytest.raises(TypeError, match="no option params; it has parameters"):
        await run("load/daily", timeout=0, params={})
    with pytest.raises(Invalid, match="Parameter 'n' cannot be sent as JSON: object"):
        await run("load/daily", timeout=0, parameters={"n": object()})


async def test_a_time_without_a_zone_is_local(api: FakeApi, deployment: UUID) -> None:
    naive = datetime(2030, 1, 1, 12)
    made = await run_deployment_async("load/daily", timeout=0, scheduled_time=naive)
    assert made.expected_start_time == naive.astimezone()


async def test_the_blocking_form_works_inside_an_event_loop(api: FakeApi, deployment: UUID) -> None:
    assert run_deployment("load/daily", timeout=0).deployment_id == deployment


def test_it_works_in_a_thread_of_a_flow(api: FakeApi, deployment: UUID) -> None:
    answers: list[FlowRun] = []

    @flow
    def parent():
        thread = threading.Thread(target=lambda: answers.append(run_deployment("load/daily", timeout=0)))
        thread.start()
        thread.join()

    parent()
    assert answers[0].deployment_id == deployment


def test_a_pause_between_looks_grows_but_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from headgate.flows import runs

    run = FlowRun(id=uuid4(), created=datetime.now(UTC), updated=datetime.now(UTC), name="x", flow_id=uuid4())
    steps = runs._waiting(run, None, 0.5)
    pauses = [next(steps)]
    for _ in range(9):
        steps.send(None)
        pauses.append(steps.send(run))
    assert pauses[0] == 0.5
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0
    steps.close()
