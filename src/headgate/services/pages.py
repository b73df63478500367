"""Numbered pages of what `/filter` answers by offset."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from headgate.schema.filters import NumberedSelection, Selection
from headgate.services.scope import Scope
from headgate.store.database import Tx
from headgate.store.paging import size_of

Q = TypeVar("Q", bound=Selection)
R = TypeVar("R")
P = TypeVar("P")


async def numbered(
    scope: Scope,
    query: NumberedSelection,
    *,
    kind: type[Q],
    rows: Callable[[Tx, Q], Awaitable[list[R]]],
    count: Callable[[Tx, Q], Awaitable[int]],
    page: Callable[..., P],
) -> P:
    """The page that `query` asks for, as a `page`.

    `kind` is the same question by offset, which `rows` and `count` answer.
    """
    shared: dict[str, Any] = {name: getattr(query, name) for name in query.__struct_fields__ if name != "page"}
    by_offset = kind(**shared)
    limit, number = size_of(by_offset), query.page or 1
    by_offset.offset = (number - 1) * limit

    async def unit(tx: Tx) -> P:
        results, found = await rows(tx, by_offset), await count(tx, by_offset)
        return page(results=results, count=found, limit=limit, pages=-(-found // limit) if limit else 0, page=number)

    return await scope.store.read(unit)
