"""The preview of a pool: what will really run, from the runs that wait and the schedules behind them.

It only reads: neither queues nor deployments count as polled by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from headgate.core.dispatch import Candidate, Lane, Snapshot, standing_gates
from headgate.core.projection import Fire, project
from headgate.core.reasons import label
from headgate.errors import Invalid
from headgate.schema.flow_runs import FlowRun
from headgate.schema.flows import Flow
from headgate.schema.previews import Preview, PreviewEntry, PreviewRequest
from headgate.services import work_queues
from headgate.services.scope import Scope
from headgate.services.situations import lanes_of_owners, limits_of
from headgate.store import flow_runs as run_rows
from headgate.store import flows as flow_rows
from headgate.store import lanes as lane_rows
from headgate.store import previews as rows
from headgate.store import work_pools as pool_rows
from headgate.store.database import Tx
from headgate.store.lanes import Lanes, Owner, Queue
from headgate.store.previews import Waiting

DEFAULT_ENTRIES = 200
DEFAULT_HOURS = 1.0

_PAGE = 200
"""How many fire times are looked up at once."""


Item = Waiting | Fire


@dataclass(frozen=True, slots=True)
class _Found:
    """The records that a preview's entries show, by id."""

    pool: Lane
    queues: Mapping[UUID, Queue]
    deployments: Mapping[UUID, Owner]
    shared: Mapping[UUID, Lane]
    runs: Mapping[UUID, FlowRun]
    flows: Mapping[UUID, Flow]
    now: datetime


async def preview(scope: Scope, pool_name: str, body: PreviewRequest) -> Preview:
    """The runs of a pool, or of some of its queues, that fall due until a moment; by time."""
    now, limit = scope.now, body.limit or DEFAULT_ENTRIES
    until = _until(body, now)

    async def unit(tx: Tx) -> Preview:
        pool = await pool_rows.get(tx, pool_name, now=now)
        lanes = await lane_rows.get_many(tx, pools=[pool.id] if pool else [])
        if not lanes.pools:
            raise work_queues.missing_pool(pool_name)
        names = {id: queue.name for id, queue in lanes.queues.items()}
        queue_ids = work_queues.ids_of(pool_name, names, body.work_queue_names or [])
        waiting = await rows.waiting(tx, queue_ids, until=until, limit=limit + 1)
        last = waiting[-1].due_at if len(waiting) > limit else until
        fires = await _fires(tx, queue_ids, now=now, until=last, most=limit + 1)
        items: list[Item] = sorted([*waiting, *fires], key=_place)
        found = await _find(tx, lanes, items[:limit], now)
        entries = [_entry(item, found) for item in items[:limit]]
        return Preview(entries=[entry for entry in entries if entry], until=until, cut=len(items) > limit)

    return await scope.store.read(unit)


def _until(body: PreviewRequest, now: datetime) -> datetime:
    if body.hours is not None and body.until is not None:
        message = "A preview ends after some hours or at a moment: give `hours` or `until`, not both."
        raise Invalid(message, field="until", value=body.until)
    return body.until or now + timedelta(hours=body.hours or DEFAULT_HOURS)


async def _fires(tx: Tx, queue_ids: Sequence[UUID], *, now: datetime, until: datetime, most: int) -> list[Fire]:
    """The first fire times after now that have no run yet, in whatever state: those the scheduler is still to make."""
    ahead = project(await rows.plans(tx, queue_ids), after=now, until=until)
    missing: list[Fire] = []
    while len(missing) < most and (page := [*islice(ahead, _PAGE)]):
        made = await run_rows.ids_by_key(tx, [(fire.plan.flow_id, fire.key) for fire in page])
        missing += [fire for fire in page if (fire.plan.flow_id, fire.key) not in made]
    return missing[:most]


def _place(item: Item) -> tuple[datetime, bool, UUID]:
    match item:
        case Waiting():
            return item.due_at, False, item.id
        case Fire():
            return item.time, True, item.plan.schedule_id


async def _find(tx: Tx, lanes: Lanes, items: Sequence[Item], now: datetime) -> _Found:
    waiting = [item for item in items if isinstance(item, Waiting)]
    fires = [item for item in items if isinstance(item, Fire)]
    owners = {run.deployment_id for run in waiting if run.deployment_id} | {fire.plan.deployment_id for fire in fires}
    runs = await run_rows.get_many(tx, [run.id for run in waiting], now=now) if waiting else {}
    flows = {run.flow_id for run in runs.values()} | {fire.plan.flow_id for fire in fires}
    deployments = (await lane_rows.get_many(tx, deployments=owners)).deployments
    limits = await limits_of(tx, deployments.values(), now=now)
    return _Found(
        pool=next(iter(lanes.pools.values())).lane,
        queues=lanes.queues,
        deployments=deployments,
        shared=lanes_of_owners(deployments.values(), limits),
        runs=runs,
        flows=await flow_rows.get_many(tx, flows),
        now=now,
    )


def _entry(item: Item, found: _Found) -> PreviewEntry | None:
    """None for a run that was deleted between two looks."""
    match item:
        case Fire(time, plan):
            entry = _bare(time, plan.flow_id, plan.work_queue_id, plan.deployment_id, found)
            entry.projected, entry.schedule_id, entry.parameters = True, plan.schedule_id, dict(plan.parameters)
            return entry
        case Waiting(id, queue_id, due_at, deployment_id, schedule_id) if id in found.runs:
            run = found.runs[id]
            entry = _bare(due_at, run.flow_id, queue_id, deployment_id, found)
            entry.flow_run, entry.schedule_id, entry.parameters = run, schedule_id, run.parameters
            entry.late_by_seconds = max((found.now - due_at).total_seconds(), 0.0)
            return entry
    return None


def _bare(time: datetime, flow_id: UUID, queue_id: UUID, deployment_id: UUID | None, found: _Found) -> PreviewEntry:
    """What entries of both kinds have."""
    deployment = found.deployments.get(deployment_id) if deployment_id else None
    flow = found.flows.get(flow_id)
    return PreviewEntry(
        scheduled_time=time,
        projected=False,
        deployment_id=deployment_id,
        deployment_name=deployment.name if deployment else None,
        flow_id=flow_id,
        flow_name=flow.name if flow else "",
        work_queue_id=queue_id,
        work_queue_name=found.queues[queue_id].name,
        held=_held(time, found.queues[queue_id].lane, deployment.lane if deployment else None, found),
    )


def _held(time: datetime, queue: Lane, deployment: Lane | None, found: _Found) -> list[str]:
    run = Candidate(queue.id, queue.id, time, deployment.id if deployment else None)  # any id will do
    deployments = {deployment.id: deployment} if deployment else {}
    snapshot = Snapshot(found.pool, {queue.id: queue}, deployments, [run], time, 1, shared=found.shared)
    return [label(gate) for gate in standing_gates(run, snapshot)]
