"""What claims read and write: the snapshot that dispatch decides on, and leases."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from msgspec import Struct, convert

from headgate.core.dispatch import Candidate, Lane
from headgate.core.fair_share import Party
from headgate.schema.claims import HeldLease, Lease, Stray
from headgate.schema.deployments import KeyStrategy
from headgate.schema.flow_runs import Trace
from headgate.schema.states import StateType
from headgate.store import work_pools, workers
from headgate.store.database import Row, Tx
from headgate.store.statements import Statement, load_statements
from headgate.store.times import as_time

_SQL = load_statements("claims")


def _by_name(queues: str) -> str:
    of_pool = "(SELECT o.id FROM work_pool o WHERE o.name = :pool)"
    columns, _, conditions = queues.replace(":work_pool_id", of_pool).partition("\nFROM work_queue q\n")
    return f"{columns}, {work_pools.SEEN}\nFROM work_queue q JOIN work_pool p ON p.id = q.work_pool_id\n{conditions}"


_QUEUES_BY_NAME = Statement("queues_by_name", _by_name(_SQL["queues"].sqlite), _by_name(_SQL["queues"].postgresql))

_ARRIVE = f"""WITH alive AS ({workers.BEAT.postgresql})
SELECT alive.id AS worker_id, alive.drain_requested, alive.attends, lanes.*
FROM alive LEFT JOIN ({_SQL["queues"].postgresql}) AS lanes ON TRUE"""

_MANY = 1_000_000

EVER = datetime.min.replace(tzinfo=UTC)
"""Before anything falls due."""

FEW_LANES, LANES = 1000, 50_000
"""How many deployments and keys of a queue are gone through one by one, around the runs of those that are full: at once, and
when the next `PASSED` runs in order, blocked ones among them, were not enough."""

PASSED = 2_000

RUNS_EACH = 8
"""Where they have fewer runs than this on average, to pass these runs in order is as quick as to go around them."""

DEAD_EACH = 4
"""So many dead index entries are passed in less time than a run that waits takes."""

PARTIES = 1000
"""Of how many deployments and keys the first runs may be asked for, all of them."""

_Open: TypeAlias = tuple[UUID | None, UUID | None, int]
"""A deployment, a concurrency key or none, and how many runs of both may be fetched."""


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A run whose holder has not renewed its lease."""

    id: UUID
    state_type: StateType
    state_name: str
    since: datetime
    fence: int
    work_pool_id: UUID | None
    worker_id: UUID | None
    trace: Trace | None


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that stands, and the state of its run."""

    fence: int
    state_type: str
    state_name: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit, with the slots taken of it when it was read; `cancels_new`: a new run that finds none is cancelled."""

    limit: int
    used: int
    cancels_new: bool


class Capped(Struct, frozen=True):
    """A run that waits, with the limits of its deployment and of its concurrency key. `paused`: its deployment is;
    `shared_id` is the limit that its deployment shares with others."""

    run: Candidate
    limit: int | None
    key_limit: int | None
    paused: bool = False
    shared_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue as those see it who take runs from it; `waiting` are the run priorities that wait there, highest first, where
    that was asked."""

    name: str
    lane: Lane
    last_polled: datetime | None
    waiting: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Lanes:
    """A pool's queues by id, and how many of the pool's slots are taken. Where there is no limit nothing is counted."""

    queues: Mapping[UUID, Queue]
    used: int


async def lanes(tx: Tx, pool_id: UUID, *, names: Sequence[str], prefix: str, passing: Sequence[UUID]) -> Lanes:
    """What a locked pool has of queues with one of these names, if any are given, and a prefix; and what is in use of it.

    It is not asked what waits in those that are passed over.
    """
    params = {"work_pool_id": pool_id} | _wanted(names, passing, prefix)
    return _lanes(await tx.fetch(_SQL["queues"], params))


def _wanted(names: Sequence[str], passing: Sequence[UUID], prefix: str = "") -> dict[str, Any]:
    return {"any_name": not names, "names": [*names], "prefix": prefix, "passing": [*passing]}


async def arrive(
    tx: Tx, beat: workers.Beat, *, names: Sequence[str], passing: Sequence[UUID]
) -> tuple[workers.Alive, Lanes]:
    """A worker's heartbeat, and the lanes of its pool, which the caller has locked: on PostgreSQL in one round trip."""
    if tx.dialect == "sqlite":
        return await workers.beat(tx, beat), await lanes(tx, beat.work_pool_id, names=names, prefix="", passing=passing)
    rows = await tx.fetch(_ARRIVE, beat.params | _wanted(names, passing))
    return workers.alive({**rows[0], "id": rows[0]["worker_id"]}), _lanes([row for row in rows if row["id"] is not None])


