"""Calls about automations."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.automations import (
    Automation,
    AutomationCreate,
    AutomationPartialUpdate,
    AutomationQuery,
    AutomationUpdate,
)


def create(body: AutomationCreate) -> Call[Automation]:
    """Create an automation."""
    return Call("POST", "/automations/", body=body, returns=Automation)


def query(body: AutomationQuery | None = None) -> Call[list[Automation]]:
    """Automations that match."""
    return Call("POST", "/automations/filter", body=body or AutomationQuery(), returns=list[Automation])


def count(body: AutomationQuery | None = None) -> Call[int]:
    """How many automations match."""
    return Call("POST", "/automations/count", body=body or AutomationQuery(), returns=int)


def related(resource: str) -> Call[list[Automation]]:
    """Automations that go with a resource."""
    return Call("GET", "/automations/related-to/{resource_id}", at={"resource_id": resource}, returns=list[Automation])


def get(id: UUID) -> Call[Automation]:
    """One automation."""
    return Call("GET", "/automations/{id}", at={"id": id}, returns=Automation)


def replace(id: UUID, body: AutomationUpdate) -> Call[None]:
    """Replace an automation."""
    return Call("PUT", "/automations/{id}", at={"id": id}, body=body)


def switch(id: UUID, body: AutomationPartialUpdate) -> Call[None]:
    """Switch an automation on or off."""
    return Call("PATCH", "/automations/{id}", at={"id": id}, body=body)


def delete(id: UUID) -> Call[None]:
    """Delete an automation."""
    return Call("DELETE", "/automations/{id}", at={"id": id})


def delete_owned(resource: str) -> Call[None]:
    """Delete all automations that go with a resource."""
    return Call("DELETE", "/automations/owned-by/{resource_id}", at={"resource_id": resource})
