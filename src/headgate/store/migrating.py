"""Migrations: Alembic words them as SQL, our own seam runs them, all in one transaction.

Imported by the database commands, by a server whose schema is behind, and by tests; not by an ordinary start.
"""

import io
import sqlite3
import tempfile
from itertools import chain, groupby
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, create_mock_engine, make_url

from headgate.errors import DatabaseError
from headgate.store.database import Database, Tx
from headgate.store.opening import hold_schema, revision_in
from headgate.store.tables import LANES, LATEST_TASKS, PARTITIONED, metadata
from headgate.store.versions import HEAD, REVISIONS

BASE = "base"
_HERE = Path(__file__).parent / "migrations"
_URLS = {"sqlite": "sqlite://", "postgresql": "postgresql+asyncpg://"}

_VERSION_TABLE = """CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)"""


class _Statements(io.StringIO):
    """What Alembic writes: a statement at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def write(self, text: str) -> int:
        lines = [line for line in text.splitlines() if not line.startswith("--")]
        statement = "\n".join(lines).strip().rstrip(";").strip()
        if statement:
            self.found.append(statement)
        return len(text)


def _config(**attributes: Any) -> Config:
    made = Config()
    made.set_main_option("script_location", str(_HERE))
    made.set_main_option("path_separator", "os")
    made.attributes.update(attributes)
    return made


def upgrade_script(dialect: str, start: str | None, end: str = HEAD) -> list[str]:
    """The statements that lead from revision `start` (None: an empty database) up to `end`."""
    statements = _Statements()
    command.upgrade(_config(dialect=dialect, statements=statements), f"{start or BASE}:{end}", sql=True)
    return statements.found


def downgrade_script(dialect: str, start: str, end: str) -> list[str]:
    """The statements that lead from revision `start` down to `end`; `base` is an empty database."""
    statements = _Statements()
    command.downgrade(_config(dialect=dialect, statements=statements), f"{start}:{end}", sql=True)
    return [*statements.found, *(["DROP TABLE alembic_version"] if end == BASE else [])]


async def upgrade(database: Database, *, start: str | None, end: str = HEAD) -> None:
    """Bring the schema from `start` up to `end`."""
    check_revision(end)
    await _run(database, upgrade_script(database.dialect, start, end), start=start, end=end)


async def downgrade(database: Database, *, start: str, end: str) -> None:
    """Take the schema from `start` back to `end`. Data that the older schema has no place for is lost."""
    if end != BASE:
        check_revision(end)
        if REVISIONS.index(end) >= REVISIONS.index(start):
            raise DatabaseError(f"Revision {end} is not older than the database's, {start}; nothing was changed.")
    await _run(database, downgrade_script(database.dialect, start, end), start=start, end=None if end == BASE else end)


def check_revision(revision: str) -> None:
    """`DatabaseError` for a revision that this program does not know."""
    if revision not in REVISIONS:
        raise DatabaseError(f"There is no revision {revision!r}; there are {', '.join(REVISIONS)}.")


async def _run(database: Database, statements: list[str], *, start: str | None, end: str | None) -> None:
    async def unit(tx: Tx) -> None:
        await hold_schema(tx)
        present = await revision_in(tx)
        if present == end:
            return  # another server that started at the same time did it
        if present != start:
            raise DatabaseError(f"The database is at revision {present or 'none'}, no longer at {start or 'none'}.")
        for statement in statements:
            await tx.execute(statement)

    await database.write(unit)


def present_script(dialect: str) -> str:
    """The whole present schema as one script, as `store/sql/schema/` holds it."""
    statements: list[str] = []
    wording = make_url(_URLS[dialect]).get_dialect()()

    def write(sql: Any, *_: Any, **__: Any) -> None:
        statements.append(str(sql.compile(dialect=wording)).strip())

    metadata.create_all(create_mock_engine(_URLS[dialect], write), checkfirst=False)
    if dialect == "postgresql":
        statements += [LANES, LATEST_TASKS]
        # Rows of a time that has no partition of its own yet.
        statements += [f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT" for table in PARTITIONED]
    statements.append(_VERSION_TABLE)
    return "".join(f"{statement};\n\n" for statement in _ordered([_tidy(statement) for statement in statements]))


def _ordered(statements: list[str]) -> list[str]:
    """The indexes of a table by name: SQLAlchemy gives them in no order."""
    runs = (
        sorted(group) if indexes else list(group)
        for indexes, group in groupby(statements, key=lambda text: " INDEX " in text)
    )
    return list(chain.from_iterable(runs))


def _tidy(statement: str) -> str:
    return "\n".join(line.rstrip().replace("\t", "    ") for line in statement.splitlines() if line.strip())


def write_revision(message: str) -> Path:
    """Draft a migration from the difference between the tables and the last revision, for a developer to finish."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "draft.db"
        with sqlite3.connect(path) as connection:
            for statement in upgrade_script("sqlite", None):
                connection.execute(statement)
        connection.close()
        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as online:
            made = command.revision(
                _config(connection=online), message, autogenerate=True, rev_id=f"{len(REVISIONS) + 1:04}"
            )
        engine.dispose()
    assert made is not None
    assert not isinstance(made, list)
    return Path(made.path)
