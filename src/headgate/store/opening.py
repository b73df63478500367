"""Opening a database by its URL, and seeing that its schema is the one that this program knows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headgate.errors import DatabaseError
from headgate.store.connections import DEFAULT, Connections
from headgate.store.database import Database, Tx
from headgate.store.sqlite import SqliteDatabase
from headgate.store.versions import HEAD, REVISIONS

_SQLITE_SCHEMES = {"sqlite", "sqlite+aiosqlite", "sqlite+pysqlite"}
_POSTGRESQL_SCHEMES = {"postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2"}


@dataclass(frozen=True, slots=True)
class Location:
    """Where a database is: a file, or a PostgreSQL URL."""

    dialect: str
    path: Path | None = None
    url: str | None = None

    def __str__(self) -> str:
        """Without credentials."""
        if self.path is not None:
            return str(self.path)
        place, _, options = (self.url or "").removeprefix("postgresql://").rpartition("@")[2].partition("?")
        places = [option for option in options.split("&") if option.partition("=")[0] in ("host", "port", "dbname")]
        return "PostgreSQL at " + "?".join([place, "&".join(places)] if places else [place])


def locate(url: str) -> Location:
    """Read a URL such as `sqlite:////var/lib/x.db` or `postgresql://user:password@host/db`; `DatabaseError` for others."""
    scheme, _, rest = url.partition("://")
    if scheme in _POSTGRESQL_SCHEMES and rest:
        return Location("postgresql", url=f"postgresql://{rest}")
    if scheme in _SQLITE_SCHEMES:
        path = unquote(urlsplit(f"sqlite://{rest}").path)[1:]
        if path in ("", ":memory:"):
            raise DatabaseError(
                f"{url!r} names no file; a server's SQLite database is a file, such as sqlite:////var/lib/headgate.db."
            )
        return Location("sqlite", path=Path(path).expanduser())
    shown = f"{scheme}://…" if rest else repr(url if "@" not in url else f"…@{url.rpartition('@')[2]}")
    raise DatabaseError(f"{shown} is not a database URL; it is sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.")


async def open_database(location: Location, ways: Connections = DEFAULT) -> Database:
    """Connect, to PostgreSQL in these ways. A SQLite file is made when there is none; its directory too."""
    if location.path is not None:
        _make_directory(location.path)
        return SqliteDatabase(location.path)
    open_postgresql: Callable[[str, str, Connections], Awaitable[Database]]
    try:
        # By name: the driver is an extra, and costs a tenth of a second to import.
        open_postgresql = import_module("headgate.store.postgresql").open_postgresql
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise DatabaseError("PostgreSQL needs its driver: pip install asyncpg.") from None
    return await open_postgresql(location.url or "", str(location), ways)


def _make_directory(path: Path) -> None:
    if path.is_dir():
        raise DatabaseError(f"{path} is a directory; the database is a file.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(f"Cannot make the directory {path.parent} of the database: {error.strerror}.") from None


async def revision_of(database: Database) -> str | None:
    """The revision that the schema is at; None for an empty database; `DatabaseError` for one that is not ours."""

    return await database.read(revision_in)


async def revision_in(tx: Tx) -> str | None:
    """The same, as a transaction sees it."""
    tables = await _tables(tx)
    found: str | None = None
    if "alembic_version" in tables:
        found = await tx.fetch_value("SELECT version_num FROM alembic_version")
    if tables and (found is None or (found not in REVISIONS and "flow_run_detail" not in tables)):
        names = ", ".join(sorted(tables)[:3])
        raise DatabaseError(f"This database holds tables of another program ({names}, …); nothing was changed.")
    return found


async def hold_schema(tx: Tx) -> None:
    """Have nobody else change the schema until the transaction ends. SQLite's writers exclude each other anyway."""
    if tx.dialect == "postgresql":
        await tx.fetch_value("SELECT pg_advisory_xact_lock(7521962857113)")


async def _tables(tx: Tx) -> set[str]:
    if tx.dialect == "sqlite":
        rows = await tx.fetch("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    else:
        rows = await tx.fetch("SELECT tablename AS name FROM pg_tables WHERE schemaname = current_schema()")
    return {row["name"] for row in rows}


def check_known(revision: str | None) -> None:
    """`DatabaseError` when the schema is newer than this program."""
    if revision is not None and revision not in REVISIONS:
        raise DatabaseError(
            f"The database's schema (revision {revision}) is newer than this program (revision {HEAD}); "
            "nothing was changed. Update headgate, or use another database."
        )


async def create_schema(database: Database) -> None:
    """Give an empty database the present schema, from the script that the migrations are held against."""
    script = resources.files("headgate.store").joinpath("sql", "schema", f"{database.dialect}.sql").read_text()

    async def unit(tx: Tx) -> None:
        await hold_schema(tx)
        if await revision_in(tx) is not None:
            return  # another server that started at the same time did it
        for statement in statements_of(script):
            await tx.execute(statement)
        await tx.execute("INSERT INTO alembic_version (version_num) VALUES (:head)", {"head": HEAD})

    await database.write(unit)


def statements_of(script: str) -> list[str]:
    """The statements of a script; each ends with a semicolon at the end of a line."""
    return [statement.strip() for statement in script.split(";\n") if statement.strip()]
