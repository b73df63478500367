"""The filters of what is kept beside runs as SQL conditions; see `store/filters.py`.

Aliases: `t` block_type, `c` block_schema, `b` block_document.
"""

from typing import Any

from headgate.schema.document_filters import (
    AllTextFilter,
    AnyIdFilter,
    AnyTextFilter,
    BlockDocumentFilter,
    BlockSchemaFilter,
    BlockTypeFilter,
    LikeFilter,
    PatternFilter,
)
from headgate.schema.filters import BoolFilter
from headgate.store.filters import Params, joined


def _among(column: str, values: list[Any] | None, p: Params, kind: str) -> str | None:
    return f"{column} IN {p.many(values, kind)}" if values is not None else None


def ids(column: str, f: AnyIdFilter | None, p: Params) -> str | None:
    """One of these ids."""
    return None if f is None else _among(column, f.any_, p, "uuid")


def texts(column: str, f: AnyTextFilter | None, p: Params) -> str | None:
    """One of these texts."""
    return None if f is None else _among(column, f.any_, p, "text")


def pattern(column: str, f: PatternFilter | LikeFilter | None, p: Params) -> str | None:
    """One of these texts, and one that holds what `like_` says, in which `%` and `_` are wildcards."""
    match f:
        case PatternFilter(any_=wanted, like_=text):
            return joined([_among(column, wanted, p, "text"), _like(column, text, p)])
        case LikeFilter(like_=text):
            return _like(column, text, p)
    return None


def _like(column: str, text: str | None, p: Params) -> str | None:
    if not text:
        return None
    # A backslash stands for itself; it would otherwise need one of its own at the end.
    escaped = text.replace("\\", r"\\")
    return f"lower({column}) LIKE lower({p.one(f'%{escaped}%', 'text')}) ESCAPE '\\'"


def _flag(column: str, f: BoolFilter | None) -> str | None:
    wanted = None if f is None else f.eq_
    return None if wanted is None else column if wanted else f"NOT {column}"


def _holds_all(column: str, f: AllTextFilter | None, p: Params) -> str | None:
    if f is None or not f.all_:
        return None
    rows = p.items(column)
    return f"(SELECT count(DISTINCT value) FROM {rows} WHERE value IN {p.many(f.all_, 'text')}) = {len(set(f.all_))}"


def block_type_condition(f: BlockTypeFilter | None, p: Params) -> str:
    """On `t`."""
    return "TRUE" if f is None else joined([pattern("t.name", f.name, p), texts("t.slug", f.slug, p)])


def block_schema_condition(f: BlockSchemaFilter | None, p: Params) -> str:
    """On `c`."""
    if f is None:
        return "TRUE"
    own = [ids("c.id", f.id, p), ids("c.block_type_id", f.block_type_id, p), texts("c.version", f.version, p)]
    return joined([*own, _holds_all("c.capabilities", f.block_capabilities, p)], f.operator)


def block_document_condition(f: BlockDocumentFilter | None, p: Params) -> str:
    """On `b`; without a filter no anonymous ones."""
    f = BlockDocumentFilter() if f is None else f
    own = [ids("b.id", f.id, p), ids("b.block_type_id", f.block_type_id, p), pattern("b.name", f.name, p)]
    return joined([*own, _flag("b.is_anonymous", f.is_anonymous)], f.operator)
