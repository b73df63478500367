"""Use cases of saved searches."""

from uuid import UUID

from headgate.errors import NotFound
from headgate.ids import uuid7
from headgate.schema.saved_searches import SavedSearch, SavedSearchCreate, SavedSearchQuery
from headgate.services.scope import Scope
from headgate.store import saved_searches as rows


async def put(scope: Scope, body: SavedSearchCreate) -> tuple[SavedSearch, bool]:
    """Save a search under its name; answers it, and whether the name is new."""
    now = scope.now
    search = SavedSearch(id=uuid7(now), created=now, updated=now, name=body.name, filters=body.filters)
    kept = await scope.store.write(lambda tx: rows.put(tx, search))
    return kept, kept.id == search.id


async def get(scope: Scope, id: UUID) -> SavedSearch:
    """One saved search."""
    search = await scope.store.read(lambda tx: rows.get(tx, id))
    if search is None:
        raise _missing()
    return search


async def list_page(scope: Scope, query: SavedSearchQuery) -> list[SavedSearch]:
    """A page of them."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query))


async def delete(scope: Scope, id: UUID) -> None:
    """Delete a saved search."""
    if not await scope.store.write(lambda tx: rows.delete(tx, id)):
        raise _missing()


def _missing() -> NotFound:
    return NotFound("Saved search not found")
