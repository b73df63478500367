"""Use cases of claims: the atomic step that gives due runs to a worker."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from msgspec import structs

from headgate.core.dispatch import Candidate
from headgate.core.fair_share import party_of
from headgate.core.states import NAMES, advance, next_moment
from headgate.core.templates import overlay
from headgate.errors import Forbidden, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.claims import (
    AgentClaimRequest,
    AgentClaimResponse,
    ClaimRequest,
    ClaimResponse,
    Found,
    Grant,
    Lease,
    PolledPool,
)
from headgate.schema.states import State, StateCreate, StateDetails, StateType
from headgate.schema.work_pools import UNTYPED
from headgate.services import agents, holdups, references, work_pools, work_queues
from headgate.services.admission import admissible
from headgate.services.agents import Missing, Polled
from headgate.services.leases import lock_place
from headgate.services.scope import Scope
from headgate.services.states import tell_parents
from headgate.services.wakeups import wait_until_set
from headgate.store import claims as rows
from headgate.store import flow_runs as run_rows
from headgate.store import work_pools as pool_rows
from headgate.store import work_queues as queue_rows
from headgate.store.database import Command, Tx
from headgate.store.flow_runs import Entered, Startable
from headgate.store.work_pools import LockedPool
from headgate.store.workers import Alive, Beat
from headgate.telemetry import RunsClaimed

TRUTH_SECONDS = 1.0
"""A waiting claim looks again after this long even when nothing woke it: another process may have made work."""

HEARING_SECONDS = (10.0, 15.0)
"""The same, at random between the two, while what other processes make ready is heard of."""


AnyClaim: TypeAlias = ClaimRequest | AgentClaimRequest


@dataclass(frozen=True, slots=True)
class Claim:
    """One look for work: a worker's, in the pool `pool_name`, or an agent's; by one who `waits`, or who may not need to."""

    scope: Scope
    pool_name: str | None
    body: AnyClaim
    now: datetime
    waits: bool


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a look found, in which pools; whose signals may bring more, and when the next run there falls due.

    `contended`: it passed over runs with whose limits another server was busy, which nobody is going to tell. `opens_at`
    is when a launch rate lets through what it holds back.
    """

    found: Found
    pools: list[LockedPool]
    heard: frozenset[UUID]
    next_due: datetime | None
    contended: bool
    opens_at: datetime | None


async def claim(scope: Scope, pool_name: str, body: ClaimRequest) -> ClaimResponse:
    """Due runs for a worker, as many as fit; waits for some up to `wait_seconds`."""
    claimed = await _wait_for_work(scope, pool_name, body)
    _tell(scope, body.worker, claimed.found.grants)
    [pool] = claimed.pools
    return ClaimResponse(**structs.asdict(claimed.found), base_job_template=pool.base_job_template, paused=pool.is_paused)


async def claim_for_agent(scope: Scope, body: AgentClaimRequest) -> AgentClaimResponse:
    """Due runs of all that an agent polls, as many as fit; waits for some up to `wait_seconds`.

    Pools are served in the order of their names. What is named and does not exist is created.
    """
    claimed = await _wait_for_work(scope, None, body)
    _tell(scope, body.name or str(body.agent_id), claimed.found.grants)
    pools = [
        PolledPool(name=pool.name, type=pool.type, base_job_template=pool.base_job_template, paused=pool.is_paused)
        for pool in claimed.pools
    ]
    return AgentClaimResponse(**structs.asdict(claimed.found), pools=pools)


def _tell(scope: Scope, holder: str, grants: Sequence[Grant]) -> None:
    for pool in {grant.flow_run.work_pool_name for grant in grants}:
        ids = tuple(grant.flow_run.id for grant in grants if grant.flow_run.work_pool_name == pool)
        scope.telemetry.emit(RunsClaimed(pool or "", holder, ids))


