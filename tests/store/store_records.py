"""Builders of records: every field can be given, the rest is plain."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from headgate.core.states import NAMES
from headgate.ids import uuid7
from headgate.schema.deployments import Deployment, DeploymentSchedule
from headgate.schema.flow_runs import FlowRun
from headgate.schema.flows import Flow
from headgate.schema.logs import Log
from headgate.schema.schedules import Schedule
from headgate.schema.states import State, StateDetails, StateType
from headgate.schema.work_pools import WorkPool
from headgate.schema.work_queues import WorkQueue
from headgate.store import flow_runs, flows, logs, work_pools, work_queues
from headgate.store.database import Database
from headgate.store.flow_runs import NewRun

NOW = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)


def stamped(at: datetime = NOW) -> dict[str, Any]:
    """An id and the two times that most records have."""
    return {"id": uuid7(at), "created": at, "updated": at}


def a_flow(name: str = "etl", **fields: Any) -> Flow:
    return Flow(**stamped() | {"name": name} | fields)


def a_pool(name: str = "local", **fields: Any) -> WorkPool:
    return WorkPool(**stamped() | {"name": name, "type": "process", "default_queue_id": uuid7(NOW)} | fields)


def a_queue(pool: WorkPool, name: str = "default", **fields: Any) -> WorkQueue:
    return WorkQueue(**stamped() | {"name": name, "work_pool_id": pool.id, "work_pool_name": pool.name} | fields)


def a_deployment(flow: Flow, name: str = "nightly", **fields: Any) -> Deployment:
    return Deployment(**stamped() | {"name": name, "flow_id": flow.id} | fields)


def a_schedule(deployment: Deployment, **fields: Any) -> DeploymentSchedule:
    schedule = Schedule(cron="0 9 * * *", day_or=True, timezone="UTC")
    return DeploymentSchedule(**stamped() | {"deployment_id": deployment.id, "schedule": schedule} | fields)


def a_state(kind: StateType = StateType.SCHEDULED, at: datetime = NOW, **fields: Any) -> State:
    about: dict[str, Any] = {"id": uuid7(at), "type": kind, "name": NAMES[kind], "timestamp": at}
    return State(**about | fields)


def a_run(flow: Flow, state: State | None = None, **fields: Any) -> FlowRun:
    """A run in a state; Scheduled for now unless one is given."""
    state = state or a_state(state_details=StateDetails(scheduled_time=NOW))
    about = {"flow_id": flow.id, "name": "nimble-otter", "state_id": state.id, "state_type": state.type}
    times = {"expected_start_time": NOW, "next_scheduled_start_time": state.state_details.scheduled_time}
    return FlowRun(**stamped() | about | {"state_name": state.name, "state": state} | times | fields)


def a_log(run_id: UUID | None = None, **fields: Any) -> Log:
    line = {"name": "headgate.flow_runs", "level": 20, "message": "hello", "timestamp": NOW, "flow_run_id": run_id}
    return Log(**stamped() | line | fields)


def written(*lines: Log) -> list[logs.Line]:
    """Lines as they are inserted."""
    return [
        (line.flow_run_id, str(line.id), line.task_run_id, line.timestamp, line.level, line.name, line.message)
        for line in lines
    ]


async def save_flow(database: Database, **fields: Any) -> Flow:
    """A flow in the database."""
    flow = a_flow(**fields)
    assert await database.write(lambda tx: flows.insert(tx, flow))
    return flow


async def save_pool(database: Database, **fields: Any) -> tuple[WorkPool, WorkQueue]:
    """A pool in the database, with its default queue."""
    pool = a_pool(**fields)
    queue = a_queue(pool, id=pool.default_queue_id)
    assert await database.write(lambda tx: work_pools.insert(tx, pool))
    assert await database.write(lambda tx: work_queues.insert(tx, queue))
    return pool, queue


async def save_runs(database: Database, *new: NewRun | FlowRun) -> None:
    """Runs in the database."""
    rows = [each if isinstance(each, NewRun) else NewRun(each) for each in new]
    inserted = await database.write(lambda tx: flow_runs.insert(tx, rows))
    assert inserted == {each.run.id for each in rows}
