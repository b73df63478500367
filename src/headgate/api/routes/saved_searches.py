"""Routes of saved searches."""

from uuid import UUID

from headgate.api.routing import Answer, Router
from headgate.schema.saved_searches import SavedSearch, SavedSearchCreate, SavedSearchQuery
from headgate.services import saved_searches
from headgate.services.scope import Scope

router = Router("/saved_searches", tag="Saved searches")


@router.put("/")
async def save_search(scope: Scope, body: SavedSearchCreate) -> Answer[SavedSearch]:
    """Save a search; the one of its name is replaced and answered with 200."""
    search, is_new = await saved_searches.put(scope, body)
    return Answer(search, 201 if is_new else 200)


@router.post("/filter")
async def read_saved_searches(scope: Scope, body: SavedSearchQuery | None) -> list[SavedSearch]:
    """Saved searches, by name."""
    return await saved_searches.list_page(scope, body or SavedSearchQuery())


@router.get("/{id}")
async def read_saved_search(scope: Scope, id: UUID) -> SavedSearch:
    """One saved search."""
    return await saved_searches.get(scope, id)


@router.delete("/{id}")
async def delete_saved_search(scope: Scope, id: UUID) -> None:
    """Delete a saved search."""
    await saved_searches.delete(scope, id)
