"""Migrations: a fresh schema and a migrated one are the same, there and back, whoever is quicker."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from catalog import dump
from sqlalchemy import Column, Engine, create_engine

from headgate.errors import DatabaseError
from headgate.store import migrating, tables
from headgate.store.database import Database
from headgate.store.migrating import downgrade, present_script, upgrade, upgrade_script
from headgate.store.opening import create_schema, revision_of, statements_of
from headgate.store.versions import HEAD, REVISIONS

UNREAD = pytest.mark.filterwarnings(
    "ignore:Skipped unsupported reflection of expression-based index",
    "ignore:autogenerate skipping metadata-specified expression-based index",
)
"""SQLAlchemy does not read such an index back from SQLite; the committed script is compared with the tables besides."""


@pytest.fixture
async def empty(empty_url: str, open_url: object) -> Database:
    """An open database without any tables."""
    return await open_url(empty_url)  # type: ignore[operator,no-any-return]


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_committed_script_is_the_present_schema(dialect: str) -> None:
    """After a change of `store/tables.py` the script is written anew: `present_script` gives it."""
    committed = resources.files("headgate.store").joinpath("sql", "schema", f"{dialect}.sql").read_text()
    assert committed == present_script(dialect)


def test_every_migration_is_known() -> None:
    """The list that servers read without Alembic is the list of the migrations."""
    scripts = ScriptDirectory(str(migrating._HERE)).walk_revisions()
    assert [script.revision for script in scripts][::-1] == list(REVISIONS)
    assert REVISIONS[-1] == HEAD


async def test_fresh_and_migrated_schemas_are_the_same(empty: Database) -> None:
    await upgrade(empty, start=None)
    migrated = await dump(empty)
    assert await revision_of(empty) == HEAD
    await downgrade(empty, start=HEAD, end="base")
    await create_schema(empty)
    assert await dump(empty) == migrated
    assert len(migrated) > 150


async def test_down_to_nothing_and_up_again(empty: Database) -> None:
    """A way back leaves nothing behind, and the way up works again."""
    before = await dump(empty)
    for _ in range(2):
        await upgrade(empty, start=None)
        await downgrade(empty, start=HEAD, end="base")
        assert await dump(empty) == before
        assert await revision_of(empty) is None


async def test_each_step_there_and_back(empty: Database) -> None:
    """Every revision can be reached from the one before it, and left again."""
    schemas = [await dump(empty)]
    for before, revision in zip((None, *REVISIONS), REVISIONS, strict=False):
        await upgrade(empty, start=before, end=revision)
        assert await revision_of(empty) == revision
        schemas.append(await dump(empty))
    for revision, before in zip(REVISIONS[::-1], ("base", *REVISIONS)[-2::-1], strict=False):
        assert await dump(empty) == schemas.pop()
        await downgrade(empty, start=revision, end=before)
    assert await dump(empty) == schemas.pop()


async def test_a_failed_migration_changes_nothing(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration is one transaction."""
    broken = [*upgrade_script(empty.dialect, None), "CREATE TABLE flow (again INTEGER)"]
    monkeypatch.setattr(migrating, "upgrade_script", lambda *_: broken)
    before = await dump(empty)
    with pytest.raises(Exception, match="already exists"):
        await upgrade(empty, start=None)
    assert await dump(empty) == before


async def test_two_servers_migrate_at_once(empty: Database, empty_url: str, open_url: object) -> None:
    """One of them does it, the other finds it done."""
    other: Database = await open_url(empty_url)  # type: ignore[operator]
    async with asyncio.timeout(60):
        await asyncio.gather(upgrade(empty, start=None), upgrade(other, start=None), create_schema(empty))
        assert await revision_of(empty) == HEAD
        await asyncio.gather(*(downgrade(each, start=HEAD, end="base") for each in (empty, other)))
        assert await revision_of(other) is None


async def test_a_step_from_elsewhere_is_refused(empty: Database) -> None:
    """A migration that starts where the database no longer is changes nothing."""
    with pytest.raises(DatabaseError, match=f"no longer at {HEAD}"):
        await upgrade(empty, start=HEAD, end=HEAD)


@pytest.mark.parametrize("end", ["9999", "nonsense", ""])
async def test_an_unknown_revision_is_refused(empty: Database, end: str) -> None:
    with pytest.raises(DatabaseError, match="There is no revision"):
        await upgrade(empty, start=None, end=end)
    await upgrade(empty, start=None)
    with pytest.raises(DatabaseError, match="There is no revision"):
        await downgrade(empty, start=HEAD, end=end)
    with pytest.raises(DatabaseError, match="is not older"):
        await downgrade(empty, start=HEAD, end=HEAD)


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_scripts_split_into_whole_statements(dialect: str) -> None:
    """No statement of a script is empty, cut, or two."""
    for statement in statements_of(present_script(dialect)):
        assert statement.startswith("CREATE ")
        assert ";" not in statement
        assert statement.count("(") == statement.count(")")


# --- drafts for developers


@pytest.fixture
def migrated(tmp_path: Path) -> Engine:
    """A SQLite file at the last revision."""
    with closing(sqlite3.connect(tmp_path / "migrated.db")) as connection:
        for statement in upgrade_script("sqlite", None):
            connection.execute(statement)
        connection.commit()
    return create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")


@UNREAD
def test_nothing_is_left_to_migrate(migrated: Engine) -> None:
    """Tables and migrations say the same: nobody changed one and forgot the other."""
    with migrated.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    migrated.dispose()


@pytest.fixture
def drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations, for drafts to be written into."""
    copy = tmp_path / "migrations"
    shutil.copytree(migrating._HERE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrating, "_HERE", copy)
    return copy


@UNREAD
def test_a_draft_without_a_change_is_empty(drafts: Path) -> None:
    draft = migrating.write_revision("nothing at all")
    assert draft.parent == drafts / "versions"
    text = draft.read_text()
    assert text.startswith('"""nothing at all."""')
    assert "op." not in text
    assert f"down_revision = '{HEAD}'" in text


@UNREAD
def test_a_draft_names_the_change(drafts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new column is drafted in the words of `store/tables.py`."""
    changed = tables.metadata.tables["flow"].to_metadata(tables.metadata.__class__())
    changed.append_column(Column("colour", tables.Json))
    monkeypatch.setattr(tables, "metadata", changed.metadata)
    text = migrating.write_revision("add the colour of flows").read_text()
    assert "op.add_column('flow', sa.Column('colour', tables.Json(), nullable=True))" in text
    assert drafts
