"""The filters of what is kept beside runs as SQL conditions; see `store/filters.py`.

Aliases: `t` block_type, `c` block_schema, `b` block_document, `art` artifact, `n` flow_run_notification_policy,
`au` automation.
"""

from typing import Any

from headgate.schema.document_filters import (
    AllTextFilter,
    AnyIdFilter,
    AnyTextFilter,
    ArtifactCollectionFilter,
    ArtifactFilter,
    AutomationFilter,
    BlockDocumentFilter,
    BlockSchemaFilter,
    BlockTypeFilter,
    FlowRunNotificationPolicyFilter,
    KeyFilter,
    LikeFilter,
    PatternFilter,
)
from headgate.schema.filters import BoolFilter, TextsFilter
from headgate.store.filters import Params, joined, tags


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


def artifact_condition(f: ArtifactFilter | ArtifactCollectionFilter | None, p: Params) -> str:
    """On `art`."""
    if f is None:
        return "TRUE"
    id = f.latest_id if isinstance(f, ArtifactCollectionFilter) else f.id
    own = [ids("art.id", id, p), _key("art.key", f.key, p), _kind("art.type", f.type, p)]
    runs = [ids("art.flow_run_id", f.flow_run_id, p), ids("art.task_run_id", f.task_run_id, p)]
    return joined([*own, *runs], f.operator)


def _key(column: str, f: KeyFilter | None, p: Params) -> str | None:
    exists = None if f is None else f.exists_
    null = None if exists is None else f"{column} IS NOT NULL" if exists else f"{column} IS NULL"
    return joined([pattern(column, f, p), null]) if f is not None else None


def _kind(column: str, f: TextsFilter | None, p: Params) -> str | None:
    if f is None:
        return None
    unwanted = None if f.not_any_ is None else f"{column} NOT IN {p.many(f.not_any_, 'text')}"
    return joined([_among(column, f.any_, p, "text"), unwanted])


def policy_condition(f: FlowRunNotificationPolicyFilter | None, p: Params) -> str:
    """On `n`."""
    return "TRUE" if f is None else joined([_flag("n.is_active", f.is_active)])


def automation_condition(f: AutomationFilter | None, p: Params) -> str:
    """On `au`."""
    if f is None:
        return "TRUE"
    before = f.created.before_ if f.created else None
    created = None if before is None else f"au.created <= {p.one(before, 'timestamptz')}"
    own = [ids("au.id", f.id, p), texts("au.name", f.name, p), tags("au.tags", f.tags, p)]
    return joined([*own, created], f.operator)
