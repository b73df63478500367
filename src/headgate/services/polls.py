"""The polls of existing clients: runs that could start now, shown but not claimed; who asks again and again waits for some.

A poll only reads, and holds nothing: claims decide under locks what starts, and so does the first move to Pending.
Workers and agents poll a pool, other agents queues one after the other, processes that serve flows their deployments.
"""

import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from msgspec import structs

from headgate.core import patience
from headgate.schema.deployments import GetScheduledRuns
from headgate.schema.filters import Page
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import StateType
from headgate.schema.work_pools import GetScheduledFlowRuns, WorkerFlowRun
from headgate.schema.work_queues import GetQueueRuns, WorkQueue
from headgate.services import agents, claims, work_queues
from headgate.services.admission import admissible
from headgate.services.scope import Scope
from headgate.services.wakeups import wait_until_set
from headgate.store import claims as rows
from headgate.store import deployments as deployment_rows
from headgate.store import flow_runs as run_rows
from headgate.store import waiting_runs
from headgate.store import work_queues as queue_rows
from headgate.store.claims import Lanes
from headgate.store.database import Tx
from headgate.store.paging import size_of
from headgate.store.work_pools import SeenPool

Run = TypeVar("Run", FlowRun, WorkerFlowRun)


@dataclass(frozen=True, slots=True)
class Looked(Generic[Run]):
    """What a look showed; when it is empty, what may make that different: whose signals, and when.

    `paused`: what is polled delivers nothing until somebody changes that. `contended`: it passed over runs with whose limits
    another server was busy, which nobody is going to tell.
    """

    runs: list[Run]
    heard: frozenset[UUID]
    paused: bool = False
    next_due: datetime | None = None
    opens_at: datetime | None = None
    contended: bool = False


Look = Callable[[datetime, datetime], Awaitable[Looked[Run]]]
"""A look at what is due before a moment, by one who waits until another."""


async def poll(scope: Scope, pool_name: str, body: GetScheduledFlowRuns) -> list[WorkerFlowRun]:
    """By the same decision as a claim; the run is taken by who first moves it to Pending.

    A worker's poll that finds nothing is held until there is something, as long as the settings say.
    """
    prefetch = _prefetch(scope, body.scheduled_before)
    began, looked = scope.now, await _look(scope, pool_name, body)
    if prefetch is None or body.limit == 0:
        return looked.runs

    async def again(before: datetime, until: datetime) -> Looked[WorkerFlowRun]:
        return await _look(scope, pool_name, structs.replace(body, scheduled_before=before), waits=True)

    return await _hold(scope, looked, again, began=began, prefetch=prefetch)


def _prefetch(scope: Scope, scheduled_before: datetime | None) -> timedelta | None:
    """How far ahead a caller looks that polls in a loop."""
    return patience.prefetch_of(
        user_agent=scope.header("user-agent") or "",
        worker=scope.header("x-prefect-worker-name"),
        scheduled_before=scheduled_before,
        now=scope.now,
    )


async def _hold(scope: Scope, looked: Looked[Run], look: Look[Run], *, began: datetime, prefetch: timedelta) -> list[Run]:
    """What a look shows as soon as it shows something; nothing, when that takes too long or the caller hangs up."""
    deadline = began + timedelta(seconds=scope.settings.server_polls_hold_seconds)
    while not looked.runs and not looked.paused and scope.now < deadline and not scope.wakeups.closed:
        with scope.wakeups.waiting(looked.heard) as event:
            looked = await look(scope.now + prefetch, deadline + prefetch)
            if looked.runs or looked.paused:
                break
            await wait_until_set(event, _pause(scope, deadline, looked, prefetch))
        if await scope.is_gone():
            break
    return looked.runs


def _pause(scope: Scope, deadline: datetime, looked: Looked[Run], prefetch: timedelta) -> float:
    """Seconds until the next look, when nothing wakes it before."""
    now = scope.now
    told = scope.wakeups.hears and not looked.contended
    ends = [deadline, now + timedelta(seconds=random.uniform(*claims.HEARING_SECONDS) if told else claims.TRUTH_SECONDS)]
    if looked.next_due is not None:
        ends.append(looked.next_due - prefetch)
    if looked.opens_at is not None:
        ends.append(looked.opens_at)
    return max((min(ends) - now).total_seconds(), 0.0)


async def _look(scope: Scope, pool_name: str, body: GetScheduledFlowRuns, *, waits: bool = False) -> Looked[WorkerFlowRun]:
    async def unit(tx: Tx) -> tuple[Looked[WorkerFlowRun], Lanes]:
        wanted = body.work_queue_names or []
        seen = await scope.fronts.pool_and_lanes(tx, pool_name, names=wanted)
        pool, lanes = seen or (await work_queues.locked_pool(tx, pool_name), Lanes({}, 0))  # or there is none
        work_queues.ids_of(pool_name, {id: queue.name for id, queue in lanes.queues.items()}, wanted)  # or one is missing
        looked = await _poll(
            scope, tx, pool, lanes, after=body.scheduled_after, before=body.scheduled_before, limit=body.limit, waits=waits
        )
        return looked, lanes

    await scope.fronts.check(scope.store, scope.clock)
    looked, polled = await scope.store.read(unit)
    await _note(scope, polled)
    return looked


