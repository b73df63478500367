"""A worker at a server of Prefect's: it finds out once, and claims, cancels and reports in that server's own protocol."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from prefect_api import PrefectApi

from headgate.schema.states import OrchestrationStatus, StateCreate, StateType
from headgate.worker import prefect_server

ONE_OF_PREFECTS = "one of Prefect's"
SLEEP = "import time; print('up', flush=True); time.sleep(60)"


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> PrefectApi:
    monkeypatch.setattr(prefect_server, "POLL_SECONDS", 0.1)
    api = PrefectApi()
    api.add_pool()
    return api


def add(api: PrefectApi, **options: Any) -> Any:
    run = api.add_run(**options)
    run.record.deployment_id = run.deployment.id
    return run


async def test_a_run_is_claimed_started_and_watched(api: Any, work: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run = add(api, engine="import os; print(os.environ['HEADGATE__FLOW_RUN_ID'], 'HEADGATE__FENCE' in os.environ)")
    working = work(limit=3)
    await api.until(lambda: working.output == [f"{run.record.id} False"])
    await api.until(lambda: run.record.infrastructure_pid is not None and len(api.beats) > 2)
    assert run.types == ["SCHEDULED", "PENDING"], "the engine reports for itself"
    assert api.labels[run.record.id] == {
        "prefect.worker.name": "w",
        "prefect.worker.type": "process",
        "prefect.work-pool.name": "pool",
        "prefect.work-pool.id": str(api.pools["pool"].id),
    }
    assert api.beats[-1] == {"name": "w", "heartbeat_interval_seconds": 1.0}
    assert api.posts("/leases/renew") == 1, "it asks for leases once, and never again"
    assert api.posts("/claim") == 0
    assert sum(ONE_OF_PREFECTS in record.message for record in caplog.records) == 1


async def test_only_its_queues_and_its_room_are_asked_for(api: Any, work: Any) -> None:
    runs = [add(api, engine=SLEEP, queue=queue) for queue in ("a", "b", "b", "b")]
    working = work(queues=["b"], limit=2)
    await api.until(lambda: working.output == ["up", "up"])
    count = api.posts("/get_scheduled_flow_runs")
    await api.until(lambda: len(api.beats) > 3)
    assert api.posts("/get_scheduled_flow_runs") == count, "a full worker does not look for more"
    assert [run.types[-1] for run in runs] == ["SCHEDULED", "PENDING", "PENDING", "SCHEDULED"]


async def test_with_once_it_takes_all_that_is_there(api: Any, work: Any) -> None:
    runs = [add(api, engine="pass") for _ in range(12)]
    await work(once=True).ended()
    assert all(run.record.infrastructure_pid for run in runs)


@pytest.mark.parametrize("status", [OrchestrationStatus.ABORT, OrchestrationStatus.REJECT])
async def test_a_run_that_is_refused_is_not_started(api: Any, work: Any, status: OrchestrationStatus) -> None:
    api.refusals = [status]
    run = add(api, engine="print('up')")
    working = work(once=True)
    await working.ended()
    assert (working.output, run.types) == ([], ["SCHEDULED"])


async def test_a_claim_whose_answer_was_lost_is_made_good(api: Any, work: Any) -> None:
    api.lose_answers = 1
    run = add(api, engine="print('up')")
    working = work()
    await api.until(lambda: working.output == ["up"])
    assert run.types == ["SCHEDULED", "PENDING"], "the same proposal, sent again"


async def test_a_run_of_a_deployment_that_is_gone_is_cancelled(api: Any, work: Any) -> None:
    run = add(api, engine="print('up')")
    run.record.deployment_id = uuid4()
    working = work(once=True)
    await working.ended()
    assert (working.output, run.types, api.forced) == ([], ["SCHEDULED", "CANCELLED"], [run.record.id])


async def test_a_cancelled_run_is_ended_and_reported(api: Any, work: Any) -> None:
    run = add(api, engine=SLEEP)
    working = work()
    await api.until(lambda: working.output == ["up"])
    api.enter(run, StateCreate(type=StateType.CANCELLING))
    await api.until(lambda: run.types[-1] == "CANCELLED")


async def test_a_run_that_was_deleted_is_ended_without_a_report(api: Any, work: Any) -> None:
    run = add(api, engine=SLEEP)
    working = work()
    await api.until(lambda: working.output == ["up"])
    del api.runs[run.record.id]
    await api.until(lambda: not len(working.worker._roster))
    assert run.types == ["SCHEDULED", "PENDING"]


async def test_an_engine_that_dies_is_reported(api: Any, work: Any) -> None:
    run = add(api, engine="import sys; print('why'); sys.exit(3)")
    await work(once=True).ended()
    assert run.types[-1] == "CRASHED"
    assert "exit code 3" in run.record.state.message


async def test_what_cannot_be_started_is_reported(api: Any, work: Any) -> None:
    run = add(api, job_variables={"command": "/no/such/program"})
    await work(once=True).ended()
    assert run.types[-1] == "CRASHED"


async def test_who_leaves_puts_back_what_was_not_begun(api: Any, work: Any) -> None:
    run = add(api, engine=SLEEP, due_in=60)
    working = work(prefetch_seconds=120)
    await api.until(lambda: run.record.infrastructure_pid is not None)
    working.worker.stop()
    await working.ended()
    assert run.types == ["SCHEDULED", "PENDING", "SCHEDULED"]
    assert run.history[-1].state_details.scheduled_time == run.history[0].state_details.scheduled_time


async def test_who_leaves_in_the_middle_of_a_claim_puts_it_back(api: Any, work: Any) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    label: Callable[..., Awaitable[Any]] = api._label

    async def slow(body: bytes, id: str) -> Any:
        reached.set()
        await go_on.wait()
        return await label(body, id)

    api._label = slow
    run = add(api, engine="print('up')")
    working = work()
    await reached.wait()
    working.worker.stop()
    go_on.set()
    await working.ended()
    assert (working.output, run.types) == ([], ["SCHEDULED", "PENDING", "SCHEDULED"])


async def test_the_slots_of_deployments_are_kept(api: Any, work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_server, "_SLOTS_EVERY", 0.0)
    api.slot = uuid4()
    add(api, engine=SLEEP)
    work()
    await api.until(lambda: str(api.slot) in api.renewed)


async def test_references_are_looked_up(api: Any, work: Any) -> None:
    api.variables["greeting"] = "hello"
    known, unknown = "{{ prefect.variables.greeting }}", "{{ prefect.variables.none }}"
    engine = "import os; print(os.environ['WORD'])"
    add(api, engine=engine, job_variables={"env": {"WORD": known}})
    crashed = add(api, engine=engine, job_variables={"env": {"WORD": unknown}})
    working = work(once=True)
    await working.ended()
    assert working.output == ["hello"]
    assert crashed.types[-1] == "CRASHED"


async def test_a_missing_pool_is_not_taken_for_another_kind_of_server(
    api: Any, work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pool = api.pools.pop("pool")
    working = work()
    await api.until(lambda: api.posts("/leases/renew") >= 2)
    assert not any(ONE_OF_PREFECTS in record.message for record in caplog.records)
    api.pools["pool"] = pool
    add(api, engine="print('up')")
    await api.until(lambda: working.output == ["up"])


async def test_an_api_that_is_away_is_waited_for(api: Any, work: Any) -> None:
    working = work()
    await api.until(lambda: len(api.beats) > 1)
    api.away, count = True, len(api.requests)
    await api.until(lambda: len(api.requests) > count + 1)
    run = add(api, engine="print('up')")
    api.away = False
    await api.until(lambda: working.output == ["up"])
    assert run.types == ["SCHEDULED", "PENDING"]
