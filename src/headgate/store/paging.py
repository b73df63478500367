"""Pages: limits and offsets of `/filter` requests."""

from headgate.errors import Invalid, PageTooLarge
from headgate.schema.filters import MAX_PAGE, Page
from headgate.store.filters import Params


def page(query: Page, p: Params) -> str:
    """`LIMIT … OFFSET …`; `Invalid` for a limit that is negative or above the largest page."""
    limit = MAX_PAGE if query.limit is None else query.limit
    if limit > MAX_PAGE:
        raise PageTooLarge(f"Invalid limit: must be less than or equal to {MAX_PAGE}.", field="limit", value=limit)
    if limit < 0:
        raise Invalid("Invalid limit: must be 0 or more.", field="limit", value=limit)
    return f"LIMIT {p.one(limit, 'bigint')} OFFSET {p.one(query.offset or 0, 'bigint')}"
