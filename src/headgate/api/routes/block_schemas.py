"""Routes of block schemas, and of what blocks can do."""

from uuid import UUID

from headgate.api.routing import Answer, Router
from headgate.schema.block_schemas import BlockSchema, BlockSchemaCreate, BlockSchemaQuery
from headgate.services import block_schemas
from headgate.services.scope import Scope

router = Router("/block_schemas", tag="Block schemas")
capabilities_router = Router("/block_capabilities", tag="Block capabilities")


@router.post("/", status=201)
async def create_block_schema(scope: Scope, body: BlockSchemaCreate) -> Answer[BlockSchema]:
    """Create a block schema, and those that it lists; one of the same checksum and version is answered with 200."""
    schema, is_new = await block_schemas.create(scope, body)
    return Answer(schema, 201 if is_new else 200)


@router.post("/filter")
async def read_block_schemas(scope: Scope, body: BlockSchemaQuery | None) -> list[BlockSchema]:
    """Block schemas that match, the newest first."""
    return await block_schemas.list_page(scope, body or BlockSchemaQuery())


@router.get("/checksum/{checksum}")
async def read_block_schema_by_checksum(scope: Scope, checksum: str, version: str | None = None) -> BlockSchema:
    """The block schema of this checksum and version, or the newest of any version."""
    return await block_schemas.get_by_checksum(scope, checksum, version)


@router.get("/{id}")
async def read_block_schema(scope: Scope, id: UUID) -> BlockSchema:
    """One block schema."""
    return await block_schemas.get(scope, id)


@router.delete("/{id}")
async def delete_block_schema(scope: Scope, id: UUID) -> None:
    """Delete a block schema with its documents; one of a protected type stays."""
    await block_schemas.delete(scope, id)


@capabilities_router.get("/")
async def read_block_capabilities(scope: Scope) -> list[str]:
    """What the blocks of some schema can do."""
    return await block_schemas.capabilities(scope)
