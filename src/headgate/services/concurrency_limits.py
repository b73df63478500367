"""Use cases of concurrency limits, those of deployments among them: these appear under `deployment:<id>`."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from uuid import UUID

from headgate.core.document_events import CREATED, DELETED, UPDATED, of_limit
from headgate.errors import Conflict, NotFound
from headgate.schema.concurrency_limits import (
    ConcurrencyLimitQuery,
    GlobalConcurrencyLimit,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    is_given,
)
from headgate.schema.deployments import DeploymentUpdate
from headgate.services import deployments, slots
from headgate.services.resource_events import keep
from headgate.services.scope import Scope
from headgate.store import concurrency_limits as rows
from headgate.store import deployments as deployment_rows
from headgate.store.concurrency_limits import Limit
from headgate.store.database import Tx

OF_DEPLOYMENT = "deployment:"

Find = Callable[[Tx], Awaitable[list[Limit]]]


async def create(scope: Scope, body: GlobalConcurrencyLimitCreate) -> GlobalConcurrencyLimit:
    """Create a limit; `Conflict` when the name is taken."""
    made = slots.new_limit(scope, body.name, body.limit, active=body.active)
    made.meter = replace(
        made.meter,
        active=float(body.active_slots),
        denied=float(body.denied_slots),
        decay=body.slot_decay_per_second,
    )
    record = made.record(scope.now)

    async def unit(tx: Tx) -> None:
        if not await rows.insert(tx, made):
            raise _taken(body.name)
        await keep(scope, tx, of_limit(record, CREATED))

    await scope.store.write(unit)
    return record


async def get(scope: Scope, id_or_name: str) -> GlobalConcurrencyLimit:
    """One limit, by its id or its name."""

    async def unit(tx: Tx) -> GlobalConcurrencyLimit:
        if found := await _present(scope, tx, await _find(tx, id_or_name)):
            return found[0]
        if (id := _deployment_id(id_or_name)) and (of_it := await _of_deployments(scope, tx, [id])):
            return of_it[0]
        raise _missing()

    return await scope.store.read(unit)


async def list_page(scope: Scope, query: ConcurrencyLimitQuery) -> list[GlobalConcurrencyLimit]:
    """A page of all limits, by name."""

    async def unit(tx: Tx) -> list[GlobalConcurrencyLimit]:
        names = await rows.names_page(tx, query)
        found = await _present(scope, tx, await rows.by_names(tx, names))
        found += await _of_deployments(scope, tx, [id for name in names if (id := _deployment_id(name))])
        place = {name: at for at, name in enumerate(names)}
        return sorted(found, key=lambda limit: place[limit.name])

    return await scope.store.read(unit)


async def update(scope: Scope, id_or_name: str, body: GlobalConcurrencyLimitUpdate) -> None:
    """Change a limit; of a deployment's, the number of its slots can be."""

    async def unit(tx: Tx) -> tuple[bool, set[UUID]]:
        found = await _find(tx, id_or_name)
        held = await slots.locked(scope, tx, [limit.name for limit in found])
        for limit in held:
            _apply(scope, limit, body)
            if not await rows.update(tx, limit):
                raise _taken(limit.name)
            await keep(scope, tx, of_limit(limit.record(scope.now), UPDATED))
        return bool(held), await slots.waiting(tx, held)

    is_found, told = await scope.store.write(unit)
    if not is_found:
        id = await _limited_deployment(scope, id_or_name)
        if is_given(body.limit):
            await deployments.update(scope, id, DeploymentUpdate(concurrency_limit=body.limit))
    scope.wakeups.wake(told)


async def delete(scope: Scope, id_or_name: str) -> None:
    """Delete a limit: from now on it constrains nobody."""

    async def unit(tx: Tx) -> tuple[bool, set[UUID]]:
        found = await _find(tx, id_or_name)
        waiting = await slots.waiting(tx, found)
        for limit in found:
            await rows.delete(tx, limit.id)
            await keep(scope, tx, of_limit(limit.record(scope.now), DELETED))
        return bool(found), waiting

    is_found, told = await scope.store.write(unit)
    if not is_found:
        id = await _limited_deployment(scope, id_or_name)
        await deployments.update(scope, id, DeploymentUpdate(concurrency_limit=None))
    scope.wakeups.wake(told)


def _apply(scope: Scope, limit: Limit, body: GlobalConcurrencyLimitUpdate) -> None:
    limit.updated = scope.now
    limit.name = body.name if isinstance(body.name, str) else limit.name
    limit.active = body.active if isinstance(body.active, bool) else limit.active
    fields = {
        "limit": body.limit,
        "active": body.active_slots,
        "denied": body.denied_slots,
        "decay": body.slot_decay_per_second,
    }
    limit.meter = replace(limit.meter, **{name: value for name, value in fields.items() if is_given(value)})  # type: ignore[arg-type]


async def _find(tx: Tx, id_or_name: str) -> list[Limit]:
    id = _as_id(id_or_name)
    return await rows.by_names(tx, [id_or_name]) if id is None else await rows.by_ids(tx, [id])


async def _present(scope: Scope, tx: Tx, found: Sequence[Limit]) -> list[GlobalConcurrencyLimit]:
    """Limits that were only read, as they are now."""
    now = scope.now
    lapsed = await rows.held_of(tx, [limit.id for limit in found], lapsed_by=now) if found else []
    return [slots.as_now(limit, lapsed, now).record(now) for limit in found]


async def _of_deployments(scope: Scope, tx: Tx, ids: Sequence[UUID]) -> list[GlobalConcurrencyLimit]:
    found = await deployment_rows.get_many(tx, list(ids), now=scope.now) if ids else {}
    return [
        each.global_concurrency_limit for each in found.values() if each.global_concurrency_limit and each.limit is not None
    ]


async def _limited_deployment(scope: Scope, id_or_name: str) -> UUID:
    """The deployment whose limit is meant; `NotFound` when there is none, or it has no limit."""
    id = _deployment_id(id_or_name)
    if id is None or not await scope.store.read(lambda tx: _of_deployments(scope, tx, [id])):
        raise _missing()
    return id


def _deployment_id(id_or_name: str) -> UUID | None:
    """Its limit has the deployment's own id."""
    return _as_id(id_or_name.removeprefix(OF_DEPLOYMENT))


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _missing() -> NotFound:
    return NotFound("Concurrency Limit not found")


def _taken(name: str) -> Conflict:
    return Conflict(f"A concurrency limit with the name {name!r} already exists.")
