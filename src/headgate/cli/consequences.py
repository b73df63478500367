"""What hangs on a pool or a queue, for those who are about to delete it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from headgate.cli.find import every, first, flow_names
from headgate.cli.output import counted
from headgate.client.calls import deployments, flow_runs, work_queues, workers
from headgate.client.client import Client
from headgate.core.states import TERMINAL
from headgate.schema.filters import (
    DeploymentQuery,
    FlowRunFilter,
    FlowRunQuery,
    IdFilter,
    StateFilter,
    StateTypeFilter,
    WorkerQuery,
    WorkPoolFilter,
    WorkQueueFilter,
    WorkQueueQuery,
)
from headgate.schema.states import StateType
from headgate.schema.work_pools import WorkPool
from headgate.schema.work_queues import WorkQueue
from headgate.schema.workers import WorkerStatus

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Content:
    """`deployments` names some, and counts all that they are of; runs wait, or are in progress (or paused half-way)."""

    deployments: str
    waiting: int
    in_progress: int

    @property
    def stays(self) -> str:
        """`2 deployments (etl/nightly, etl/weekly), 3 waiting runs`; empty for none of both."""
        waiting = counted(self.waiting, "waiting run") if self.waiting else ""
        return ", ".join(filter(None, (self.deployments, waiting)))

    @property
    def goes_on(self) -> str:
        """`1 run in progress`; empty for none."""
        return f"{counted(self.in_progress, 'run')} in progress" if self.in_progress else ""


def pool_content(client: Client, pool: WorkPool) -> Content:
    """The deployments and the runs of a pool."""
    return _content(client, pools=WorkPoolFilter(id=IdFilter(any_=[pool.id])))


def queue_content(client: Client, queue: WorkQueue) -> Content:
    """The deployments and the runs of a queue."""
    return _content(client, queues=WorkQueueFilter(id=IdFilter(any_=[queue.id])))


def parts(client: Client, pool: WorkPool) -> str:
    """`2 queues (default, urgent), 1 worker (night), 1 of them online`: what is gone with its pool."""
    queues = [queue.name for queue in every(client, partial(work_queues.query, pool.name), WorkQueueQuery())]
    known = every(client, partial(workers.query, pool.name), WorkerQuery())
    online = [worker for worker in known if worker.status is WorkerStatus.ONLINE]
    gone = [_named(len(queues), "queue", queues), _named(len(known), "worker", [worker.name for worker in known])]
    return ", ".join(filter(None, gone)) + (f", {len(online)} of them online" if online else "")


def _content(client: Client, *, pools: WorkPoolFilter | None = None, queues: WorkQueueFilter | None = None) -> Content:
    query = DeploymentQuery(work_pools=pools, work_queues=queues)
    served = client.send(deployments.count(query))
    shown = first(client, deployments.query, query, limit=_NAMED)
    flows = flow_names(client, {each.flow_id for each in shown})
    names = [f"{flows.get(each.flow_id, '')}/{each.name}" for each in shown]

    def runs(types: StateTypeFilter) -> int:
        chosen = FlowRunFilter(state=StateFilter(type=types))
        return client.send(flow_runs.count(FlowRunQuery(work_pools=pools, work_queues=queues, flow_runs=chosen)))

    return Content(
        deployments=_named(served, "deployment", names),
        waiting=runs(StateTypeFilter(any_=[StateType.SCHEDULED])),
        in_progress=runs(StateTypeFilter(not_any_=sorted({*TERMINAL, StateType.SCHEDULED}))),
    )


def _named(count: int, what: str, names: Sequence[str]) -> str:
    """`2 queues (default, urgent)`; of many the first few, of none nothing."""
    if not count:
        return ""
    more = f" and {count - _NAMED} more" if count > _NAMED else ""
    return f"{counted(count, what)} ({', '.join(names[:_NAMED])}{more})"