async def _wait_for_work(scope: Scope, pool_name: str | None, body: AnyClaim) -> Claimed:
    deadline = scope.now + timedelta(seconds=body.wait_seconds)
    claimed = await _look(scope, pool_name, body)
    while _says_nothing(claimed, body) and scope.now < deadline and not scope.wakeups.closed:
        with scope.wakeups.waiting(claimed.heard) as event:
            claimed = await _look(scope, pool_name, body, waits=True)  # what came since the last look woke nobody
            if not _says_nothing(claimed, body):
                break
            await wait_until_set(event, _pause(scope, deadline, claimed, body))
        if await scope.is_gone():
            break
    if body.room and _nothing(claimed.found):
        claimed.found.held = await holdups.tell(scope, [pool.id for pool in claimed.pools], lambda name: _takes(body, name))
    return claimed


def _says_nothing(claimed: Claimed, body: AnyClaim) -> bool:
    """Whether there is nothing that a claimant would want to know at once, such as that a pool is paused by now."""
    paused = {pool.name for pool in claimed.pools if pool.is_paused}
    match body.paused:
        case None:
            news = False
        case bool(known):
            news = known is not bool(paused)
        case known:
            news = paused != set(known)
    return _nothing(claimed.found) and not news


def _takes(body: AnyClaim, queue: str) -> bool:
    """Whether a claim is for runs of queues of that name, as far as the name goes."""
    return queue.startswith(_prefix(body)) and (not body.queues or queue in body.queues)


def _prefix(body: AnyClaim) -> str:
    return (body.match or "") if isinstance(body, AgentClaimRequest) else ""


def _nothing(found: Found) -> bool:
    return not found.grants and not found.cancel and not found.strays and not found.drain


def _pause(scope: Scope, deadline: datetime, claimed: Claimed, body: AnyClaim) -> float:
    """Seconds until the next look, when nothing wakes it before."""
    now = scope.now
    by_prefix = isinstance(body, AgentClaimRequest) and body.match is not None  # a new pool that matches tells nobody
    told = scope.wakeups.hears and not claimed.contended and not by_prefix
    ends = [deadline, now + timedelta(seconds=random.uniform(*HEARING_SECONDS) if told else TRUTH_SECONDS)]
    if claimed.next_due is not None and body.room:
        ends.append(claimed.next_due - timedelta(seconds=body.prefetch_seconds))
    if claimed.opens_at is not None and body.room:
        ends.append(claimed.opens_at)
    return max((min(ends) - now).total_seconds(), 0.0)


async def _look(scope: Scope, pool_name: str | None, body: AnyClaim, *, waits: bool = False) -> Claimed:
    await scope.fronts.check(scope.store, scope.clock)
    return await scope.store.submit(CLAIM, Claim(scope, pool_name, body, scope.now, waits))


async def _claim(tx: Tx, claims: Sequence[Claim]) -> list[Claimed | Exception]:
    """Pools are locked in the order of their names, then workers in that of theirs, then agents in that of their ids,
    whatever the order of the claims.

    All pools are locked before any run: who proposes states locks in this order, too.
    """
    polled: dict[int, Polled] = {}
    answers: dict[int, Claimed | Exception] = {}
    for index, claim in enumerate(claims):
        try:
            polled[index] = await _polled(tx, claim)
        except Invalid as error:
            answers[index] = error
    pools = await _lock(tx, claims, polled)
    for index in sorted(polled, key=lambda index: lock_place(claims[index].pool_name, claims[index].body)):
        try:
            answers[index] = await _claim_one(tx, claims[index], _chosen(polled[index], pools), polled[index].heard)
        except (NotFound, Invalid, Forbidden) as error:
            answers[index] = error
    return [answers[index] for index in range(len(claims))]


CLAIM: Command[Claim, Claimed] = Command("claim", _claim)


async def _polled(tx: Tx, claim: Claim) -> Polled:
    if isinstance(claim.body, AgentClaimRequest):
        return await agents.polled(tx, claim.body)
    return Polled(frozenset({claim.pool_name or ""}), Missing.REFUSE)


