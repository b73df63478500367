"""Use cases of automations: kept as clients wish, and not evaluated."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec.structs import asdict

from headgate.core.automation_actions import completed_action
from headgate.core.automations import check_rests, completed
from headgate.core.document_events import CREATED, DELETED, UPDATED, of_automation
from headgate.core.templates import validate_variables
from headgate.errors import Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.automations import (
    Automation,
    AutomationCreate,
    AutomationPartialUpdate,
    AutomationQuery,
    AutomationUpdate,
)
from headgate.services.resource_events import keep
from headgate.services.scope import Scope
from headgate.store import automations as rows
from headgate.store import deployments as deployment_rows
from headgate.store import work_pools as pool_rows
from headgate.store.database import Tx


async def create(scope: Scope, body: AutomationCreate) -> Automation:
    """Create an automation; its triggers get ids of their own."""
    now = scope.now
    given = asdict(body)
    owner = given.pop("owner_resource")
    given |= _completed(body, now)
    automation = Automation(id=uuid7(now), created=now, updated=now, **given)

    async def unit(tx: Tx) -> None:
        await _check_job_variables(tx, automation.actions, now)
        await rows.insert(tx, automation, owner)
        await keep(scope, tx, of_automation(automation, CREATED))

    await scope.store.write(unit)
    return automation


def _completed(body: AutomationUpdate, now: datetime) -> dict[str, Any]:
    """The trigger and the actions with all of their fields; `Invalid` when it is on and would set itself off for ever."""
    lists = {name: getattr(body, name) for name in ("actions", "actions_on_trigger", "actions_on_resolve")}
    made: dict[str, Any] = {"trigger": completed(body.trigger, lambda: uuid7(now))} | {
        name: [completed_action(each, at=f"{name}[{index}]") for index, each in enumerate(actions)]
        for name, actions in lists.items()
    }
    if body.enabled:
        check_rests(made["trigger"], made["actions"])
    return made


async def _check_job_variables(tx: Tx, actions: list[dict[str, Any]], now: datetime) -> None:
    """`Invalid` for job variables that the pool of the deployment which an action runs does not allow."""
    for index, action in enumerate(actions):
        if not (action["type"] == "run-deployment" and action["deployment_id"] and action["job_variables"]):
            continue
        deployment = await deployment_rows.get(tx, UUID(action["deployment_id"]), now=now)
        if deployment is None:
            raise NotFound("Deployment not found.")
        pool = await pool_rows.get(tx, deployment.work_pool_name or "", now=now)
        if pool is None or not pool.base_job_template:
            continue
        try:
            layers = deployment.job_variables, action["job_variables"]
            validate_variables(pool.base_job_template, *layers, doing="creating automation")
        except Invalid as error:
            raise Invalid(str(error), field=f"actions[{index}].{error.field}", detail=error.detail) from None


async def get(scope: Scope, id: UUID) -> Automation:
    """One automation."""
    return _found(await scope.store.read(lambda tx: rows.get(tx, id)))


async def list_page(scope: Scope, query: AutomationQuery) -> list[Automation]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))


async def list_related(scope: Scope, resource: str) -> list[Automation]:
    """Those that go with a resource, or act upon it."""
    return await scope.store.read(lambda tx: rows.list_related(tx, resource))


async def count(scope: Scope, query: AutomationQuery) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, query))


async def replace(scope: Scope, id: UUID, body: AutomationUpdate) -> None:
    """Have an automation be as the body says."""
    now = scope.now
    given = asdict(body) | _completed(body, now) | {"updated": now}

    async def unit(tx: Tx) -> None:
        automation = _found(await rows.get(tx, id))
        await _check_job_variables(tx, given["actions"], now)
        for name, value in given.items():
            setattr(automation, name, value)
        await rows.update(tx, automation)
        await keep(scope, tx, of_automation(automation, UPDATED))

    await scope.store.write(unit)


async def switch(scope: Scope, id: UUID, body: AutomationPartialUpdate) -> None:
    """Switch an automation on or off."""

    async def unit(tx: Tx) -> None:
        automation = _found(await rows.get(tx, id))
        if body.enabled:
            check_rests(automation.trigger, automation.actions, field="")
        automation.enabled = body.enabled
        automation.updated = scope.now
        await rows.update(tx, automation)
        await keep(scope, tx, of_automation(automation, UPDATED))

    await scope.store.write(unit)


async def delete(scope: Scope, id: UUID) -> None:
    """Delete an automation."""

    async def unit(tx: Tx) -> None:
        automation = _found(await rows.get(tx, id))
        await rows.delete(tx, id)
        await keep(scope, tx, of_automation(automation, DELETED))

    await scope.store.write(unit)


async def delete_owned(scope: Scope, resource: str) -> None:
    """Delete all that go with a resource; there may be none."""
    now = scope.now
    await scope.store.write(lambda tx: rows.delete_owned(tx, resource, now=now))


def _found(automation: Automation | None) -> Automation:
    if automation is None:
        raise _missing()
    return automation


def _missing() -> NotFound:
    return NotFound("Automation not found")
