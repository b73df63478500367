"""Routes of flows."""

from uuid import UUID

from headgate.api.routing import Answer, Router
from headgate.schema.filters import FlowBulkDelete, FlowPageQuery, FlowQuery
from headgate.schema.flows import Flow, FlowCreate, FlowPage, FlowsDeleted, FlowUpdate
from headgate.services import flows
from headgate.services.scope import Scope

router = Router("/flows", tag="Flows")


@router.post("/", status=201)
async def create_flow(scope: Scope, body: FlowCreate) -> Answer[Flow]:
    """Register a flow; an existing flow of that name is answered with 200."""
    flow, is_new = await flows.create(scope, body)
    return Answer(flow, 201 if is_new else 200)


@router.post("/filter")
async def read_flows(scope: Scope, body: FlowQuery | None) -> list[Flow]:
    """Flows that match."""
    return await flows.list_page(scope, body or FlowQuery())


@router.post("/paginate")
async def paginate_flows(scope: Scope, body: FlowPageQuery | None) -> FlowPage:
    """A numbered page of flows that match."""
    return await flows.paginate(scope, body or FlowPageQuery())


@router.post("/bulk_delete")
async def bulk_delete_flows(scope: Scope, body: FlowBulkDelete | None) -> FlowsDeleted:
    """Delete up to 50 flows that match, with their deployments and runs."""
    return await flows.delete_many(scope, body or FlowBulkDelete())


@router.post("/count")
async def count_flows(scope: Scope, body: FlowQuery | None) -> int:
    """How many flows match."""
    return await flows.count(scope, body or FlowQuery())


@router.get("/name/{name}")
async def read_flow_by_name(scope: Scope, name: str) -> Flow:
    """One flow, by its name."""
    return await flows.get_by_name(scope, name)


@router.get("/{id}")
async def read_flow(scope: Scope, id: UUID) -> Flow:
    """One flow."""
    return await flows.get(scope, id)


@router.patch("/{id}")
async def update_flow(scope: Scope, id: UUID, body: FlowUpdate) -> None:
    """Change a flow's tags or labels."""
    await flows.update(scope, id, body)


@router.delete("/{id}")
async def delete_flow(scope: Scope, id: UUID) -> None:
    """Delete a flow with its deployments and runs."""
    await flows.delete(scope, id)
