"""Records by the names that people type, and whole listings page by page."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from msgspec import structs

from headgate.cli.output import UsageError
from headgate.client.call import Call
from headgate.client.calls import concurrency_limits, deployments, flow_runs, flows, work_pools, work_queues
from headgate.client.client import Client
from headgate.errors import NotFound
from headgate.schema.concurrency_limits import GlobalConcurrencyLimit
from headgate.schema.deployments import Deployment
from headgate.schema.filters import (
    MAX_PAGE,
    FlowFilter,
    FlowQuery,
    FlowRunFilter,
    FlowRunQuery,
    IdFilter,
    NameFilter,
    Page,
    QueueNameFilter,
    WorkPoolFilter,
    WorkPoolQuery,
    WorkQueueFilter,
    WorkQueueQuery,
)
from headgate.schema.flow_runs import FlowRun
from headgate.schema.work_pools import WorkPool
from headgate.schema.work_queues import WorkQueue

T = TypeVar("T")
Q = TypeVar("Q", bound=Page)


def find_deployment(client: Client, text: str) -> Deployment:
    """The deployment that `flow/deployment` or an id names."""
    id, (flow, slash, name) = uuid_of(text), text.partition("/")
    if id is None and not (flow and slash and name):
        raise UsageError(f"{text!r} does not name a deployment: give FLOW/DEPLOYMENT or an id.")
    try:
        return client.send(deployments.get(id) if id else deployments.get_by_name(flow, name))
    except NotFound:
        raise NotFound(f"There is no deployment {text!r}; `headgate deployment ls` lists all.") from None


def find_flow_run(client: Client, text: str) -> FlowRun:
    """The flow run of that id, or the only one of that name."""
    if id := uuid_of(text):
        try:
            return client.send(flow_runs.get(id))
        except NotFound:
            raise NotFound(f"There is no flow run {id}; `headgate flow-run ls` lists the latest.") from None
    query = FlowRunQuery(flow_runs=FlowRunFilter(name=NameFilter(any_=[text])), limit=5)
    match client.send(flow_runs.query(query)):
        case []:
            raise NotFound(f"There is no flow run {text!r}; `headgate flow-run ls` lists the latest.")
        case [run]:
            return run
        case runs:
            raise UsageError(f"Several flow runs are named {text!r}, give an id: {', '.join(str(run.id) for run in runs)}.")


def find_limit(client: Client, name: str) -> GlobalConcurrencyLimit:
    """The concurrency limit of that name or id; the error says where to look when there is none."""
    try:
        return client.send(concurrency_limits.get(name))
    except NotFound:
        message = f"There is no concurrency limit {name!r}; `headgate global-concurrency-limit ls` lists all."
        raise NotFound(message) from None


def find_pool(client: Client, name: str) -> WorkPool:
    """The pool of that name; the error says where to look when there is none."""
    try:
        return client.send(work_pools.get(name))
    except NotFound:
        raise NotFound(f"There is no work pool {name!r}; `headgate work-pool ls` lists all.") from None


def find_pool_or_id(client: Client, text: str) -> WorkPool:
    """The pool of that id, or of that name."""
    if id := uuid_of(text):
        query = WorkPoolQuery(work_pools=WorkPoolFilter(id=IdFilter(any_=[id])))
        if found := client.send(work_pools.query(query)):
            return found[0]
    return find_pool(client, text)


def find_queue(client: Client, name: str, pool: str | None) -> WorkQueue:
    """The queue of that name in `pool`, or without one the only queue of that name in all pools."""
    if pool is not None:
        try:
            return client.send(work_queues.get_by_name(pool, name))
        except NotFound:
            raise NotFound(f"Work pool {pool!r} has no queue {name!r}; `headgate work-queue ls` lists all.") from None
    filter = WorkQueueFilter(name=QueueNameFilter(any_=[name]))
    match every(client, work_queues.query_all, WorkQueueQuery(work_queues=filter)):
        case []:
            raise NotFound(f"There is no work queue {name!r}; `headgate work-queue ls` lists all.")
        case [queue]:
            return queue
        case queues:
            pools = ", ".join(sorted(queue.work_pool_name or "" for queue in queues))
            raise UsageError(f"Several pools have a queue {name!r}: {pools}. Say which with --pool.")


def flow_names(client: Client, ids: set[UUID]) -> dict[UUID, str]:
    """The names of these flows."""
    if not ids:
        return {}
    query = FlowQuery(flows=FlowFilter(id=IdFilter(any_=sorted(ids))))
    return {flow.id: flow.name for flow in every(client, flows.query, query)}


def every(client: Client, query: Callable[[Q], Call[list[T]]], body: Q) -> list[T]:
    """All records that `body` selects, fetched page by page."""
    found: list[T] = []
    while True:
        page = client.send(query(structs.replace(body, limit=MAX_PAGE, offset=len(found))))
        found += page
        if len(page) < MAX_PAGE:
            return found


def first(client: Client, query: Callable[[Q], Call[list[T]]], body: Q, *, limit: int) -> list[T]:
    """The first `limit` records that `body` selects."""
    found: list[T] = []
    while (room := limit - len(found)) > 0:
        size = min(room, MAX_PAGE)
        page = client.send(query(structs.replace(body, limit=size, offset=len(found))))
        found += page
        if len(page) < size:
            break
    return found


def uuid_of(text: str) -> UUID | None:
    """The id that `text` is, or None."""
    try:
        return UUID(text)
    except ValueError:
        return None
