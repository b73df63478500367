"""What explanations read: where runs wait, who goes before them, who has the slots, and which workers there are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from headgate.core.contenders import Bunch
from headgate.core.dispatch import Candidate, GateKind
from headgate.core.liveness import polls, worker_status
from headgate.ids import first_at
from headgate.schema.explanations import Holder, LastWord, SeenAgent, SeenWorker
from headgate.schema.states import StateType
from headgate.store.database import Row, Tx
from headgate.store.lanes import Pool
from headgate.store.statements import load_statements

_SQL = load_statements("explanations")

_HOLDERS = {
    GateKind.POOL_LIMIT: _SQL["holders_of_pool"],
    GateKind.QUEUE_LIMIT: _SQL["holders_of_queue"],
    GateKind.DEPLOYMENT_LIMIT: _SQL["holders_of_deployment"],
    GateKind.KEY_LIMIT: _SQL["holders_of_key"],
    GateKind.LAUNCH_LIMIT: _SQL["holders_of_launches"],
    GateKind.SHARED_LIMIT: _SQL["holders_of_shared"],
}
_HOLDINGS = {
    GateKind.POOL_LIMIT: _SQL["holdings_of_pool"],
    GateKind.QUEUE_LIMIT: _SQL["holdings_of_queue"],
    GateKind.DEPLOYMENT_LIMIT: _SQL["holdings_of_deployment"],
    GateKind.KEY_LIMIT: _SQL["holdings_of_key"],
    GateKind.SHARED_LIMIT: _SQL["holdings_of_shared"],
}

NOWHERE = UUID(int=0)
"""The queue of a run that has none."""


@dataclass(frozen=True, slots=True)
class Located:
    """A run as dispatch sees it, where it belongs, and who has it."""

    candidate: Candidate
    work_pool_id: UUID | None
    state_name: str
    lease_expires_at: datetime | None
    worker: str | None
    key: str | None = None
    is_agent: bool = False

    @property
    def holder(self) -> str | None:
        """Who has it, as sentences say it: `worker 'night'`."""
        return f"{'agent' if self.is_agent else 'worker'} {self.worker!r}" if self.worker else None


async def candidates(tx: Tx, ids: Sequence[UUID], *, now: datetime) -> list[Located]:
    """By ids; what has no time is due now."""
    rows = await tx.fetch(_SQL["candidates"], {"ids": [*ids]})
    return [
        Located(
            Candidate(
                row["id"],
                row["work_queue_id"] or NOWHERE,
                row["due_at"] or now,
                row["deployment_id"],
                row["priority"],
                row["lease_expires_at"] is not None,
                row["key_id"],
            ),
            row["work_pool_id"],
            row["state_name"] or "",
            row["lease_expires_at"],
            row["worker"] or row["agent"] or (str(row["agent_id"]) if row["agent_id"] else None),
            row["concurrency_key"],
            row["agent_id"] is not None,
        )
        for row in rows
    ]


async def ahead(
    tx: Tx,
    queue_id: UUID,
    priority: int,
    *,
    span: tuple[tuple[datetime, UUID], tuple[datetime, UUID]],
    full: Iterable[UUID],
    full_keys: Iterable[UUID],
    limit: int,
) -> list[Candidate]:
    """Runs of a queue and a run priority between two places (due time, id), in their order, that could start as far as
    their deployments and keys go; `full` and `full_keys` are those without a slot."""
    (after, after_id), (before, before_id) = span
    params = {"work_queue_id": queue_id, "priority": priority, "after": after, "after_id": after_id}
    params |= {"before": before, "before_id": before_id, "full": [*full], "full_keys": [*full_keys], "limit": limit}
    rows = await tx.fetch(_SQL["ahead"], params)
    return [
        Candidate(
            row["id"], row["work_queue_id"], row["due_at"], row["deployment_id"], row["priority"], key_id=row["key_id"]
        )
        for row in rows
    ]


async def bunches_ahead(tx: Tx, queue_id: UUID, priority: int, *, before: tuple[datetime, UUID], limit: int) -> list[Bunch]:
    """The runs of a queue and a run priority that stand before a place, up to `limit`, the bunch of the first one first."""
    time, id = before
    params = {"work_queue_id": queue_id, "priority": priority, "before": time, "before_id": id, "limit": limit}
    rows = await tx.fetch(_SQL["bunches_ahead"], params)
    return [Bunch(queue_id, row["deployment_id"], row["key_id"], row["runs"]) for row in rows]


async def count_due(tx: Tx, queue_id: UUID, *, now: datetime, limit: int) -> tuple[int, int]:
    """How many runs of a queue are due, and how many of these are Late; up to `limit`."""
    row = await tx.fetch_one(_SQL["count_due"], {"work_queue_id": queue_id, "now": now, "limit": limit})
    return (row["due"], row["late"]) if row else (0, 0)


async def last_word(tx: Tx, run_id: UUID, *, since: datetime) -> LastWord | None:
    """The last log line of a run that was received since a moment."""
    row = await tx.fetch_one(_SQL["last_word"], {"id": run_id, "from_id": first_at(since)})
    return LastWord(**row) if row else None


async def holders(tx: Tx, kind: GateKind, id: UUID, *, pool_id: UUID | None, limit: int) -> list[Holder]:
    """Some of the runs that have a slot of what a limit is of."""
    rows = await tx.fetch(_HOLDERS[kind], _of_limit(kind, id, pool_id, limit))
    return [
        Holder(flow_run_id=row["id"], name=row["name"], state_name=row["state_name"], since=row["state_timestamp"])
        for row in rows
    ]


def _of_limit(kind: GateKind, id: UUID, pool_id: UUID | None, limit: int) -> dict[str, Any]:
    """What statements about those who have a slot take."""
    return {"id": id, "limit": limit} | ({"work_pool_id": pool_id} if kind is GateKind.QUEUE_LIMIT else {})


@dataclass(frozen=True, slots=True)
class Holding:
    """A run that has a slot, and for how many seconds it has been Running, in all its attempts."""

    deployment_id: UUID | None
    queue_id: UUID | None
    elapsed: float
    expected_start: datetime


async def holdings(tx: Tx, kind: GateKind, id: UUID, *, pool_id: UUID | None, now: datetime, limit: int) -> list[Holding]:
    """The runs that have a slot of what a limit is of, up to `limit`."""
    rows = await tx.fetch(_HOLDINGS[kind], _of_limit(kind, id, pool_id, limit))
    return [
        Holding(row["deployment_id"], row["work_queue_id"], _elapsed(row, now), row["expected_start_time"] or now)
        for row in rows
    ]


def _elapsed(row: Row, now: datetime) -> float:
    """Of the attempt under way what has passed, of those before all."""
    is_running = row["state_type"] == StateType.RUNNING
    passed = (now - row["state_timestamp"]).total_seconds() if is_running else 0.0
    return float(row["total_run_time"] + max(passed, 0.0))


async def durations(tx: Tx, deployment_id: UUID, *, before: datetime, limit: int) -> list[float]:
    """For how many seconds the last runs of a deployment were Running that ended by themselves, the latest first."""
    params = {"deployment_id": deployment_id, "before": before, "limit": limit}
    return [row["total_run_time"] for row in await tx.fetch(_SQL["durations"], params)]


async def workers(tx: Tx, pool_ids: Iterable[UUID], *, now: datetime) -> dict[UUID, list[SeenWorker]]:
    """The workers of pools by pool, the last alive first."""
    found: dict[UUID, list[SeenWorker]] = {}
    for row in await tx.fetch(_SQL["workers"], {"pool_ids": sorted(set(pool_ids))}):
        beat = row["last_heartbeat_time"]
        status = worker_status(beat, row["heartbeat_interval_seconds"], now=now)
        draining = row["drain_requested"] is not None
        seen = SeenWorker(name=row["name"], status=status, last_heartbeat_time=beat, runs=row["runs"], draining=draining)
        found.setdefault(row["work_pool_id"], []).append(seen)
    return found


async def agents(tx: Tx, pool: Pool, queue: str, *, now: datetime) -> list[SeenAgent]:
    """The agents that poll a queue, the last alive first."""
    found = []
    for row in await tx.fetch(_SQL["agents"], {"pool": pool.name}):
        names, prefix = row["work_queue_names"], row["work_queue_prefix"]
        if not polls(row["work_pool_name"], names, prefix, pool=pool.name, type=pool.type, queue=queue):
            continue
        beat = row["last_heartbeat_time"]
        seen = SeenAgent(
            id=row["id"],
            name=row["name"],
            status=worker_status(beat, row["heartbeat_interval_seconds"], now=now),
            last_heartbeat_time=beat,
            runs=row["runs"],
            draining=row["drain_requested"] is not None,
        )
        found.append(seen)
    return found
