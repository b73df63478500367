"""Pages: limits and offsets of `/filter` requests, and how the rows of one are found."""

from headgate.errors import PageTooLarge, Unprocessable
from headgate.schema.filters import MAX_PAGE, Page
from headgate.store.filters import Params


def page(query: Page, p: Params) -> str:
    """`LIMIT … OFFSET …`; `Invalid` for a limit that is negative or above the largest page."""
    # The limit is written out, and no offset where there is none: PostgreSQL plans a statement that it has seen a few times
    # for any values, and would take a page of 50 for a tenth of the table.
    limit = f"LIMIT {size_of(query)}"
    return f"{limit} OFFSET {p.one(query.offset, 'bigint')}" if query.offset else limit


def paged(select: str, table: str, *, tables: str, where: str, order: str, window: str) -> str:
    """`select`, which reads whole records of `table` (`flow_run r`), for one `window` of those that match.

    `tables` are those that `where` and `order` name. The ids of the page are found first: what an offset passes over and
    what is sorted is then ids, mostly in an index, and only the rows of the page are read as a whole.
    """
    alias = table.rpartition(" ")[2]
    columns, _, joins = select.partition(f"FROM {table}")
    found = f"SELECT {alias}.id FROM {tables} WHERE {where} ORDER BY {order} {window}"
    return f"{columns} FROM ({found}) k JOIN {table} ON {alias}.id = k.id {joins} ORDER BY {order}"


def size_of(query: Page) -> int:
    """How many rows a page has at most; `Invalid` as for `page`."""
    limit = MAX_PAGE if query.limit is None else query.limit
    if limit > MAX_PAGE:
        raise PageTooLarge(f"Invalid limit: must be less than or equal to {MAX_PAGE}.", field="limit", value=limit)
    if limit < 0:
        raise Unprocessable("Invalid limit: must be greater than or equal to 0.", field="limit", value=limit)
    return limit