async def poll_queue(scope: Scope, id: UUID, body: GetQueueRuns) -> list[FlowRun]:
    """The same of one queue, as agents ask for it.

    It is held for those who have asked for this queue of late and for no other: an agent of several queues asks for one
    after the other, and must not wait at one of them while there is work in the next.
    """
    if _is_page(scope):
        return [each.flow_run for each in (await _look_into_queue(scope, id, body, counts=False)).runs]
    prefetch, before = _prefetch(scope, body.scheduled_before), _asked_before(scope, "queue", id)
    began, looked = scope.now, await _look_into_queue(scope, id, body)
    if prefetch is None or body.limit == 0 or before != {id}:
        return [each.flow_run for each in looked.runs]

    async def again(before: datetime, until: datetime) -> Looked[WorkerFlowRun]:
        return await _look_into_queue(scope, id, structs.replace(body, scheduled_before=before), waits=True)

    return [each.flow_run for each in await _hold(scope, looked, again, began=began, prefetch=prefetch)]


def _is_page(scope: Scope) -> bool:
    """Whether a web page of existing servers only wants to show what waits. Nobody is there who would run it."""
    return (scope.header("x-prefect-ui") or "").lower() in _TRUE


_TRUE = ("true", "1", "yes", "on", "t", "y")


async def _look_into_queue(
    scope: Scope, id: UUID, body: GetQueueRuns, *, waits: bool = False, counts: bool = True
) -> Looked[WorkerFlowRun]:
    """`counts`: the queue was polled, and not only looked at."""

    async def unit(tx: Tx) -> tuple[Looked[WorkerFlowRun], Lanes, WorkQueue]:
        queue, pool = await work_queues.seen(scope, tx, id)
        polled = await scope.fronts.lanes(tx, pool.id, names=[queue.name])
        looked = await _poll(scope, tx, pool, polled, before=body.scheduled_before, limit=body.limit, waits=waits)
        return replace(looked, paused=looked.paused or queue.is_paused), polled, queue

    await scope.fronts.check(scope.store, scope.clock)
    looked, polled, queue = await scope.store.read(unit)
    if not counts:
        return looked
    await _note(scope, polled)
    if (agent_id := body.agent_id) is not None:
        await scope.store.write(lambda tx: agents.note_poll(tx, agent_id, queue, scope.now))
    return looked


async def _note(scope: Scope, polled: Lanes) -> None:
    """Note that queues were polled, where that was not noted of late."""
    now = scope.now
    if stale := queue_rows.untouched({id: queue.last_polled for id, queue in polled.queues.items()}, now=now):
        await scope.store.write(lambda tx: queue_rows.touch(tx, stale, now=now))


async def poll_deployments(scope: Scope, body: GetScheduledRuns) -> list[FlowRun]:
    """Due runs of deployments that their author's process serves itself; by the way, note that it polls.

    It is held for a process that has asked for the same deployments before; one that asks once wants to know what there is.
    """
    ids = body.deployment_ids
    size_of(Page(limit=body.limit))
    if not ids:
        return []
    prefetch, before = _prefetch(scope, body.scheduled_before), _asked_before(scope, "deployments", frozenset(ids))
    began = scope.now
    await scope.store.write(lambda tx: deployment_rows.touch(tx, ids, now=began))
    looked = await _look_at_deployments(scope, body, body.scheduled_before or began)
    if prefetch is None or body.limit == 0 or frozenset(ids) not in before:
        return looked.runs

    async def again(before: datetime, until: datetime) -> Looked[FlowRun]:
        return await _look_at_deployments(scope, body, before, until=until)

    return await _hold(scope, looked, again, began=began, prefetch=prefetch)


async def _look_at_deployments(
    scope: Scope, body: GetScheduledRuns, before: datetime, *, until: datetime | None = None
) -> Looked[FlowRun]:
    ids, now = body.deployment_ids, scope.now

    async def unit(tx: Tx) -> Looked[FlowRun]:
        runs = await waiting_runs.due_of_deployments(tx, ids, before=before, limit=body.limit, now=now)
        later = await waiting_runs.due_of_deployments(tx, ids, before=until, limit=1, now=now) if until and not runs else []
        return Looked(runs, frozenset(ids), next_due=later[0].next_scheduled_start_time if later else None)

    return await scope.store.read(unit)


def _asked_before(scope: Scope, kind: str, wanted: Hashable) -> frozenset[Hashable]:
    """What of a kind its caller asked for of late, before this; nothing when there is no telling who it is."""
    if not scope.address:
        return frozenset()
    return scope.habits.note(f"{kind} {scope.address} {scope.header('user-agent')}", wanted, scope.now)


async def _poll(
    scope: Scope,
    tx: Tx,
    pool: SeenPool,
    polled: Lanes,
    *,
    after: datetime | None = None,
    before: datetime | None,
    limit: int | None,
    waits: bool = False,
) -> Looked[WorkerFlowRun]:
    """Runs of these queues of a pool. Who `waits` is told until when."""
    now = scope.now
    span = after or rows.EVER, before or now + timedelta(days=36_500)
    room = size_of(Page(limit=limit))
    admitted = await admissible(
        tx, pool, polled.queues.values(), fronts=scope.fronts, used=polled.used, span=span, room=room, now=now, holds=False
    )
    heard = frozenset({pool.id, *polled.queues})
    if not admitted.runs:
        next_due = await scope.fronts.next_due(tx, [pool.id], polled.queues, after=span[1]) if waits else None
        return Looked([], heard, pool.is_paused, next_due, admitted.opens_at, admitted.contended)
    found = await run_rows.get_many(tx, [run.id for run in admitted.runs], now=now)
    shown = [
        WorkerFlowRun(work_pool_id=pool.id, work_queue_id=run.queue_id, flow_run=flow_run)
        for run in admitted.runs
        if (flow_run := found.get(run.id)) is not None and flow_run.state_type is StateType.SCHEDULED
    ]
    return Looked(shown, heard)
