"""Use cases of flows."""

from uuid import UUID

from msgspec import UNSET

from headgate.core.document_events import CREATED, DELETED, UPDATED, of_flow
from headgate.errors import NotFound
from headgate.ids import uuid7
from headgate.schema.filters import FlowBulkDelete, FlowPageQuery, FlowQuery
from headgate.schema.flows import Flow, FlowCreate, FlowPage, FlowsDeleted, FlowUpdate
from headgate.services import pages
from headgate.services.resource_events import keep
from headgate.services.scope import Scope
from headgate.store import flow_runs as run_rows
from headgate.store import flows as rows
from headgate.store.database import Tx


async def create(scope: Scope, body: FlowCreate) -> tuple[Flow, bool]:
    """Register a flow; answers the one of that name, and whether it is new."""
    now = scope.now
    flow = Flow(id=uuid7(now), created=now, updated=now, name=body.name, tags=body.tags, labels=body.labels or {})

    async def unit(tx: Tx) -> tuple[Flow, bool]:
        if await rows.insert(tx, flow):
            await keep(scope, tx, of_flow(flow, CREATED))
            return flow, True
        return await rows.get_by_name(tx, body.name) or flow, False

    return await scope.store.write(unit)


async def get(scope: Scope, id: UUID) -> Flow:
    """One flow."""
    return _found(await scope.store.read(lambda tx: rows.get(tx, id)))


async def get_by_name(scope: Scope, name: str) -> Flow:
    """One flow, by its name."""
    return _found(await scope.store.read(lambda tx: rows.get_by_name(tx, name)))


async def list_page(scope: Scope, query: FlowQuery) -> list[Flow]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))


async def paginate(scope: Scope, query: FlowPageQuery) -> FlowPage:
    """A numbered page of those that match."""
    return await pages.numbered(scope, query, kind=FlowQuery, rows=rows.list_page, count=rows.count, page=FlowPage)


async def count(scope: Scope, query: FlowQuery) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, query))


async def update(scope: Scope, id: UUID, body: FlowUpdate) -> None:
    """Change tags or labels."""

    async def unit(tx: Tx) -> None:
        flow = _found(await rows.get(tx, id))
        flow.updated = scope.now
        if body.tags is not UNSET:
            flow.tags = body.tags
        if body.labels is not UNSET:
            flow.labels = flow.labels | body.labels
        await rows.update(tx, flow)
        await keep(scope, tx, of_flow(flow, UPDATED))

    await scope.store.write(unit)


async def delete(scope: Scope, id: UUID) -> None:
    """Delete, with its deployments and runs; their slots are free at once."""

    async def unit(tx: Tx) -> set[UUID]:
        flow = _found(await rows.get(tx, id))
        runs = await run_rows.ids_of_flow(tx, id)
        pools = await run_rows.pools_of(tx, runs)
        await run_rows.delete(tx, runs)
        await rows.delete(tx, id)
        await keep(scope, tx, of_flow(flow, DELETED))
        return pools

    scope.wakeups.wake(await scope.store.write(unit))


async def delete_many(scope: Scope, body: FlowBulkDelete) -> FlowsDeleted:
    """Delete flows that match, each in a transaction of its own; answers which."""
    found = await list_page(scope, FlowQuery(flows=body.flows, limit=body.limit))
    deleted: list[UUID] = []
    for flow in found:
        try:
            await delete(scope, flow.id)
        except NotFound:  # somebody else was quicker
            continue
        deleted.append(flow.id)
    return FlowsDeleted(deleted=deleted)


def _found(flow: Flow | None) -> Flow:
    if flow is None:
        raise _missing()
    return flow


def _missing() -> NotFound:
    return NotFound("Flow not found")
