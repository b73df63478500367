"""Calls about saved searches."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.saved_searches import SavedSearch, SavedSearchCreate, SavedSearchQuery


def put(body: SavedSearchCreate) -> Call[SavedSearch]:
    """Save a search, in place of the one of its name."""
    return Call("PUT", "/saved_searches/", body=body, returns=SavedSearch)


def query(body: SavedSearchQuery | None = None) -> Call[list[SavedSearch]]:
    """Saved searches, by name."""
    return Call("POST", "/saved_searches/filter", body=body or SavedSearchQuery(), returns=list[SavedSearch])


def get(id: UUID) -> Call[SavedSearch]:
    """One saved search."""
    return Call("GET", "/saved_searches/{id}", at={"id": id}, returns=SavedSearch)


def delete(id: UUID) -> Call[None]:
    """Delete a saved search."""
    return Call("DELETE", "/saved_searches/{id}", at={"id": id})
