"""Calls about block schemas."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.block_schemas import BlockSchema, BlockSchemaCreate, BlockSchemaQuery


def create(body: BlockSchemaCreate) -> Call[BlockSchema]:
    """Create a block schema, or get the one that there is."""
    return Call("POST", "/block_schemas/", body=body, returns=BlockSchema)


def query(body: BlockSchemaQuery | None = None) -> Call[list[BlockSchema]]:
    """Block schemas that match."""
    return Call("POST", "/block_schemas/filter", body=body or BlockSchemaQuery(), returns=list[BlockSchema])


def get(id: UUID) -> Call[BlockSchema]:
    """One block schema."""
    return Call("GET", "/block_schemas/{id}", at={"id": id}, returns=BlockSchema)


def get_by_checksum(checksum: str, version: str | None = None) -> Call[BlockSchema]:
    """The block schema of this version, or the newest of any."""
    asked = {} if version is None else {"version": version}
    return Call("GET", "/block_schemas/checksum/{checksum}", at={"checksum": checksum}, query=asked, returns=BlockSchema)


def delete(id: UUID) -> Call[None]:
    """Delete a block schema with its documents."""
    return Call("DELETE", "/block_schemas/{id}", at={"id": id})


def capabilities() -> Call[list[str]]:
    """What the blocks of some schema can do."""
    return Call("GET", "/block_capabilities/", returns=list[str])
