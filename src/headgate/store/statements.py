"""Named SQL statements from `store/sql/*.sql`, and the one notation that both databases' parameters are written in.

A file holds statements, each below a `-- name: NAME` line (or `-- name: NAME [postgresql]` for a statement that
one database needs worded differently), followed by a comment that says what it is for. Parameters are written
`:name` or `:name::type`; a list parameter is written `IN :name::type[]`, and one that may be any JSON value, a bare
string among them, `:name::json`. SQLite gets `:name` and lists as JSON; PostgreSQL gets `$1`, with a cast where a type
is given.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)(?:::([a-z]+)(\[\])?)?")
_HEADER = re.compile(r"^-- name: (\w+)(?: \[(\w+)\])?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as one database takes it; `names` are its parameters in the order of `$1`, `$2`, …

    `json` are those of them that are to be encoded whatever their type.
    """

    sql: str
    names: tuple[str, ...]
    json: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)
def compile_for_sqlite(text: str) -> Compiled:
    """`text` with `:name` parameters, lists unfolded from JSON."""
    names: dict[str, bool] = {}

    def parameter(match: re.Match[str]) -> str:
        name, kind, is_list = match.groups()
        names[name] = kind == "json"
        return f"(SELECT value FROM json_each(:{name}))" if is_list else f":{name}"

    sql = _PARAMETER.sub(parameter, text)
    return Compiled(sql, tuple(names), frozenset(name for name, json in names.items() if json))


@lru_cache(maxsize=4096)
def compile_for_postgresql(text: str) -> Compiled:
    """`text` with `$n` parameters, lists as arrays."""
    names: dict[str, int] = {}

    def parameter(match: re.Match[str]) -> str:
        name, kind, is_list = match.groups()
        place = f"${names.setdefault(name, len(names) + 1)}"
        if is_list:
            return f"(SELECT unnest(CAST({place} AS {kind}[])))"
        return f"CAST({place} AS {kind})" if kind else place

    return Compiled(_PARAMETER.sub(parameter, text), tuple(names))


@dataclass(frozen=True, slots=True)
class Statement:
    """A named statement, worded for each database."""

    name: str
    sqlite: str
    postgresql: str


def load_statements(noun: str) -> dict[str, Statement]:
    """The statements of `store/sql/<noun>.sql`, by name."""
    text = resources.files("headgate.store").joinpath("sql", f"{noun}.sql").read_text()
    parts = _HEADER.split(text)[1:]
    worded: dict[str, dict[str, str]] = {}
    for name, dialect, body in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        worded.setdefault(name, {})[dialect or "any"] = _without_comments(body)
    return {
        name: Statement(name, words.get("sqlite") or words["any"], words.get("postgresql") or words["any"])
        for name, words in worded.items()
    }


def _without_comments(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("--")).strip().rstrip(";")
