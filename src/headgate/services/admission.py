"""Which runs may take a slot: under all limits of a pool, its queues and the deployments, whoever asks for it.

The caller holds the locks of the pools, so that what is counted here stays so until its transaction ends.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from headgate.core.dispatch import Candidate, Lane, Snapshot, dispatch
from headgate.store import claims as rows
from headgate.store.database import Tx
from headgate.store.work_pools import LockedPool

EVER = datetime.min.replace(tzinfo=UTC)
"""Before anything falls due."""

_PAGE = 64
"""How many candidates are looked at beyond the room that a worker has."""


async def admissible(
    tx: Tx, pool: LockedPool, queues: dict[UUID, Lane], *, span: tuple[datetime, datetime], room: int
) -> list[Candidate]:
    """Who starts, of the runs that fall due in a span of time: queue by queue and priority by priority, a page of runs
    at a time, until the room is used up.

    Runs whose deployment has no slot left are not fetched again, so that they never fill a page.
    """
    used = await rows.pool_used(tx, pool.id)
    top = Lane(pool.id, pool.is_paused, pool.concurrency_limit, used)
    room = min(room, _left(top))
    if room <= 0 or pool.is_paused:
        return []
    deployments = await rows.limited_deployments(tx)
    admitted: list[Candidate] = []
    for queue in sorted(queues.values(), key=lambda lane: lane.priority):
        if queue.paused:
            continue
        taken = await _admit_queue(tx, top, queue, deployments, span=span, room=room - len(admitted))
        admitted += taken
        top = replace(top, used=top.used + len(taken))
        if len(admitted) >= room:
            break
    return admitted


async def _admit_queue(
    tx: Tx, pool: Lane, queue: Lane, deployments: dict[UUID, Lane], *, span: tuple[datetime, datetime], room: int
) -> list[Candidate]:
    room = min(room, _left(queue))
    admitted: list[Candidate] = []
    for priority in await rows.priorities(tx, queue.id) if room > 0 else []:
        while len(admitted) < room:
            full = _full(deployments)
            limit = room + _PAGE  # those admitted by now are seen again
            page = await rows.candidates(tx, queue.id, priority=priority, span=span, full=full, limit=limit)
            seen = {run.id for run in admitted}
            fresh = [(run, cap) for run, cap in page if run.id not in seen]
            for run, cap in fresh:
                if run.deployment_id and cap is not None:
                    deployments.setdefault(run.deployment_id, Lane(run.deployment_id, limit=cap))
            decision = dispatch(
                Snapshot(
                    replace(pool, used=pool.used + len(admitted)),
                    {queue.id: replace(queue, used=queue.used + len(admitted))},
                    deployments,
                    [run for run, _ in fresh],
                    span[1],
                    room - len(admitted),
                )
            )
            admitted += decision.admitted
            _take(deployments, decision.admitted)
            if len(page) < limit or (not decision.admitted and _full(deployments) == full):
                break
    return admitted


def _full(deployments: dict[UUID, Lane]) -> list[UUID]:
    return [id for id, lane in deployments.items() if _left(lane) <= 0]


def _take(deployments: dict[UUID, Lane], admitted: Sequence[Candidate]) -> None:
    for run in admitted:
        if run.deployment_id and (lane := deployments.get(run.deployment_id)):
            deployments[run.deployment_id] = replace(lane, used=lane.used + 1)


def _left(lane: Lane) -> int:
    return 1_000_000 if lane.limit is None else lane.limit - lane.used


async def full_lane(tx: Tx, pool_id: UUID | None, queue_id: UUID | None, deployment_id: UUID | None) -> str | None:
    """The first limit that leaves no slot, as a sentence; None when there is room. The caller holds the locks."""
    for lane, used, limit in await rows.limits(tx, pool_id, queue_id, deployment_id):
        if limit is not None and used >= limit:
            return f"{lane} concurrency limit reached."
    return None
