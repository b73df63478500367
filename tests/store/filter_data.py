"""A small world of records that differ in every way that a filter can ask for, and random filters over it."""

from datetime import timedelta
from random import Random
from typing import Any, get_args, get_type_hints
from uuid import UUID

from filter_reference import Data
from store_records import NOW, a_deployment, a_flow, a_log, a_pool, a_queue, a_run, a_state, stamped, written

from headgate.ids import uuid7
from headgate.schema.agents import Agent
from headgate.schema.filters import Filter, Operator
from headgate.schema.flow_runs import CreatedBy
from headgate.schema.secrets import Secret
from headgate.schema.states import StateDetails, StateType
from headgate.schema.task_runs import TaskRun
from headgate.schema.variables import Variable
from headgate.schema.workers import Worker, WorkerStatus
from headgate.store import (
    agents,
    deployments,
    flow_runs,
    flows,
    logs,
    secrets,
    task_runs,
    variables,
    work_pools,
    work_queues,
    workers,
)
from headgate.store.database import Database, Tx
from headgate.store.flow_runs import NewRun
from headgate.store.workers import Beat

TAGS = ["a", "b", "ä %_", "A"]
TEXTS = ["alpha", "Alpha Beta", "100%", "a_b", "back\\slash", "Ünï", "", "alp"]
STATE_NAMES = ["Scheduled", "Late", "AwaitingRetry", "Running"]
TIMES = [NOW + timedelta(microseconds=n) for n in (-1, 0, 1)]
NUMBERS = [0, 1, 2, 30, 31]


def some(random: Random, values: list[Any], most: int = 3) -> list[Any]:
    return random.sample(values, random.randint(0, min(most, len(values))))


def make_data(random: Random) -> Data:
    """Records with random links and fields, among them nulls and texts that have a meaning in SQL."""
    data = Data()
    data.flows = [a_flow(f"{TEXTS[n]} {n}", tags=some(random, TAGS)) for n in range(6)]
    data.work_pools = [a_pool(f"{TEXTS[n]}{n}", type=random.choice(["process", "docker"])) for n in range(4)]
    for pool in data.work_pools:
        data.work_queues += [a_queue(pool, name) for name in random.sample(TEXTS, 3)]
    for n in range(10):
        queue = random.choice([None, *data.work_queues])
        fields = {
            "tags": some(random, TAGS),
            "paused": random.random() < 0.5,
            "concurrency_limit": random.choice([None, 0, 2]),
        }
        deployment = a_deployment(random.choice(data.flows[:4]), f"{random.choice(TEXTS)} {n}", **fields)
        if queue is not None:
            deployment.work_queue_id, deployment.work_queue_name = queue.id, queue.name
            deployment.work_pool_id, deployment.work_pool_name = queue.work_pool_id, queue.work_pool_name
        data.deployments.append(deployment)
    for n, text in enumerate(TEXTS):
        about = {"name": f"{text} {n}", "value": random.choice([None, *NUMBERS]), "tags": some(random, TAGS)}
        data.variables.append(Variable(**stamped() | about))
        data.secrets.append(Secret(**stamped() | {"name": f"{text} {n}"}))
    data.flow_runs = [_run(random, data) for _ in range(60)]
    data.task_runs = [_task(random, data, n) for n in range(40)]
    for run in data.flow_runs[:20]:
        run.parent_task_run_id = random.choice(data.task_runs).id
    data.logs = [_log(random, data) for _ in range(60)]
    for n in range(6):
        seen = random.choice(TIMES) - timedelta(seconds=n * 20)
        about = {"name": f"w{n}", "work_pool_id": data.work_pools[0].id, "type": "process", "last_heartbeat_time": seen}
        data.workers.append(Worker(**stamped() | about, heartbeat_interval_seconds=20.0))
        agent = {"name": random.choice([None, *TEXTS]), "work_pool_name": random.choice([None, *TEXTS])}
        data.agents.append(Agent(**stamped() | agent, last_heartbeat_time=seen, heartbeat_interval_seconds=20.0))
    return data


def _run(random: Random, data: Data) -> Any:
    deployment = random.choice([None, *data.deployments])
    queue = random.choice([None, *data.work_queues])
    due = random.choice([None, *TIMES])
    state = a_state(
        random.choice(list(StateType)), name=random.choice(STATE_NAMES), state_details=StateDetails(scheduled_time=due)
    )
    creator = CreatedBy(id=random.choice(data.flows).id, type=random.choice(["SCHEDULE", None]))
    return a_run(
        data.flows[0] if deployment is None else next(flow for flow in data.flows if flow.id == deployment.flow_id),
        state,
        name=random.choice(TEXTS),
        tags=some(random, TAGS),
        deployment_id=deployment.id if deployment else None,
        work_queue_id=queue.id if queue else None,
        work_queue_name=queue.name if queue else None,
        work_pool_id=queue.work_pool_id if queue else None,
        work_pool_name=queue.work_pool_name if queue else None,
        flow_version=random.choice([None, *TEXTS]),
        start_time=random.choice([None, *TIMES]),
        end_time=random.choice([None, *TIMES]),
        expected_start_time=random.choice(TIMES),
        parent_task_run_id=random.choice([None, data.flows[0].id, data.flows[1].id]),
        idempotency_key=random.choice([None, uuid7(NOW).hex]),
        created_by=random.choice([None, creator]),
    )


