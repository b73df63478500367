"""What claims read and write: the snapshot that dispatch decides on, and leases."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headgate.core.dispatch import Candidate, Lane
from headgate.schema.claims import HeldLease
from headgate.schema.states import StateType
from headgate.store.database import Tx
from headgate.store.statements import load_statements
from headgate.store.times import as_time

_SQL = load_statements("claims")


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A run whose holder has not renewed its lease."""

    id: UUID
    state_type: StateType
    state_name: str
    fence: int


async def queues(tx: Tx, pool_id: UUID) -> dict[UUID, tuple[str, Lane]]:
    """A pool's queues, by id: name and lane."""
    rows = await tx.fetch(_SQL["queues"], {"work_pool_id": pool_id})
    return {
        row["id"]: (row["name"], Lane(row["id"], row["is_paused"], row["concurrency_limit"], row["used"], row["priority"]))
        for row in rows
    }


async def pool_used(tx: Tx, pool_id: UUID) -> int:
    """How many slots of a pool are taken."""
    used: int = await tx.fetch_value(_SQL["pool_used"], {"work_pool_id": pool_id})
    return used


async def limited_deployments(tx: Tx) -> dict[UUID, Lane]:
    """Deployments with a limit that have slots taken."""
    rows = await tx.fetch(_SQL["saturable"])
    return {row["id"]: Lane(row["id"], limit=row["concurrency_limit"], used=row["used"]) for row in rows}


async def priorities(tx: Tx, queue_id: UUID) -> list[int]:
    """The run priorities that wait in a queue, highest first."""
    return [row["priority"] for row in await tx.fetch(_SQL["priorities"], {"work_queue_id": queue_id})]


async def candidates(
    tx: Tx, queue_id: UUID, *, priority: int, span: tuple[datetime, datetime], full: Iterable[UUID], limit: int
) -> list[tuple[Candidate, int | None]]:
    """Runs of a queue and a run priority that fall due in a span of time, both ends included, with their deployments'
    limits; without those of `full` deployments."""
    since, until = span
    params = {"work_queue_id": queue_id, "priority": priority, "since": since, "until": until}
    params |= {"full": [*full], "limit": limit}
    return [
        (
            Candidate(row["id"], row["work_queue_id"], row["due_at"], row["deployment_id"], row["priority"]),
            row["concurrency_limit"],
        )
        for row in await tx.fetch(_SQL["candidates"], params)
    ]


async def next_due(tx: Tx, pool_id: UUID, *, after: datetime) -> datetime | None:
    """When the next run of a pool falls due."""
    return as_time(await tx.fetch_value(_SQL["next_due"], {"work_pool_id": pool_id, "after": after}))


async def renew(tx: Tx, leases: Sequence[HeldLease], *, expires_at: datetime) -> dict[UUID, tuple[int, str]]:
    """Renew those that still stand; answers fence and state type of every one of these runs that is held by anyone."""
    if not leases:
        return {}
    ordered = sorted(leases, key=lambda lease: lease.flow_run_id)
    rows = [{"flow_run_id": lease.flow_run_id, "fence": lease.fence, "expires_at": expires_at} for lease in ordered]
    await tx.execute_many(_SQL["renew"], rows)
    held = await tx.fetch(_SQL["held"], {"ids": [lease.flow_run_id for lease in ordered]})
    return {row["id"]: (row["fence"], row["state_type"]) for row in held}


async def to_cancel(tx: Tx, worker_id: UUID) -> list[UUID]:
    """Runs held by a worker that it has to stop."""
    return [row["id"] for row in await tx.fetch(_SQL["to_cancel"], {"worker_id": worker_id})]


async def lapsed(tx: Tx, *, now: datetime, limit: int) -> list[Lapsed]:
    """Runs whose lease ended before `now`, the longest lapsed first."""
    rows = await tx.fetch(_SQL["lapsed"], {"now": now, "limit": limit})
    return [Lapsed(row["id"], StateType(row["state_type"]), row["state_name"], row["fence"]) for row in rows]


async def limits(
    tx: Tx, pool_id: UUID | None, queue_id: UUID | None, deployment_id: UUID | None
) -> list[tuple[str, int, int | None]]:
    """What a run stands under: the lane's word, its slots taken and its limit; pool first."""
    params = {"work_pool_id": pool_id, "work_queue_id": queue_id, "deployment_id": deployment_id}
    return [(row["lane"], row["used"], row["concurrency_limit"]) for row in await tx.fetch(_SQL["limits"], params)]
