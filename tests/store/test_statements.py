"""The named statements: the notation of their parameters, and that each is used by the code and runs on both databases."""

import re
from importlib import resources
from typing import Any
from uuid import UUID

import pytest
from store_records import NOW, a_deployment, save_flow, save_pool

from headgate.ids import uuid7
from headgate.store import deployments
from headgate.store.database import Database, Tx
from headgate.store.statements import Statement, compile_for_postgresql, compile_for_sqlite, for_rows, load_statements
from headgate.store.tables import metadata

STORE = resources.files("headgate.store")
NOUNS = sorted(file.name.removesuffix(".sql") for file in STORE.joinpath("sql").iterdir() if file.name.endswith(".sql"))
STATEMENTS = [(noun, name) for noun in NOUNS for name in load_statements(noun)]

VALUES: dict[str, Any] = {
    **dict.fromkeys(("now", "created", "updated", "until", "since", "after", "before", "stale"), NOW),
    **dict.fromkeys(("limit", "free", "priority", "most", "runs"), 1),
    "holds_slot": False,
    **{name: {} for name in ("schedule", "state_details", "trigger")},
    **dict.fromkeys(("key", "value", "name", "prefix"), "text"),
    "any_name": True,
    "entered": [],
}
"""Something that fits a parameter of that name that is no column; ids and further times are told by their names."""

TYPES: dict[str, Any] = {
    "Text": "text",
    "Integer": 1,
    "Double": 0.5,
    "Timestamp": NOW,
    "Json": {},
    "Tags": [],
    "Flag": False,
}
"""Something that fits a column of that type."""

UUIDS = {("after", "active"), ("since", "entered_since"), ("since", "kept_since")}
"""Parameters that are ids."""

WRITTEN = re.compile(r"(?:INSERT INTO|UPDATE) (\w+)")


# --- the notation


def test_sqlite_gets_numbered_parameters_and_lists_as_json() -> None:
    compiled = compile_for_sqlite("SELECT :a, :b::text WHERE x IN :ids::uuid[] AND y = :a")
    assert compiled.sql == "SELECT ?1, ?2 WHERE x IN (SELECT value FROM json_each(?3)) AND y = ?1"
    assert compiled.names == ("a", "b", "ids")


def test_postgresql_gets_numbered_parameters_and_lists_as_arrays() -> None:
    """A parameter that is named twice has one number; a type becomes a cast; other colons are left alone."""
    compiled = compile_for_postgresql("SELECT :a, :b::text, now()::date WHERE x IN :ids::uuid[] AND y = :a")
    assert compiled.sql == ("SELECT $1, CAST($2 AS text), now()::date WHERE x = ANY(CAST($3 AS uuid[])) AND y = $1")
    assert compiled.names == ("a", "b", "ids")


def test_postgresql_gets_the_columns_of_a_set_as_arrays() -> None:
    compiled = compile_for_postgresql("INSERT INTO t (a, b) SELECT * FROM unnest(:a::uuid[*], :b::text[*])")
    assert compiled.sql == "INSERT INTO t (a, b) SELECT * FROM unnest(CAST($1 AS uuid[]), CAST($2 AS text[]))"
    assert (compiled.names, compiled.takes_set) == (("a", "b"), True)
    compiled = compile_for_postgresql("INSERT INTO t (a, b) SELECT * FROM unnest(:a::uuid[*], :b::json[*])")
    assert compiled.sql.endswith("unnest(CAST($1 AS uuid[]), CAST(CAST($2 AS text[]) AS json[]))")
    assert compiled.json == (1,)
    assert not compile_for_postgresql("SELECT :a WHERE x IN :b::uuid[]").takes_set


def test_sqlite_inserts_several_rows_in_one_statement() -> None:
    """Only where a statement does nothing but insert a row of values."""
    compiled = compile_for_sqlite("INSERT INTO t (a, b, c) VALUES (:a, :b, :a)")
    assert for_rows(compiled, 3) == "INSERT INTO t (a, b, c) VALUES (?1, ?2, ?1), (?3, ?4, ?3), (?5, ?6, ?5)"
    assert for_rows(compile_for_sqlite("INSERT INTO t (a) VALUES (:a) ON CONFLICT DO NOTHING"), 3) is None
    assert for_rows(compile_for_sqlite("UPDATE t SET a = :a"), 3) is None


@pytest.mark.parametrize("noun", NOUNS)
def test_every_statement_is_used(noun: str) -> None:
    """A statement that no code names is in the way of the next reader."""
    code = STORE.joinpath(f"{noun}.py").read_text()
    named = set(re.findall(r"""_SQL\[["'](\w+)["']\]""", code)) | set(re.findall(r'"(delete_\w+)"', code))
    for names in re.findall(r"_SQL\[name\].*? for name in \(([^)]*)\)", code):
        named |= set(re.findall(r'"(\w+)"', names))
    assert named >= set(load_statements(noun))


@pytest.mark.parametrize("noun", NOUNS)
def test_a_dialects_own_wording_is_the_exception(noun: str) -> None:
    """Both wordings of a statement take the same parameters, but where one does in one step what the other does in two."""
    for statement in load_statements(noun).values():
        names = set(compile_for_sqlite(statement.sqlite).names)
        if (noun, statement.name) == ("flow_runs", "enter"):
            names = {"entered"}
        assert names == set(compile_for_postgresql(statement.postgresql).names), statement.name


# --- the cost does not grow with history