def _task(random: Random, data: Data, n: int) -> TaskRun:
    state = a_state(random.choice(list(StateType)), name=random.choice(STATE_NAMES))
    about = {"name": random.choice(TEXTS), "task_key": "t", "dynamic_key": str(n), "tags": some(random, TAGS)}
    times = {name: random.choice([None, *TIMES]) for name in ("start_time", "end_time", "expected_start_time")}
    run_id = random.choice([None, *(run.id for run in data.flow_runs)])
    entered = {"state": state, "state_id": state.id, "state_type": state.type, "state_name": state.name}
    return TaskRun(**stamped() | about | times | entered, flow_run_id=run_id)


def _log(random: Random, data: Data) -> Any:
    return a_log(
        random.choice([None, *(run.id for run in data.flow_runs[:5])]),
        task_run_id=random.choice([None, data.flows[0].id]),
        level=random.choice(NUMBERS),
        timestamp=random.choice(TIMES),
        message=f"{random.choice(TEXTS)} {random.choice(TEXTS)}",
    )


async def save(database: Database, data: Data) -> None:
    """All of it into the database."""

    async def unit(tx: Tx) -> None:
        for flow in data.flows:
            await flows.insert(tx, flow)
        for pool in data.work_pools:
            await work_pools.insert(tx, pool)
        for queue in data.work_queues:
            await work_queues.insert(tx, queue)
        for deployment in data.deployments:
            await deployments.insert(tx, deployment)
        await flow_runs.insert(tx, [NewRun(run) for run in data.flow_runs])
        await task_runs.upsert(tx, data.task_runs)
        await logs.insert(tx, written(*data.logs))
        for variable in data.variables:
            await variables.insert(tx, variable)
        for secret in data.secrets:
            await secrets.insert(tx, secret, "ciphertext")
        for each in data.workers:
            assert each.last_heartbeat_time is not None
            about = each.id, each.work_pool_id, each.name, each.type, each.heartbeat_interval_seconds
            await workers.beat(tx, Beat(*about, each.last_heartbeat_time))
        for agent in data.agents:
            assert agent.last_heartbeat_time is not None
            polled = agent.name, agent.work_pool_name, [], None, agent.heartbeat_interval_seconds
            await agents.beat(tx, agents.Beat(agent.id, *polled, agent.last_heartbeat_time))

    await database.write(unit)


class Filters:
    """Random filters, filled with values that occur and a few that do not."""

    def __init__(self, random: Random, data: Data) -> None:
        self.random = random
        every: list[Any] = [
            *data.flows,
            *data.flow_runs[:10],
            *data.task_runs[:5],
            *data.deployments,
            *data.work_pools,
            *data.work_queues,
            *data.logs[:3],
            *data.variables,
            *data.secrets,
            *data.agents[:3],
        ]
        self.ids = [*(record.id for record in every), uuid7(NOW)]
        self.texts = [*TEXTS, *(record.name for record in every if getattr(record, "name", None))]

    def make(self, kind: type[Filter]) -> Any:
        """A filter of a collection: a few of its fields, each with a few of its operators."""
        names = [name for name in kind.__struct_fields__ if name != "operator"]
        chosen = self.random.sample(names, self.random.randint(1, min(3, len(names))))
        values = {name: self._value(get_type_hints(kind)[name], name) for name in chosen}
        if "operator" in kind.__struct_fields__:
            values["operator"] = self.random.choice(list(Operator))
        return kind(**values)

    def _value(self, hint: Any, name: str) -> Any:
        kinds = [kind for kind in get_args(hint) if kind is not type(None)] or [hint]
        kind = kinds[0]
        if isinstance(kind, type) and issubclass(kind, Filter):
            return self.make(kind)
        random = self.random
        match str(getattr(kind, "__origin__", kind)), (get_args(kind) or (kind,))[0]:
            case _, each if each is UUID:
                return some(random, self.ids, 12)
            case _, each if each is StateType:
                return some(random, list(StateType), 4)
            case _, each if each is WorkerStatus:
                return some(random, list(WorkerStatus), 2)
            case "<class 'list'>", _:
                pool = TAGS if name == "all_" else [*self.texts, *TAGS, *STATE_NAMES, "SCHEDULE"]
                return some(random, pool, 2 if name == "all_" else 12)
            case _, each if each is str:
                return random.choice([text for text in TEXTS if text.isascii()])
            case _, each if each is bool:
                return random.random() < 0.5
            case _, each if each is int:
                return random.choice(NUMBERS)
        return random.choice(TIMES)
