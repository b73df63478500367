"""Named SQL statements from `store/sql/*.sql`, and the one notation that both databases' parameters are written in.

A file holds statements, each below a `-- name: NAME` line (or `-- name: NAME [postgresql]` for a statement that
one database needs worded differently), followed by a comment that says what it is for. Parameters are written
`:name` or `:name::type`; a list parameter is written `IN :name::type[]`, and one that may be any JSON value, a bare
string among them, `:name::json`. SQLite gets `?1` and lists as JSON; PostgreSQL gets `$1`, with a cast where a type
is given. A statement for a whole set of rows is worded for PostgreSQL over `unnest(:name::type[*], …)`: one array for
each column of the set.
"""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)(?:::([a-z0-9]+)(\[\*?\])?)?")
_IN_LIST = re.compile(r"\b(NOT )?IN (:[a-z_][a-z0-9_]*::[a-z0-9]+\[\])")
_PLACE = re.compile(r"\?(\d+)")
_LOCKS = re.compile(r"\s+FOR UPDATE(?: OF \w+)?(?: SKIP LOCKED)?$")
_ONE_ROW = re.compile(r"\s*\([^()]*\)\s*")
_HEADER = re.compile(r"^-- name: (\w+)(?: \[(\w+)\])?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement as one database takes it; `names` are its parameters in the order of `$1`, `$2`, …

    `json` are the places of those that are to be encoded whatever their type. `takes_set`: its parameters are the
    columns of a set of rows.
    """

    sql: str
    names: tuple[str, ...]
    json: tuple[int, ...] = ()
    takes_set: bool = False


@lru_cache(maxsize=4096)
def compile_for_sqlite(text: str) -> Compiled:
    """`text` with `?n` parameters, lists unfolded from JSON."""
    names: dict[str, int] = {}
    json: set[int] = set()

    def parameter(match: re.Match[str]) -> str:
        name, kind, many = match.groups()
        place = names.setdefault(name, len(names) + 1)
        if kind == "json":
            json.add(place - 1)
        return f"(SELECT value FROM json_each(?{place}))" if many else f"?{place}"

    sql = _PARAMETER.sub(parameter, text)
    return Compiled(sql, tuple(names), tuple(sorted(json)))


@lru_cache(maxsize=256)
def for_rows(compiled: Compiled, count: int) -> str | None:
    """An `INSERT … VALUES (…)` of SQLite for `count` rows at once; None where the statement does more than that."""
    head, values, row = compiled.sql.partition("VALUES")
    if not values or not _ONE_ROW.fullmatch(row):
        return None
    width = len(compiled.names)

    def shifted(by: int) -> str:
        return _PLACE.sub(lambda match: f"?{int(match[1]) + by}", row)

    return f"{head}VALUES{','.join(shifted(number * width) for number in range(count))}"


@lru_cache(maxsize=4096)
def compile_for_postgresql(text: str) -> Compiled:
    """`text` with `$n` parameters, lists as arrays."""
    names: dict[str, int] = {}
    json: set[int] = set()

    def parameter(match: re.Match[str]) -> str:
        name, kind, many = match.groups()
        number = names.setdefault(name, len(names) + 1)
        place = f"${number}"
        if many == "[*]" and kind in ("json", "jsonb"):  # as texts: a list among the values would pass for a dimension
            json.add(number - 1)
            return f"CAST(CAST({place} AS text[]) AS {kind}[])"
        if many:
            return f"CAST({place} AS {kind}[])"
        return f"CAST({place} AS {kind})" if kind else place

    # Not `IN (SELECT unnest(…))`: such a statement is planned anew each time, which takes longer than to run it.
    text = _IN_LIST.sub(lambda match: f"{'<> ALL' if match[1] else '= ANY'}({match[2]})", text)
    return Compiled(_PARAMETER.sub(parameter, text), tuple(names), tuple(sorted(json)), takes_set="[*]" in text)


@dataclass(frozen=True)
class Statement:
    """A named statement, worded for each database."""

    name: str
    sqlite: str
    postgresql: str

    @cached_property
    def postgresql_reading(self) -> str:
        """The same for who only reads: the rows are not locked, and those that others have locked are not left out."""
        return _LOCKS.sub("", self.postgresql)


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
