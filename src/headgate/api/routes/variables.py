"""Routes of variables."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.filters import VariableQuery
from headgate.schema.variables import Variable, VariableCreate, VariableUpdate
from headgate.services import variables
from headgate.services.scope import Scope

router = Router("/variables", tag="Variables")


@router.post("/", status=201)
async def create_variable(scope: Scope, body: VariableCreate) -> Variable:
    """Create a variable."""
    return await variables.create(scope, body)


@router.post("/filter")
async def read_variables(scope: Scope, body: VariableQuery | None) -> list[Variable]:
    """Variables that match."""
    return await variables.list_page(scope, body or VariableQuery())


@router.post("/count")
async def count_variables(scope: Scope, body: VariableQuery | None) -> int:
    """How many variables match."""
    return await variables.count(scope, body or VariableQuery())


@router.get("/name/{name}")
async def read_variable_by_name(scope: Scope, name: str) -> Variable:
    """One variable, by its name."""
    return await variables.get_by_name(scope, name)


@router.patch("/name/{name}")
async def update_variable_by_name(scope: Scope, name: str, body: VariableUpdate) -> None:
    """Change a variable, by its name: what is left out stays."""
    await variables.update_by_name(scope, name, body)


@router.delete("/name/{name}")
async def delete_variable_by_name(scope: Scope, name: str) -> None:
    """Delete a variable, by its name."""
    await variables.delete_by_name(scope, name)


@router.get("/{id}")
async def read_variable(scope: Scope, id: UUID) -> Variable:
    """One variable."""
    return await variables.get(scope, id)


@router.patch("/{id}")
async def update_variable(scope: Scope, id: UUID, body: VariableUpdate) -> None:
    """Change a variable: what is left out stays."""
    await variables.update(scope, id, body)


@router.delete("/{id}")
async def delete_variable(scope: Scope, id: UUID) -> None:
    """Delete a variable."""
    await variables.delete(scope, id)