SCANS = {
    "deployment_schedules.with_misfire",  # of schedules that have a misfire policy
    "claims.unqueued",  # of deployments that cancel new runs
    "explanations.agents",  # of which there are few
    "concurrency_keys.colliding",  # of deployments whose keys have a strategy
    "concurrency_keys.pools",  # of what it found itself
    "claims.saturable",  # of runs that hold a slot
    *("claims.priorities", "claims.queues"),  # of what it found itself
    "fronts.priorities_between",  # of what it is given
    *("claims.open_lanes", "claims.candidates_of_lanes", "claims.first_of_lanes"),  # the same, no more than is gone through
    *("explanations.bunches_ahead", "explanations.count_due", "explanations.durations"),  # and no further than told
    "claims.due",  # the same
    "work_pools.orphan_runs",  # of runs that wait
    *(f"retention.{name}" for name in ("lines_of", "states_of", "old_lines_of", "logged", "recorded")),  # as priorities
    *("retention.tasked", "retention.tasks_of"),  # the same
    *(f"retention.silent_{name}" for name in ("workers", "agents")),  # of which there are few
    "retention.count_old_lines",  # for a person who asks
    "work_pools.untyped",  # of pools
    *("leaders.list", "leaders.give_back"),  # of which there are as many as jobs
    *("task_workers.attending", "task_workers.leave"),  # of those that are connected
    "csrf_tokens.delete_expired",  # of which each client has one
    *("concurrency_limits.names", "concurrency_limits.select_leases"),  # a page, or a condition, follows
    *("block_schemas.capabilities", "automations.related"),  # of which there are few
    "occupancy.holders",  # of runs that hold a slot
    *("cancellations.live_children", "cancellations.live_tasks"),  # of the runs that they found to have ended
    *("statuses.pools", "statuses.queues", "statuses.deployments"),  # of all of them, by one server, four times a minute
    *(f"{noun}.select" for noun in NOUNS),  # a condition follows
}
"""Statements that go through a whole index or table, and why they may."""


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_no_statement_goes_through_all_rows(database: Database) -> None:
    """Whatever is asked again and again finds its rows by an index."""
    scanning = set()
    for noun, name in STATEMENTS:
        statement = load_statements(noun)[name]
        params = dict.fromkeys(names_of(statement), "[]")
        plan = await database.read(lambda tx, s=statement, p=params: tx.fetch(f"EXPLAIN QUERY PLAN {s.sqlite}", p))  # type: ignore[misc]
        steps = [row["detail"] for row in plan if row["detail"].startswith("SCAN ")]
        if [step for step in steps if not step.startswith(("SCAN json_each", "SCAN CONSTANT"))]:
            scanning.add(f"{noun}.{name}")
    assert scanning <= SCANS


# --- every statement runs


class Undone(Exception):
    """Takes back what a statement changed."""


@pytest.fixture
async def parents(database: Database) -> dict[str, Any]:
    """Ids of records that others hang on."""
    flow = await save_flow(database)
    pool, queue = await save_pool(database)
    deployment = a_deployment(flow)
    await database.write(lambda tx: deployments.insert(tx, deployment))
    task_run = uuid7(NOW)
    blocks = {f"block_{kind}_id": uuid7(NOW) for kind in ("type", "schema", "document")} | {"parent_id": uuid7(NOW)}

    async def insert_blocks(tx: Tx) -> None:
        for kind in ("type", "schema", "document"):
            statement = load_statements(f"block_{kind}s")["insert"]
            for key in (f"block_{kind}_id", *(("parent_id",) if kind == "document" else ())):
                filled = {each: value(each, statement, blocks, blocks[key]) for each in names_of(statement)}
                await tx.execute(statement, filled | ({"name": key} if kind == "document" else {}))
        insert = load_statements("task_runs")["insert"]
        await tx.execute(insert, {each: value(each, insert, {"id": task_run}, task_run) for each in names_of(insert)})

    await database.write(insert_blocks)
    own = {"flow_id": flow.id, "work_pool_id": pool.id, "work_queue_id": queue.id, "deployment_id": deployment.id}
    return own | blocks | {"document_id": blocks["block_document_id"], "task_run_id": task_run}


def names_of(statement: Statement) -> tuple[str, ...]:
    return compile_for_sqlite(statement.sqlite).names


def value(name: str, statement: Statement, parents: dict[str, Any], some_id: UUID) -> Any:
    """Something that fits a parameter."""
    lists = {f":{name}::text[]": ["a", "b"], f":{name}::uuid[]": [some_id]}
    if (found := next((each for sign, each in lists.items() if sign in statement.sqlite), None)) is not None:
        return found
    if name in parents:
        return parents[name]
    if f":{name}::uuid" in statement.sqlite or (name, statement.name) in UUIDS:
        return some_id
    table = WRITTEN.search(statement.sqlite)
    if table is not None and (column := metadata.tables[table[1]].columns.get(name)) is not None:
        return TYPES.get(type(column.type).__name__, some_id)
    if name.endswith("_id") or name in ("id", "to", "from"):
        return some_id
    return VALUES.get(name, NOW if name.endswith(("_time", "_at", "_timestamp", "_polled")) else None)


@pytest.mark.parametrize(("noun", "name"), STATEMENTS, ids=[f"{noun}.{name}" for noun, name in STATEMENTS])
async def test_every_statement_runs(database: Database, parents: dict[str, Any], some_id: Any, noun: str, name: str) -> None:
    """Each statement is one that the database can read, with parameters that it can take."""
    statement = load_statements(noun)[name]
    names = {*names_of(statement), *compile_for_postgresql(statement.postgresql).names}
    params = {each: value(each, statement, parents, some_id) for each in names}

    async def unit(tx: Tx) -> None:
        if compile_for_postgresql(statement.postgresql).takes_set:
            await tx.execute_many(statement, [params])
        else:
            await tx.fetch(statement, params)
        raise Undone

    with pytest.raises(Undone):
        await database.write(unit)
