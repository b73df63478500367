"""Opening: whatever is wrong with a database is one clear line without credentials, and the database stays as it was."""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from headgate.errors import DatabaseError
from headgate.server import open_store
from headgate.settings import Settings
from headgate.store.database import Database
from headgate.store.opening import check_known, create_schema, locate, open_database, revision_of
from headgate.store.versions import HEAD

NOBODY = 65534


async def open_and_close(settings: Settings) -> None:
    store = await open_store(settings)
    await store.close()


async def refusal(url: str, **settings: Any) -> str:
    """The one line that a server with this database ends with."""
    with pytest.raises(DatabaseError) as caught:
        await open_and_close(Settings(server_database_connection_url=url, **settings))
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 300
    return line


@contextmanager
def unprivileged() -> Iterator[Path]:
    """A directory, and inside no right to pass over the permissions of files."""
    with tempfile.TemporaryDirectory(prefix="headgate-opening-") as made:
        place = Path(made)
        place.chmod(0o755)
        user = os.geteuid()
        if user == 0:
            os.chown(place, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield place
        finally:
            os.seteuid(user)


def files(directory: Path) -> dict[str, bytes]:
    """Every file below, with its bytes."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@contextmanager
def unchanged(directory: Path) -> Iterator[None]:
    """No file comes, goes or changes inside."""
    before = files(directory)
    yield
    assert files(directory) == before


def foreign_database(path: Path, *tables: str, wal: bool = False, revision: str | None = None) -> None:
    with closing(sqlite3.connect(path)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode=WAL")
        for table in tables:
            connection.execute(f"CREATE TABLE {table if '(' in table else f'{table} (a)'}")
        if revision is not None:
            connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.commit()


# --- where a database is


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/x.db", "/var/lib/x.db"),
        ("sqlite:///x.db", "x.db"),
        ("sqlite+aiosqlite:////var/lib/x.db", "/var/lib/x.db"),
        ("sqlite:////var/with%20space%23.db", "/var/with space#.db"),
        ("sqlite:////var/x.db?timeout=5", "/var/x.db"),
    ],
)
def test_a_sqlite_url_names_a_file(url: str, path: str) -> None:
    assert locate(url).path == Path(path)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg2"])
def test_a_postgresql_url_may_name_a_driver(scheme: str) -> None:
    assert locate(f"{scheme}://me:secret@db/headgate").url == "postgresql://me:secret@db/headgate"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:secret@db/headgate",
        "me:secret@db/headgate",
        "postgresql:/me:secret@db/headgate",
        "postgresql://",
        "headgate.db",
        "",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
    ],
)
def test_a_wrong_url_is_refused_without_its_credentials(url: str) -> None:
    """The line says what a database URL looks like."""
    with pytest.raises(DatabaseError, match="sqlite:///") as caught:
        locate(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@db:5432/headgate?ssl=true", "postgresql://db/headgate?user=me&password=secret"]
)
def test_a_location_is_shown_without_credentials(url: str) -> None:
    shown = str(locate(url))
    assert "db" in shown
    assert "headgate" in shown
    assert "secret" not in shown


# --- SQLite files


async def test_a_missing_file_and_its_directories_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "headgate.db"
    store = await open_store(Settings(server_database_connection_url=f"sqlite:///{path}"))
    assert await revision_of(store) == HEAD
    await store.close()
    assert path.is_file()


async def test_the_default_database_may_live_at_any_path(tmp_path: Path) -> None:
    """Signs that mean something in a URL are only letters in a home directory's name."""
    home = tmp_path / "50% of #1?"
    store = await open_store(Settings(home=str(home)))
    await store.close()
    assert (home / "headgate.db").is_file()


async def test_a_directory_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with unchanged(tmp_path):
        line = await refusal(f"sqlite:///{tmp_path / 'file' / 'headgate.db'}")
    assert str(tmp_path / "file") in line


async def test_a_directory_is_no_database(tmp_path: Path) -> None:
    assert "is a directory" in await refusal(f"sqlite:///{tmp_path}")


async def test_an_unwritable_directory(tmp_path: Path) -> None:
    with unprivileged() as place:
        (place / "closed").mkdir(mode=0o555)
        line = await refusal(f"sqlite:///{place / 'closed' / 'headgate.db'}")
        assert str(place / "closed" / "headgate.db") in line
        line = await refusal(f"sqlite:///{place / 'closed' / 'deeper' / 'headgate.db'}")
        assert "Permission denied" in line
        assert files(place) == {}


async def test_an_unwritable_file() -> None:
    """A file that can only be read is refused when the server starts, not at the first write."""
    with unprivileged() as place:
        path = place / "headgate.db"
        store = await open_store(Settings(server_database_connection_url=f"sqlite:///{path}"))
        await store.close()
        path.chmod(0o444)
        before = path.read_bytes()
        assert str(path) in await refusal(f"sqlite:///{path}")
        assert path.read_bytes() == before


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader, " * 500)
    with unchanged(tmp_path):
        assert "not a database" in await refusal(f"sqlite:///{tmp_path / 'letter.txt'}")


@pytest.mark.parametrize("wal", [False, True])
async def test_a_database_of_another_program(tmp_path: Path, wal: bool) -> None:
    foreign_database(tmp_path / "addresses.db", "people", "places", wal=wal)
    with unchanged(tmp_path):
        line = await refusal(f"sqlite:///{tmp_path / 'addresses.db'}")
    assert "another program" in line
    assert "people" in line


async def test_a_migrated_database_of_another_program(tmp_path: Path) -> None:
    """Another program that uses Alembic is told apart from a newer version of this one."""
    foreign_database(tmp_path / "other.db", "alembic_version (version_num)", "people", revision="beef")
    with unchanged(tmp_path):
        assert "another program" in await refusal(f"sqlite:///{tmp_path / 'other.db'}")


async def test_an_empty_version_table_is_not_taken_for_a_schema(tmp_path: Path) -> None:
    """What another program's downgrade left behind is not ours to fill."""
    foreign_database(tmp_path / "other.db", "alembic_version (version_num)")
    with unchanged(tmp_path):
        assert "another program" in await refusal(f"sqlite:///{tmp_path / 'other.db'}")


# --- PostgreSQL


async def test_an_unreachable_postgresql(unused_tcp_port: int) -> None:
    line = await refusal(f"postgresql://me:secret@127.0.0.1:{unused_tcp_port}/headgate")
    assert f"127.0.0.1:{unused_tcp_port}/headgate" in line
    assert "secret" not in line


async def test_an_unknown_host() -> None:
    line = await refusal("postgresql://me:secret@nowhere.invalid/headgate")
    assert "nowhere.invalid" in line
    assert "secret" not in line


async def test_a_missing_postgresql_database(postgresql: Any) -> None:
    line = await refusal(postgresql.url("missing"))
    assert '"missing" does not exist' in line


async def test_a_wrong_password(postgresql: Any) -> None:
    """A role that asks for a password, over a line of its own in the server's access file."""
    access = postgresql.server.pgdata / "pg_hba.conf"
    before = access.read_text()
    await postgresql.run("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    access.write_text(f"local all guarded scram-sha-256\n{before}")
    await postgresql.run("SELECT pg_reload_conf()")
    try:
        host = postgresql.server.pgdata
        line = await refusal(f"postgresql://guarded:secret@/postgres?host={host}")
        assert "password authentication failed" in line
        assert "secret" not in line
        line = await refusal(f"postgresql:///postgres?host={host}&user=guarded&password=secret")
        assert "secret" not in line
    finally:
        access.write_text(before)
        await postgresql.run("SELECT pg_reload_conf()")
        await postgresql.run("DROP ROLE guarded")


@pytest.mark.parametrize("url", ["postgresql://me:pa/secret@db/headgate", "postgresql://me:secret@[db/headgate"])
async def test_a_malformed_postgresql_url(url: str) -> None:
    """A password with signs of its own has to be quoted; the line says so, without it."""
    line = await refusal(url)
    assert "secret" not in line
    assert "percent" in line


async def test_tables_of_another_program_on_postgresql(postgresql: Any) -> None:
    url = await postgresql.create()
    await postgresql.run("CREATE TABLE people (a INT)", url=url)
    assert "another program (people" in await refusal(url)


# --- the revision


async def test_a_newer_schema_is_refused(database: Database, database_url: str, tmp_path: Path) -> None:
    """Both revisions are named, and nothing changes."""
    await database.write(lambda tx: tx.execute("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    with unchanged(tmp_path):
        line = await refusal(database_url)
    assert "9999" in line
    assert HEAD in line
    store = await open_database(locate(database_url))
    await store.write(lambda tx: tx.execute("UPDATE alembic_version SET version_num = :head", {"head": HEAD}))
    await store.close()


async def test_an_older_schema_is_not_touched_unless_asked(empty_url: str) -> None:
    """With migration at the start switched off, an empty database is named a database to upgrade."""
    line = await refusal(empty_url, server_database_migrate_on_start=False)
    assert "headgate server database upgrade" in line
    store = await open_database(locate(empty_url))
    assert await revision_of(store) is None
    await store.close()


def test_known_revisions_pass() -> None:
    check_known(None)
    check_known(HEAD)


async def test_several_servers_start_at_once_on_an_empty_database(empty_url: str) -> None:
    """All of them come up, on one schema."""
    settings = Settings(server_database_connection_url=empty_url)
    async with asyncio.timeout(60):
        stores = await asyncio.gather(*(open_store(settings) for _ in range(6)))
        for store in stores:
            assert await revision_of(store) == HEAD
            await create_schema(store)
            await store.close()
