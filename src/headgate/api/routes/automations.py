"""Routes of automations."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.automations import (
    Automation,
    AutomationCreate,
    AutomationPartialUpdate,
    AutomationQuery,
    AutomationUpdate,
)
from headgate.services import automations
from headgate.services.scope import Scope

router = Router("/automations", tag="Automations")
_ERROR_KEY = "exception_message"


@router.post("/", status=201)
async def create_automation(scope: Scope, body: AutomationCreate) -> Automation:
    """Create an automation; it is kept, and not evaluated."""
    return await automations.create(scope, body)


@router.post("/filter")
async def read_automations(scope: Scope, body: AutomationQuery | None) -> list[Automation]:
    """Automations that match, by name."""
    return await automations.list_page(scope, body or AutomationQuery())


@router.post("/count")
async def count_automations(scope: Scope, body: AutomationQuery | None) -> int:
    """How many automations match."""
    return await automations.count(scope, body or AutomationQuery())


@router.get("/related-to/{resource_id}")
async def read_related_automations(scope: Scope, resource_id: str) -> list[Automation]:
    """Automations that go with a resource, such as `prefect.deployment.ID`."""
    return await automations.list_related(scope, resource_id)


@router.delete("/owned-by/{resource_id}", status=202)
async def delete_owned_automations(scope: Scope, resource_id: str) -> None:
    """Delete all automations that go with a resource."""
    await automations.delete_owned(scope, resource_id)


@router.get("/{id}", error_key=_ERROR_KEY)
async def read_automation(scope: Scope, id: UUID) -> Automation:
    """One automation."""
    return await automations.get(scope, id)


@router.put("/{id}", status=204, error_key=_ERROR_KEY)
async def replace_automation(scope: Scope, id: UUID, body: AutomationUpdate) -> None:
    """Replace an automation."""
    await automations.replace(scope, id, body)


@router.patch("/{id}", error_key=_ERROR_KEY)
async def switch_automation(scope: Scope, id: UUID, body: AutomationPartialUpdate) -> None:
    """Switch an automation on or off."""
    await automations.switch(scope, id, body)


@router.delete("/{id}", error_key=_ERROR_KEY)
async def delete_automation(scope: Scope, id: UUID) -> None:
    """Delete an automation."""
    await automations.delete(scope, id)
