"""Use cases of variables."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from headgate.errors import Conflict, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.filters import VariableQuery
from headgate.schema.variables import Variable, VariableCreate, VariableUpdate
from headgate.services.scope import Scope
from headgate.store import variables as rows
from headgate.store.database import Tx

LONGEST = 5000
"""Characters of a value, as JSON."""

Find = Callable[[Tx], Awaitable[Variable | None]]


async def create(scope: Scope, body: VariableCreate) -> Variable:
    """Create a variable; `Conflict` when the name is taken."""
    _check(body.value)
    now = scope.now
    variable = Variable(id=uuid7(now), created=now, updated=now, name=body.name, value=body.value, tags=body.tags)
    if not await scope.store.write(lambda tx: rows.insert(tx, variable)):
        raise _taken(body.name)
    return variable


async def get(scope: Scope, id: UUID) -> Variable:
    """One variable."""
    return _found(await scope.store.read(lambda tx: rows.get(tx, id)))


async def get_by_name(scope: Scope, name: str) -> Variable:
    """One variable, by its name."""
    return _found(await scope.store.read(lambda tx: rows.get_by_name(tx, name)))


async def list_page(scope: Scope, query: VariableQuery) -> list[Variable]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))


async def count(scope: Scope, query: VariableQuery) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, query))


async def update(scope: Scope, id: UUID, body: VariableUpdate) -> None:
    """Change a variable; runs that are launched from now on see it."""
    await _update(scope, lambda tx: rows.get(tx, id), body)


async def update_by_name(scope: Scope, name: str, body: VariableUpdate) -> None:
    """Change a variable, by its name."""
    await _update(scope, lambda tx: rows.get_by_name(tx, name), body)


async def _update(scope: Scope, find: Find, body: VariableUpdate) -> None:
    async def unit(tx: Tx) -> None:
        variable = _found(await find(tx))
        variable.updated = scope.now
        if body.name is not UNSET:
            variable.name = body.name or variable.name
        if body.value is not UNSET:
            _check(body.value)
            variable.value = body.value
        if body.tags is not UNSET:
            variable.tags = body.tags or []
        if not await rows.update(tx, variable):
            raise _taken(variable.name)

    await scope.store.write(unit)


async def delete(scope: Scope, id: UUID) -> None:
    """Delete a variable; runs that refer to it crash when they are launched, and say so."""
    await _delete(scope, lambda tx: rows.get(tx, id))


async def delete_by_name(scope: Scope, name: str) -> None:
    """Delete a variable, by its name."""
    await _delete(scope, lambda tx: rows.get_by_name(tx, name))


async def _delete(scope: Scope, find: Find) -> None:
    async def unit(tx: Tx) -> None:
        await rows.delete(tx, _found(await find(tx)).id)

    await scope.store.write(unit)


def _found(variable: Variable | None) -> Variable:
    if variable is None:
        raise NotFound("Variable not found.")
    return variable


def _check(value: Any) -> None:
    if len(msgspec.json.encode(value).decode()) > LONGEST:
        raise Invalid(f"A variable holds {LONGEST} characters of JSON at most; keep longer values in a file.", field="value")


def _taken(name: str) -> Conflict:
    return Conflict(f"A variable with the name {name!r} already exists.")
