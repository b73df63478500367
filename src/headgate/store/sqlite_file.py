"""The file of SQLite: connections with our settings, what its failures mean, and how it is rewritten smaller."""

import sqlite3
from pathlib import Path

from headgate.errors import DatabaseError, Unavailable

BUSY_SECONDS = 30.0
"""How long who may wait does so for another process that writes."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection with our settings, in autocommit mode; `DatabaseError` in one line when the file is not to be had."""
    try:
        connection = sqlite3.connect(
            path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            detect_types=sqlite3.PARSE_DECLTYPES,
            cached_statements=1024,
        )
    except sqlite3.Error as error:
        raise _cannot_open(path, error) from None
    # SQLite's own knows ASCII alone; searches are to find words of every language, as on PostgreSQL.
    connection.create_function("lower", 1, lambda text: None if text is None else str(text).lower(), deterministic=True)
    try:
        _use_wal(connection)
        # NORMAL: a commit survives the death of any process; a power cut may take the last few, never the file.
        for pragma in (
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-16000",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error as error:
        connection.close()
        raise _cannot_open(path, error) from None
    return connection


def compact(path: Path) -> tuple[int, int]:
    """Rewrite the file without its free pages; its bytes before and after. Nobody else may be writing to it."""
    if not path.exists():
        raise DatabaseError(f"There is no database {path}.")
    connection = connect(path)
    try:
        before = path.stat().st_size
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, path.stat().st_size
    except sqlite3.Error as error:
        raise DatabaseError(
            f"Cannot compact {path}: {error}. Does another process use it, and is there room for a second copy beside it?"
        ) from None
    finally:
        connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """The mode is written into the file: that of another program, which is refused later, stays as it is."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables or "flow_run_detail" in tables:
        connection.execute("PRAGMA journal_mode=WAL")


def check_writable(connection: sqlite3.Connection, path: Path) -> None:
    """SQLite opens what it may only read, too; then `DatabaseError`, now rather than at the first write."""
    connection.execute("PRAGMA busy_timeout=0")
    try:
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute(f"PRAGMA user_version={version}")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:  # busy: somebody writes, so one may write
            connection.close()
            raise _cannot_open(path, error) from None
    connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")


def _cannot_open(path: Path, error: sqlite3.Error) -> DatabaseError:
    return DatabaseError(
        f"Cannot open the database {path}: {error}. Is it a Headgate database, and may this user write there?"
    )


def unavailable(error: Exception) -> Exception:
    """`error`, or `Unavailable` when it is the file's or the disk's and not the statement's."""
    if not isinstance(error, sqlite3.DatabaseError):
        return error
    match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ABORT) & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Unavailable(f"The database has been busy for {BUSY_SECONDS:.0f} s: another process holds it.")
        case sqlite3.SQLITE_ERROR | sqlite3.SQLITE_CONSTRAINT | sqlite3.SQLITE_MISMATCH | sqlite3.SQLITE_RANGE:
            return error
    return Unavailable(f"The database failed: {error}.")