async def _lock(
    tx: Tx, claims: Sequence[Claim], polled: Mapping[int, Polled]
) -> dict[str, LockedPool | NotFound | Forbidden]:
    """All pools that are polled, by name; in place of one, why there is none."""
    makers = {name: claims[index].scope for index, each in polled.items() for name in each.to_make}
    pools: dict[str, LockedPool | NotFound | Forbidden] = {}
    for name in sorted({name for each in polled.values() for name in each.pools}):
        try:
            make = makers.get(name)
            pools[name] = await (work_pools.ensure(make, tx, name) if make else work_queues.locked_pool(tx, name))
        except (NotFound, Forbidden) as error:
            pools[name] = error
    return pools


def _chosen(polled: Polled, pools: Mapping[str, LockedPool | NotFound | Forbidden]) -> list[LockedPool]:
    chosen = []
    for pool in (pools[name] for name in sorted(polled.pools)):
        if isinstance(pool, LockedPool):
            chosen.append(pool)
        elif polled.missing is not Missing.SKIP:
            raise pool
    return chosen


async def _claim_one(tx: Tx, claim: Claim, pools: list[LockedPool], heard: frozenset[UUID]) -> Claimed:
    body = claim.body
    holder, lanes = await _arrive(tx, claim, pools)
    cancel, strays = await rows.to_attend(tx, holder.id) if holder.attends else ([], [])
    served = _Served() if holder.drain else await _serve(tx, claim, pools, lanes, holder.id)
    found = Found(
        grants=served.grants,
        cancel=[id for id in cancel if id not in body.cancelling],
        strays=[stray for stray in strays if stray.lease.flow_run_id not in body.cancelling],
        drain=holder.drain,
    )
    next_due = await _next_due(tx, claim, pools, served.queues) if claim.waits and _nothing(found) else None
    heard |= {holder.id, *(pool.id for pool in pools), *served.queues}
    return Claimed(found, pools, heard, next_due, served.contended, min(served.opening, default=None))


async def _arrive(tx: Tx, claim: Claim, pools: list[LockedPool]) -> tuple[Alive, rows.Lanes | None]:
    """Note that the claimant is alive; a worker's is answered with the lanes of its pool, too."""
    body, now = claim.body, claim.now
    if isinstance(body, AgentClaimRequest):
        return await agents.beat(tx, body, now), None
    [pool] = pools
    _check_type(pool, body)
    beat = Beat(uuid7(now), pool.id, body.worker, body.worker_type, body.heartbeat_interval_seconds, now)
    return await claim.scope.fronts.arrive(tx, beat, names=body.queues)


def _check_type(pool: LockedPool, body: ClaimRequest) -> None:
    if body.worker_type is not None and pool.type != body.worker_type and pool.type != UNTYPED:
        raise Invalid(
            f"Worker {body.worker!r} of type {body.worker_type!r} cannot join pool {pool.name!r} of type {pool.type!r}.",
            field="worker_type",
            value=body.worker_type,
        )


@dataclass(slots=True)
class _Served:
    """What a look was granted, and in which queues it looked; whether runs were passed over as contended, and when launch
    rates let more through."""

    grants: list[Grant] = field(default_factory=list)
    contended: bool = False
    opening: list[datetime] = field(default_factory=list)
    queues: set[UUID] = field(default_factory=set)


async def _serve(tx: Tx, claim: Claim, pools: list[LockedPool], lanes: rows.Lanes | None, holder: UUID) -> _Served:
    """Runs of one pool after the other, as long as there is room; `lanes` are those of the one pool, if they are known."""
    served = _Served()
    for pool in pools:
        polled = await _polled_queues(tx, claim, pool, lanes)
        last = {id: queue.last_polled for id, queue in polled.queues.items()}
        await queue_rows.touch(tx, queue_rows.untouched(last, now=claim.now), now=claim.now)
        room, span = claim.body.room - len(served.grants), (rows.EVER, _horizon(claim))
        fronts, queues = claim.scope.fronts, polled.queues.values()
        admitted = await admissible(tx, pool, queues, fronts=fronts, used=polled.used, span=span, room=room, now=claim.now)
        served.queues |= polled.queues.keys()
        served.contended |= admitted.contended
        served.opening += [admitted.opens_at] if admitted.opens_at else []
        await pool_rows.launch(tx, pool, len(admitted.runs), now=claim.now)
        await pool_rows.serve(tx, pool, [party_of(run) for run in admitted.runs])
        granted = await _grant(tx, admitted.runs, holder, claim)
        await references.attach(claim.scope, tx, pool.base_job_template, granted)
        served.grants += granted
    return served


