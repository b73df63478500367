"""What a database says of its own schema, in a form in which two schemas can be compared."""

import re
from typing import Any

from headgate.store.database import Database, Tx

_COLUMNS = """
SELECT c.relname AS place, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       a.attnum AS number, pg_get_expr(d.adbin, d.adrelid) AS value
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
"""
_TABLES = """
SELECT c.relname AS place, c.relkind::text AS kind, c.reloptions AS options, pg_get_partkeydef(c.oid) AS split,
       pg_get_expr(c.relpartbound, c.oid) AS bound, i.inhparent::regclass::text AS whole
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind NOT IN ('t', 'c')
"""
_INDEXES = (
    "SELECT tablename AS place, indexname AS name, indexdef AS sql FROM pg_indexes WHERE schemaname = current_schema()"
)
_CONSTRAINTS = """
SELECT conrelid::regclass::text AS place, conname AS name, pg_get_constraintdef(oid) AS sql
FROM pg_constraint WHERE connamespace = current_schema()::regnamespace
"""


async def dump(database: Database) -> list[str]:
    """Every table, column, index, constraint and partition, one a line."""
    return sorted(await database.read(_dump_sqlite if database.dialect == "sqlite" else _dump_postgresql))


async def _dump_postgresql(tx: Tx) -> list[str]:
    lines = []
    for kind, sql in (("column", _COLUMNS), ("table", _TABLES), ("index", _INDEXES), ("constraint", _CONSTRAINTS)):
        lines += [_line(kind, dict(row)) for row in await tx.fetch(sql)]
    return lines


async def _dump_sqlite(tx: Tx) -> list[str]:
    lines = []
    for table in await tx.fetch("PRAGMA table_list"):
        name = table["name"]
        if name.startswith("sqlite_"):
            continue
        lines.append(_line("table", dict(table)))
        for pragma in ("table_xinfo", "foreign_key_list"):
            rows = [dict(row) for row in await tx.fetch(f"PRAGMA {pragma}({name})")]
            lines += [_line(pragma, {"place": name} | row) for row in rows]
        for index in await tx.fetch(f"PRAGMA index_list({name})"):
            columns = [dict(row) for row in await tx.fetch(f"PRAGMA index_xinfo({index['name']})")]
            sql = await tx.fetch_value("SELECT sql FROM sqlite_master WHERE name = :name", {"name": index["name"]})
            about = {**dict(index), "seq": None, "columns": columns, "where": (sql or "").partition(" WHERE ")[2]}
            lines.append(_line("index", {"place": name} | about))
    return lines


def _line(kind: str, about: dict[str, Any]) -> str:
    return re.sub(r"\s+", " ", f"{kind} {about}")