async def pool_and_lanes(
    tx: Tx, pool: str, *, names: Sequence[str], passing: Sequence[UUID]
) -> tuple[work_pools.SeenPool, Lanes] | None:
    """The same of a pool of that name that nobody locks, with the pool itself; None when no queue of it is found."""
    rows = await tx.fetch(_QUEUES_BY_NAME, {"pool": pool} | _wanted(names, passing))
    return (work_pools.seen(rows[0]), _lanes(rows)) if rows else None


def _lanes(rows: Sequence[Row]) -> Lanes:
    queues = {
        row["id"]: Queue(
            row["name"],
            Lane(row["id"], row["is_paused"], row["concurrency_limit"], row["used"], row["priority"]),
            row["last_polled"],
            None if row["waiting"] is None else sorted(map(int, filter(None, row["waiting"].split(","))), reverse=True),
        )
        for row in rows
    }
    return Lanes(queues, max((row["pool_used"] for row in rows), default=0))


async def limited_deployments(tx: Tx) -> dict[UUID, Lane]:
    """Deployments with a limit that have slots taken."""
    rows = await tx.fetch(_SQL["saturable"])
    return {row["id"]: Lane(row["id"], limit=row["concurrency_limit"], used=row["used"]) for row in rows}


async def hold_slots(tx: Tx, deployment_ids: Iterable[UUID]) -> None:
    """Be alone with the slots of deployments until the transaction ends; the caller holds its pools already."""
    if tx.dialect == "postgresql":  # SQLite's one writer holds everything
        await tx.fetch(_SQL["hold_slots"], {"ids": [*deployment_ids]})


async def try_slots(tx: Tx, deployment_ids: Iterable[UUID]) -> dict[UUID, int]:
    """The same without waiting: the slots taken of those deployments with which nobody else is busy."""
    held = [row["id"] for row in await tx.fetch(_SQL["try_slots"], {"ids": [*deployment_ids]})]
    return await deployments_used(tx, held)


async def deployments_used(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, int]:
    """The slots taken of deployments, as far as they are committed."""
    wanted = [*ids]
    rows = await tx.fetch(_SQL["deployment_used"], {"ids": wanted})
    return dict.fromkeys(wanted, 0) | {row["id"]: row["used"] for row in rows}


async def keys_used(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, int]:
    """The slots taken of concurrency keys, by their short names."""
    wanted = [*ids]
    rows = await tx.fetch(_SQL["keys_used"], {"ids": wanted})
    return dict.fromkeys(wanted, 0) | {row["id"]: row["used"] for row in rows}


async def key_limits(tx: Tx, keys: Mapping[UUID, UUID]) -> dict[UUID, Limit]:
    """The limits of concurrency keys, each given with its deployment."""
    params = {"ids": sorted(set(keys.values()))}
    of = {row["id"]: row for row in await tx.fetch(_SQL["key_limits"], params)}
    limited = {key: of[deployment] for key, deployment in keys.items() if deployment in of}
    used = await keys_used(tx, limited) if limited else {}
    return {
        key: Limit(row["key_limit"], used[key], row["key_strategy"] == KeyStrategy.CANCEL_NEW)
        for key, row in limited.items()
    }


async def unqueued(tx: Tx) -> list[tuple[Lane, UUID | None]]:
    """Deployments that let no run wait for a slot and are not paused, each with the limit that it shares, if it does."""
    rows = await tx.fetch(_SQL["unqueued"])
    return [(Lane(row["id"], limit=row["concurrency_limit"], used=row["used"]), row["shared_limit_id"]) for row in rows]


async def colliding(tx: Tx, deployment: Lane, *, now: datetime, limit: int) -> list[tuple[UUID, str]]:
    """Due new runs of a deployment for which no slot is left, each with the name of the state that it is in."""
    free = max((deployment.limit or 0) - deployment.used, 0)
    params = {"deployment_id": deployment.id, "now": now, "free": free, "limit": limit}
    return [(row["id"], row["state_name"]) for row in await tx.fetch(_SQL["colliding"], params)]


async def priorities(tx: Tx, queue_id: UUID) -> list[int]:
    """The run priorities that wait in a queue, highest first."""
    return [row["priority"] for row in await tx.fetch(_SQL["priorities"], {"work_queue_id": queue_id})]


