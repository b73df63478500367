"""Pages: limits and offsets of `/filter` requests."""

from headgate.errors import PageTooLarge, Unprocessable
from headgate.schema.filters import MAX_PAGE, Page
from headgate.store.filters import Params


def page(query: Page, p: Params) -> str:
    """`LIMIT … OFFSET …`; `Invalid` for a limit that is negative or above the largest page."""
    limit = size_of(query)
    return f"LIMIT {p.one(limit, 'bigint')} OFFSET {p.one(query.offset or 0, 'bigint')}"


def size_of(query: Page) -> int:
    """How many rows a page has at most; `Invalid` as for `page`."""
    limit = MAX_PAGE if query.limit is None else query.limit
    if limit > MAX_PAGE:
        raise PageTooLarge(f"Invalid limit: must be less than or equal to {MAX_PAGE}.", field="limit", value=limit)
    if limit < 0:
        raise Unprocessable("Invalid limit: must be greater than or equal to 0.", field="limit", value=limit)
    return limit
