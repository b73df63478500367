"""Use cases of variables."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from headgate.core.document_events import CREATED, DELETED, UPDATED, of_variable
from headgate.errors import Conflict, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.filters import VariableQuery
from headgate.schema.variables import NAME_PATTERN, Variable, VariableCreate, VariableUpdate
from headgate.services.resource_events import keep
from headgate.services.scope import Scope
from headgate.store import variables as rows
from headgate.store.database import Tx

LONGEST_NAME = 255
LONGEST = 5000
"""Characters of a value, as JSON."""

Find = Callable[[Tx], Awaitable[Variable | None]]


async def create(scope: Scope, body: VariableCreate) -> Variable:
    """Create a variable; `Conflict` when the name is taken."""
    _check_name(body.name)
    _check_value(body.value)
    now = scope.now
    variable = Variable(id=uuid7(now), created=now, updated=now, name=body.name, value=body.value, tags=body.tags)

    async def unit(tx: Tx) -> None:
        if not await rows.insert(tx, variable):
            raise _taken(body.name)
        await keep(scope, tx, of_variable(variable, CREATED))

    await scope.store.write(unit)
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
    if isinstance(body.name, str):
        _check_name(body.name)
    if body.value is not UNSET:
        _check_value(body.value)

    async def unit(tx: Tx) -> None:
        variable = _found(await find(tx))
        variable.updated = scope.now
        if body.name is not UNSET:
            variable.name = variable.name if body.name is None else body.name
        if body.value is not UNSET:
            variable.value = body.value
        if body.tags is not UNSET:
            if body.tags is None:
                raise Conflict("The tags of a variable are a list: leave them out to keep them, or send an empty one.")
            variable.tags = body.tags
        if not await rows.update(tx, variable):
            raise _taken(variable.name)
        await keep(scope, tx, of_variable(variable, UPDATED))

    await scope.store.write(unit)


async def delete(scope: Scope, id: UUID) -> None:
    """Delete a variable; runs that refer to it crash when they are launched, and say so."""
    await _delete(scope, lambda tx: rows.get(tx, id))


async def delete_by_name(scope: Scope, name: str) -> None:
    """Delete a variable, by its name."""
    await _delete(scope, lambda tx: rows.get_by_name(tx, name))


async def _delete(scope: Scope, find: Find) -> None:
    async def unit(tx: Tx) -> None:
        variable = _found(await find(tx))
        await rows.delete(tx, variable.id)
        await keep(scope, tx, of_variable(variable, DELETED))

    await scope.store.write(unit)


def _found(variable: Variable | None) -> Variable:
    if variable is None:
        raise NotFound("Variable not found.")
    return variable


def _check_name(name: str) -> None:
    if len(name) > LONGEST_NAME:
        raise Invalid(f"Value should have at most {LONGEST_NAME} characters.", field="name")
    if not re.fullmatch(NAME_PATTERN, name):
        words = "Variable name must only contain lowercase letters, numbers, and dashes or underscores."
        raise Invalid(words, field="name")


def _check_value(value: Any) -> None:
    if len(msgspec.json.encode(value).decode()) > LONGEST:
        words = f"Variable value must be less than {LONGEST} characters of JSON; keep longer ones in a file."
        raise Invalid(words, field="value")


def _taken(name: str) -> Conflict:
    return Conflict(f"A variable with the name {name!r} already exists.")
