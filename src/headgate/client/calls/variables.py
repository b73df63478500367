"""Calls about variables."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.filters import VariableQuery
from headgate.schema.variables import Variable, VariableCreate, VariableUpdate


def create(body: VariableCreate) -> Call[Variable]:
    """Create a variable."""
    return Call("POST", "/variables/", body=body, returns=Variable)


def get(id: UUID) -> Call[Variable]:
    """One variable."""
    return Call("GET", "/variables/{id}", at={"id": id}, returns=Variable)


def get_by_name(name: str) -> Call[Variable]:
    """One variable, by its name."""
    return Call("GET", "/variables/name/{name}", at={"name": name}, returns=Variable)


def query(body: VariableQuery | None = None) -> Call[list[Variable]]:
    """Variables that match."""
    return Call("POST", "/variables/filter", body=body or VariableQuery(), returns=list[Variable])


def count(body: VariableQuery | None = None) -> Call[int]:
    """How many variables match."""
    return Call("POST", "/variables/count", body=body or VariableQuery(), returns=int)


def update(id: UUID, body: VariableUpdate) -> Call[None]:
    """Change a variable."""
    return Call("PATCH", "/variables/{id}", at={"id": id}, body=body)


def update_by_name(name: str, body: VariableUpdate) -> Call[None]:
    """Change a variable, by its name."""
    return Call("PATCH", "/variables/name/{name}", at={"name": name}, body=body)


def delete(id: UUID) -> Call[None]:
    """Delete a variable."""
    return Call("DELETE", "/variables/{id}", at={"id": id})


def delete_by_name(name: str) -> Call[None]:
    """Delete a variable, by its name."""
    return Call("DELETE", "/variables/name/{name}", at={"name": name})
