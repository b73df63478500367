"""How fast the databases themselves are here."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import asyncpg

from bench.shape import Figure, Scenario, rate
from bench.system import PostgresqlStore, SqliteStore

GROUPS = (1, 16, 64)
ROWS = 20_000

TABLES = """
CREATE TABLE run (id {uuid} PRIMARY KEY, state TEXT NOT NULL, since {time} NOT NULL, fence INTEGER NOT NULL) {options};
CREATE TABLE state (run_id {uuid} NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL, since {time} NOT NULL,
                    PRIMARY KEY (run_id, number))
"""
SQLITE_UPDATE = "UPDATE run SET state = ?, since = ?, fence = fence + 1 WHERE id = ?"
SQLITE_INSERT = "INSERT INTO state (run_id, number, state, since) VALUES (?, ?, ?, ?)"
POSTGRESQL_SET = """
WITH changed AS (
    UPDATE run SET state = $2, since = now(), fence = fence + 1 WHERE id = ANY($1::uuid[]) RETURNING id, fence
)
INSERT INTO state (run_id, number, state, since) SELECT id, fence, $2, now() FROM changed
"""


class FloorCommit(Scenario):
    """What no transition gets beyond: one row updated and one inserted, in groups of 1, 16 and 64 that share a commit.

    One connection with our own settings of it and nothing beside it; no HTTP, no rules.
    """

    name = "floor-commit"
    rounds = 1
    only_ours = True
    needs_server = False

    def prepare(self) -> None:
        self.ids = [str(uuid4()) for _ in range(ROWS)]

    def run(self) -> None:
        seconds = self.choose(4, 1)
        match self.system.store:
            case SqliteStore(file=file):
                self.rates = on_sqlite(file, self.ids, seconds)
            case PostgresqlStore(server=server, name=name):
                self.rates = asyncio.run(on_postgresql(server.url(name), self.ids, seconds))

    def measure(self) -> list[Figure]:
        return [rate(f"transitions in groups of {group}", per_second) for group, per_second in self.rates.items()]


def on_sqlite(file: Path, ids: list[str], seconds: float) -> dict[int, float]:
    """Transitions a second by the size of a group."""
    rates, number = {}, 0
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(TABLES.format(uuid="TEXT", time="INTEGER", options=""))
        connection.executemany("INSERT INTO run VALUES (?, 'SCHEDULED', 0, 0)", [(each,) for each in ids])
        for group in GROUPS:
            done, begin = 0, time.perf_counter()
            while (passed := time.perf_counter() - begin) < seconds:
                chosen = [ids[(number + offset) % ROWS] for offset in range(group)]
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(SQLITE_UPDATE, [("PENDING", number, each) for each in chosen])
                rows = [(each, number + offset, "PENDING", number) for offset, each in enumerate(chosen)]
                connection.executemany(SQLITE_INSERT, rows)
                connection.execute("COMMIT")
                number, done = number + group, done + group
            rates[group] = done / passed
    return rates


async def on_postgresql(url: str, ids: list[str], seconds: float) -> dict[int, float]:
    """The same."""
    rates, number = {}, 0
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(TABLES.format(uuid="UUID", time="TIMESTAMPTZ", options="WITH (fillfactor = 70)"))
        await connection.execute("INSERT INTO run SELECT id, 'SCHEDULED', now(), 0 FROM unnest($1::uuid[]) id", ids)
        for group in GROUPS:
            done, begin = 0, time.perf_counter()
            while (passed := time.perf_counter() - begin) < seconds:
                chosen = [ids[(number + offset) % ROWS] for offset in range(group)]
                await connection.execute(POSTGRESQL_SET, chosen, "PENDING")
                number, done = number + group, done + group
            rates[group] = done / passed
    finally:
        await connection.close()
    return rates