async def _polled_queues(tx: Tx, claim: Claim, pool: LockedPool, lanes: rows.Lanes | None) -> rows.Lanes:
    """The queues that are polled at present; those that are named are made if need be."""
    body = claim.body
    if isinstance(body, AgentClaimRequest) and body.types is not None and pool.type not in (UNTYPED, *body.types):
        return rows.Lanes({}, 0)
    prefix = _prefix(body)
    lanes = lanes or await claim.scope.fronts.lanes(tx, pool.id, names=body.queues, prefix=prefix)
    found = {queue.name for queue in lanes.queues.values()}
    if missing := [name for name in body.queues if name not in found]:
        for name in missing:
            await work_queues.ensure(claim.scope, tx, pool, name)
        lanes = await claim.scope.fronts.lanes(tx, pool.id, names=body.queues, prefix=prefix)
    return lanes


def _horizon(claim: Claim) -> datetime:
    return claim.now + timedelta(seconds=claim.body.prefetch_seconds)


async def _next_due(tx: Tx, claim: Claim, pools: list[LockedPool], queues: set[UUID]) -> datetime | None:
    return await claim.scope.fronts.next_due(tx, [pool.id for pool in pools], queues, after=_horizon(claim))


async def _grant(tx: Tx, admitted: Sequence[Candidate], holder: UUID, claim: Claim) -> list[Grant]:
    """Move the admitted runs to Pending, with a lease and a new fence, and fetch all that it takes to start them."""
    if not admitted:
        return []
    now = claim.now
    found = await run_rows.startable(tx, {run.id: run.deployment_id for run in admitted}, now=now)
    expires_at = now + timedelta(seconds=claim.scope.settings.server_leases_seconds)
    entered = []
    for candidate in admitted:
        run = found[candidate.id].locked
        details = StateDetails(
            flow_run_id=run.id, task_run_id=run.parent_task_run_id, scheduled_time=run.current.scheduled_time
        )
        proposed = StateCreate(type=StateType.PENDING, name=NAMES[StateType.PENDING], state_details=details)
        at = next_moment(run.current, now)
        state = State(id=uuid7(at), type=proposed.type, name=NAMES[proposed.type], timestamp=at, state_details=details)
        timing = advance(run.timing, run.current, proposed, at=at)
        entered.append(Entered(run.id, state, timing, True, run.current.fence + 1, expires_at, holder))
    await run_rows.enter(tx, entered)
    await tell_parents(tx, entered, {id: each.locked for id, each in found.items()})
    return await _grants(tx, entered, found, expires_at, now)


async def _grants(
    tx: Tx, entered: Sequence[Entered], found: Mapping[UUID, Startable], expires_at: datetime, now: datetime
) -> list[Grant]:
    grants = []
    for each in entered:
        it = found[each.run_id]
        flow, run, deployment = it.flow, it.entered(each, now=now), it.deployment
        if flow is None:  # the run was created while its flow was being deleted: nobody could start it, or see it
            await run_rows.delete(tx, [run.id])
            continue
        grants.append(
            Grant(
                lease=Lease(flow_run_id=run.id, fence=each.fence, expires_at=expires_at),
                flow_run=run,
                flow=flow,
                deployment=deployment,
                work_queue_name=run.work_queue_name or work_queues.DEFAULT,
                job_variables=overlay(deployment.job_variables if deployment else {}, run.job_variables or {}),
            )
        )
    return grants
