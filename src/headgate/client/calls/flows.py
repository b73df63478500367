"""Calls about flows."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.filters import FlowBulkDelete, FlowPageQuery, FlowQuery
from headgate.schema.flows import Flow, FlowCreate, FlowPage, FlowsDeleted, FlowUpdate


def create(body: FlowCreate) -> Call[Flow]:
    """Register a flow; an existing flow of that name is answered."""
    return Call("POST", "/flows/", body=body, returns=Flow)


def get(id: UUID) -> Call[Flow]:
    """One flow."""
    return Call("GET", "/flows/{id}", at={"id": id}, returns=Flow)


def get_by_name(name: str) -> Call[Flow]:
    """One flow, by its name."""
    return Call("GET", "/flows/name/{name}", at={"name": name}, returns=Flow)


def query(body: FlowQuery | None = None) -> Call[list[Flow]]:
    """Flows that match."""
    return Call("POST", "/flows/filter", body=body or FlowQuery(), returns=list[Flow])


def count(body: FlowQuery | None = None) -> Call[int]:
    """How many flows match."""
    return Call("POST", "/flows/count", body=body or FlowQuery(), returns=int)


def update(id: UUID, body: FlowUpdate) -> Call[None]:
    """Change a flow."""
    return Call("PATCH", "/flows/{id}", at={"id": id}, body=body)


def delete(id: UUID) -> Call[None]:
    """Delete a flow with its deployments and runs."""
    return Call("DELETE", "/flows/{id}", at={"id": id})


def paginate(body: FlowPageQuery | None = None) -> Call[FlowPage]:
    """A numbered page of flows that match."""
    return Call("POST", "/flows/paginate", body=body or FlowPageQuery(), returns=FlowPage)


def delete_many(body: FlowBulkDelete) -> Call[FlowsDeleted]:
    """Delete flows that match, with their deployments and runs."""
    return Call("POST", "/flows/bulk_delete", body=body, returns=FlowsDeleted)