@dataclass(frozen=True, slots=True)
class Aisle:
    """Runs of one queue and one run priority that fall due in a span of time, both ends included."""

    queue_id: UUID
    priority: int
    span: tuple[datetime, datetime]

    @property
    def params(self) -> dict[str, Any]:
        """What its statements take."""
        since, until = self.span
        return {"work_queue_id": self.queue_id, "priority": self.priority, "since": since, "until": until}

    def behind(self, time: datetime) -> "Aisle":
        """Those of its runs that do not fall due before a time."""
        since, until = self.span
        return Aisle(self.queue_id, self.priority, (max(since, time), until))

    def before(self, time: datetime) -> "Aisle":
        """Those of its runs that fall due before a time."""
        since, until = self.span
        return Aisle(self.queue_id, self.priority, (since, min(until, time - timedelta(microseconds=1))))


@dataclass(frozen=True, slots=True)
class Closed:
    """Deployments and concurrency keys known to have no slot left, other than by what was written before."""

    deployments: frozenset[UUID] = frozenset()
    keys: frozenset[UUID] = frozenset()


async def first_candidates(tx: Tx, aisle: Aisle, *, limit: int) -> list[Capped]:
    """The first runs of an aisle, whatever blocks them but paused deployments; cheap however many are blocked."""
    return capped(await tx.fetch(_SQL["first_candidates"], aisle.params | {"limit": limit}))


async def candidates(tx: Tx, aisle: Aisle, closed: Closed, *, limit: int, dead: int = 0) -> list[Capped]:
    """The first runs of an aisle without those of paused deployments, of closed ones and closed keys, and of keys whose
    slots were all taken when this transaction began.

    Where no more than `LANES` deployments and keys have runs there, the cost does not grow with the number of blocked runs.
    `dead`: so many index entries before the aisle are not cleaned away. Each key's lie before its first run, wherever a look
    begins, so that to go around passes all of them.
    """
    if (lanes := await _open_lanes(tx, aisle, closed, most=FEW_LANES, limit=limit)) is not None:
        return await _of_lanes(tx, aisle, lanes, limit=limit)
    # To go around so many takes longer than to pass some blocked runs: the next ones in order may be enough.
    end = as_time(await tx.fetch_value(_SQL["due_behind"], aisle.params | {"runs": PASSED}))
    found = await _in_order(tx, aisle if end is None else aisle.before(end), closed, limit=limit)
    if end is None or len(found) == limit:
        return found
    rest = aisle.behind(end)
    runs = await tx.fetch_value(_SQL["due"], rest.params | {"runs": LANES * RUNS_EACH})
    most = 0 if dead > runs * DEAD_EACH else runs // RUNS_EACH
    if most > FEW_LANES and (lanes := await _open_lanes(tx, aisle, closed, most=most, limit=limit)) is not None:
        return await _of_lanes(tx, aisle, lanes, limit=limit)
    return found + await _in_order(tx, rest, closed, limit=limit - len(found))


async def open_parties(tx: Tx, aisle: Aisle, closed: Closed) -> list[Party] | None:
    """Whose runs of an aisle may start, by what was written before and by what is closed; None when more than `PARTIES`
    are to be gone through."""
    lanes = await _open_lanes(tx, aisle, closed, most=PARTIES, limit=_MANY)
    return None if lanes is None else [(owner, key) for owner, key, _ in lanes]


async def first_of(tx: Tx, aisle: Aisle, parties: Sequence[Party], *, each: int) -> list[Capped]:
    """The first runs of each of these in an aisle, no more than `each`."""
    ids = await ids_of(tx, aisle, parties, each=each)
    return capped(await tx.fetch(_SQL["candidates_of_ids"], aisle.params | {"ids": ids})) if ids else []


async def ids_of(tx: Tx, aisle: Aisle, parties: Sequence[Party], *, each: int) -> list[UUID]:
    """The ids of the first runs of each of these in an aisle, no more than `each`; for those who take none of them."""
    owners, keys = ([*column] for column in zip(*parties, strict=True))
    params = {"deployment_ids": owners, "key_ids": keys, "each": each}
    return [row["id"] for row in await tx.fetch(_SQL["first_of_lanes"], aisle.params | params)]


async def _in_order(tx: Tx, aisle: Aisle, closed: Closed, *, limit: int) -> list[Capped]:
    params = aisle.params | {"full": [*closed.deployments], "full_keys": [*closed.keys], "limit": limit}
    return capped(await tx.fetch(_SQL["candidates"], params))


async def _of_lanes(tx: Tx, aisle: Aisle, lanes: Sequence[_Open], *, limit: int) -> list[Capped]:
    params = aisle.params | {"lanes": lanes, "limit": limit}
    return capped(await tx.fetch(_SQL["candidates_of_lanes"], params)) if lanes else []


