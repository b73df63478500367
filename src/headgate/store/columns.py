"""What tables are described with: types that each database names in its own way, and the columns that most tables have."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import Column, ForeignKey, MetaData, text
from sqlalchemy.dialects.sqlite.base import ischema_names
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateTable
from sqlalchemy.types import UserDefinedType


class _Typed(UserDefinedType[Any]):
    """A column type with a name of its own on each database; SQLite's names carry our converters and the affinity."""

    cache_ok = True
    names: ClassVar[Mapping[str, str]]


@compiles(_Typed)
def _name_of(kind: _Typed, compiler: Any, **_: Any) -> str:
    return kind.names[compiler.dialect.name]


class Uuid(_Typed):
    names: ClassVar = {"sqlite": "UUID_TEXT", "postgresql": "UUID"}


class Timestamp(_Typed):
    names: ClassVar = {"sqlite": "TIMESTAMP_INT", "postgresql": "TIMESTAMPTZ"}


class Json(_Typed):
    """Kept letter by letter: the order of keys in a template or a parameter set is the user's."""

    names: ClassVar = {"sqlite": "JSON_TEXT", "postgresql": "JSON"}


class Tags(_Typed):
    """A JSON list that filters look into."""

    names: ClassVar = {"sqlite": "JSON_TEXT", "postgresql": "JSONB"}


class Flag(_Typed):
    names: ClassVar = {"sqlite": "BOOL_INT", "postgresql": "BOOLEAN"}


FILL_FACTOR = "fillfactor"
"""In a table's `info`: how full PostgreSQL packs its pages, in percent. SQLAlchemy has a keyword for it since 2.1."""


@compiles(CreateTable, "postgresql")
def _filled(create: CreateTable, compiler: Any, **options: Any) -> str:
    text: str = compiler.visit_create_table(create, **options)
    factor = create.element.info.get(FILL_FACTOR)
    return text if factor is None else f"{text.rstrip()}\n WITH (fillfactor = {factor})\n\n"


# So that drafts of migrations, which compare with a SQLite database, read the types back.
ischema_names.update({kind.names["sqlite"]: kind for kind in (Uuid, Timestamp, Json, Flag)})

metadata = MetaData()


def id_column() -> Column[Any]:
    """A record's own id."""
    return Column("id", Uuid, primary_key=True, nullable=False)


def time_columns() -> list[Column[Any]]:
    """When it was made, and when it was last changed."""
    return [Column("created", Timestamp, nullable=False), Column("updated", Timestamp, nullable=False)]


def parent_column(name: str, target: str, **options: Any) -> Column[Any]:
    """The record that it hangs on, and goes with."""
    return Column(name, Uuid, ForeignKey(target, ondelete="CASCADE"), nullable=False, **options)


def pause_column() -> Column[Any]:
    """Why, by whom and since when a record is paused; null while it is not."""
    return Column("pause", Json)


def only_where(condition: str) -> dict[str, Any]:
    """What makes an index cover some rows only."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}
