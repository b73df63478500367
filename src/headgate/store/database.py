"""The database seam: units of work, transactions that carry them, and commands that commit in groups.

A unit is an `async def unit(tx)` that awaits nothing but `tx`. On PostgreSQL it runs on the event loop; on SQLite
it runs to its end in one go, on the thread of the writer or of a reader, where `tx` never suspends, so that no statement
costs a hop between threads. Units may be run again after a conflict: they change nothing but the database.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from headgate.store.signals import Hear
from headgate.store.statements import Statement

R = TypeVar("R")
Item = TypeVar("Item")

Row = Mapping[str, Any]
"""A row by column name; UUIDs, aware datetimes, booleans and decoded JSON on both databases."""


class Tx(Protocol):
    """One transaction. `sql` is a named statement, or text in the notation of `store/statements.py`."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    async def fetch(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> list[Row]:
        """All rows."""

    async def fetch_one(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> Row | None:
        """The first row."""

    async def fetch_value(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> Any:
        """The first column of the first row, or None."""

    async def execute(self, sql: Statement | str, params: Mapping[str, Any] = {}) -> int:
        """How many rows it changed."""

    async def execute_many(self, sql: Statement | str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Once for each row of parameters, in one round trip."""

    async def fetch_many(self, sql: Statement | str, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """What comes back of a statement with `RETURNING`, once for each row of parameters."""

    async def insert_rows(self, sql: Statement, rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows: values in the order of the parameters of an `INSERT … VALUES`, in as few steps as can be."""


class TryAgain(Exception):
    """Raised by a unit that finds, once it holds its locks, that what it had read before is no longer so."""


Unit = Callable[[Tx], Awaitable[R]]


@dataclass(frozen=True, slots=True, eq=False)
class Command(Generic[Item, R]):
    """A hot write in its set-based form: what arrives while a set runs becomes the next one, which may
    begin while the one before commits.

    `run` answers one result per item, in order. An item's own failure is answered as an exception, so that it
    does not fail its neighbours; when `run` itself raises, its items are run again one by one.
    """

    name: str
    run: Callable[[Tx, Sequence[Item]], Awaitable[Sequence[R | Exception]]]


class Database(Protocol):
    """An open database."""

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    async def read(self, unit: Unit[R]) -> R:
        """Run a unit that only reads."""

    async def write(self, unit: Unit[R]) -> R:
        """Run a unit in a transaction; it is committed when this returns."""

    async def submit(self, command: Command[Item, R], item: Item) -> R:
        """Run one item of a hot command; it is committed when this returns."""

    @property
    def hears(self) -> bool:
        """Whether commits of other processes are heard of, so that who waits for them need not look often."""

    def announce(self, pools: set[UUID]) -> None:
        """Tell other processes soon that something may have become ready in these pools; to be called after the commit."""

    def listen(self, hear: Hear) -> None:
        """Have `hear` called when another process may have made something ready, until `close`."""

    async def close(self) -> None:
        """Finish what is under way and let go."""


async def run_whole(tx: Tx, command: Command[Any, Any], items: Sequence[Any]) -> list[Any]:
    """`command` over `items`, all of them or none."""
    results = list(await command.run(tx, items))
    if len(results) != len(items):
        raise RuntimeError(f"{command.name!r} answered {len(results)} results for {len(items)} items")
    return results


async def run_set(
    tx_scope: Callable[[], Any],
    command: Command[Any, Any],
    items: Sequence[Any],
    *,
    passing: tuple[type[Exception], ...] = (),
) -> list[Any]:
    """`command` over `items` inside nested transactions of `tx_scope`, one by one when the set as a whole fails.

    `passing` are errors of the whole transaction rather than of an item: they are raised.
    """
    try:
        async with tx_scope() as tx:
            return await run_whole(tx, command, items)
    except passing:
        raise
    except Exception as error:
        if len(items) == 1:
            return [error]
    return await run_each(tx_scope, command, items, passing=passing)


async def run_each(
    tx_scope: Callable[[], Any], command: Command[Any, Any], items: Sequence[Any], *, passing: tuple[type[Exception], ...]
) -> list[Any]:
    """The same, one by one from the start."""
    results = []
    for item in items:
        results += await run_set(tx_scope, command, [item], passing=passing)
    return results