async def _open_lanes(tx: Tx, aisle: Aisle, closed: Closed, *, most: int, limit: int) -> list[_Open] | None:
    """Of the deployments and keys of which runs may start, those with the first ones, and how many runs of each; None when
    there are more than `most` to go through.

    No more runs of a key are fetched than it has slots: else those of the first key would fill a page, and those of the next
    one the next.
    """
    params = aisle.params | {"full": [*closed.deployments], "full_keys": [*closed.keys], "most": most, "limit": limit}
    *rows, passed = await tx.fetch(_SQL["open_lanes"], params)
    if passed["number"] > most:
        return None
    return [(row["deployment_id"], row["key_id"], _MANY if row["key_free"] is None else row["key_free"]) for row in rows]


def capped(rows: Sequence[Row]) -> list[Capped]:
    """Rows of candidates as they are asked for here and in `fronts`."""
    return [
        Capped(
            _candidate(row),
            row["concurrency_limit"],
            row["key_limit"] if row["key_id"] else None,
            bool(row["paused"]),
            row["shared_limit_id"],
        )
        for row in rows
    ]


def _candidate(row: Row) -> Candidate:
    return Candidate(
        row["id"], row["work_queue_id"], row["due_at"], row["deployment_id"], row["priority"], key_id=row["key_id"]
    )


async def next_due(tx: Tx, pool_id: UUID, *, after: datetime) -> datetime | None:
    """When the next run of a pool falls due."""
    return as_time(await tx.fetch_value(_SQL["next_due"], {"work_pool_id": pool_id, "after": after}))


async def renew(tx: Tx, leases: Sequence[HeldLease], *, expires_at: datetime) -> dict[UUID, Held]:
    """Renew those that still stand; answers of every one of these runs that is held by anyone how."""
    if not leases:
        return {}
    ordered = sorted(leases, key=lambda lease: lease.flow_run_id)
    rows = [{"flow_run_id": lease.flow_run_id, "fence": lease.fence, "expires_at": expires_at} for lease in ordered]
    await tx.execute_many(_SQL["renew"], rows)
    held = await tx.fetch(_SQL["held"], {"ids": [lease.flow_run_id for lease in ordered]})
    return {
        row["id"]: Held(row["fence"], row["state_type"], row["state_name"])
        for row in held
        if row["lease_expires_at"] is not None
    }


async def to_attend(tx: Tx, worker_id: UUID) -> tuple[list[UUID], list[Stray]]:
    """Runs held by a worker that it has to stop; and all that it has to stop or to look for, as far as they can be found."""
    found = await tx.fetch(_SQL["to_attend"], {"worker_id": worker_id})
    rows = [row for row in found if row["lease_expires_at"] is not None]
    cancel = [row["id"] for row in rows if row["state_type"] == StateType.CANCELLING]
    return cancel, [_stray(row, trace) for row in rows if (trace := _trace(row)) is not None]


def _stray(row: Row, trace: Trace) -> Stray:
    lease = Lease(flow_run_id=row["id"], fence=row["fence"], expires_at=row["lease_expires_at"])
    return Stray(lease=lease, name=row["name"], handle=trace.handle)


def _trace(row: Row) -> Trace | None:
    """That of the infrastructure of this very claim."""
    trace = convert(row["infrastructure_trace"], Trace | None)
    return trace if trace is not None and trace.fence == row["fence"] else None


async def hand_over(tx: Tx, run: Lapsed, worker_id: UUID, *, expires_at: datetime, now: datetime) -> bool:
    """Give a run that is to be stopped to another worker; False when it has moved on."""
    params = {"id": run.id, "fence": run.fence, "worker_id": worker_id, "expires_at": expires_at, "now": now}
    return await tx.execute(_SQL["hand_over"], params) > 0


async def lapsed(tx: Tx, *, now: datetime, limit: int) -> list[Lapsed]:
    """Runs whose lease ended before `now`, the longest lapsed first."""
    rows = await tx.fetch(_SQL["lapsed"], {"now": now, "limit": limit})
    return [
        Lapsed(
            row["id"],
            StateType(row["state_type"]),
            row["state_name"],
            row["state_timestamp"],
            row["fence"],
            row["work_pool_id"],
            row["worker_id"],
            _trace(row),
        )
        for row in rows
    ]


async def limits(tx: Tx, *, pools: Iterable[UUID], queues: Iterable[UUID], deployments: Iterable[UUID]) -> dict[UUID, Limit]:
    """The limits of those of these that have one, by id."""
    params = {"pool_ids": [*pools], "queue_ids": [*queues], "deployment_ids": [*deployments]}
    rows = await tx.fetch(_SQL["limits"], params)
    return {row["id"]: Limit(row["concurrency_limit"], row["used"], bool(row["cancels_new"])) for row in rows}
