"""Use cases of the storage of results that runs use which name none: a block, chosen for the whole server."""

from uuid import UUID

from headgate.errors import NotFound, Unprocessable
from headgate.schema.admin import ResultStorage
from headgate.services.scope import Scope
from headgate.store import block_documents, block_schemas, configuration
from headgate.store.database import Tx

_KEY = "result-storage"
_NEEDED = "write-path"


async def get(scope: Scope) -> ResultStorage:
    """The block that is chosen."""
    return ResultStorage(default_result_storage_block_id=await scope.store.read(_get))


async def choose(scope: Scope, id: UUID) -> ResultStorage:
    """Choose a block; `NotFound` when there is none, `Unprocessable` for one that writes no files."""

    async def unit(tx: Tx) -> None:
        document = await block_documents.get(tx, id)
        if document is None:
            raise NotFound(f"Block document {id} not found.")
        schema = await block_schemas.get(tx, document.block_schema_id)
        if schema is None or _NEEDED not in schema.capabilities:
            raise Unprocessable(f"Block document {id} cannot be used for result storage.")
        await configuration.put(tx, _KEY, str(id), now=scope.now)

    await scope.store.write(unit)
    return ResultStorage(default_result_storage_block_id=id)


async def clear(scope: Scope) -> None:
    """Choose none."""
    await scope.store.write(lambda tx: configuration.delete(tx, _KEY))


async def forget_missing(tx: Tx) -> None:
    """Choose none if the one that was chosen is gone."""
    chosen = await _get(tx)
    if chosen is not None and await block_documents.get(tx, chosen) is None:
        await configuration.delete(tx, _KEY)


async def _get(tx: Tx) -> UUID | None:
    chosen = await configuration.get(tx, _KEY)
    return None if chosen is None else UUID(chosen)
