"""Use cases of claims and leases: the atomic step that gives due runs to a worker, and what keeps them its own."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from msgspec import structs

from headgate.core.dispatch import Candidate
from headgate.core.states import NAMES, advance, next_moment
from headgate.errors import Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.claims import (
    ClaimRequest,
    ClaimResponse,
    Grant,
    HeldLease,
    Lease,
    LeaseRenewal,
    LeaseRenewalResponse,
    LeaseReturn,
)
from headgate.schema.states import State, StateCreate, StateDetails, StateType
from headgate.schema.work_pools import UNTYPED
from headgate.services import work_queues
from headgate.services.admission import EVER, admissible
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose
from headgate.services.wakeups import wait_until_set
from headgate.store import claims as rows
from headgate.store import deployments as deployment_rows
from headgate.store import flow_runs as run_rows
from headgate.store import flows as flow_rows
from headgate.store import work_pools as pool_rows
from headgate.store import work_queues as queue_rows
from headgate.store import workers as worker_rows
from headgate.store.database import Command, Tx
from headgate.store.flow_runs import Entered
from headgate.store.work_pools import LockedPool
from headgate.store.workers import Beat
from headgate.telemetry import RunsClaimed

TRUTH_SECONDS = 1.0
"""A waiting claim looks again after this long even when nothing woke it: another process may have made work."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One look for work."""

    scope: Scope
    pool_name: str
    body: ClaimRequest
    now: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a look found; with nothing found, when the next run of the pool falls due."""

    response: ClaimResponse
    pool_id: UUID
    next_due: datetime | None


async def claim(scope: Scope, pool_name: str, body: ClaimRequest) -> ClaimResponse:
    """Due runs for a worker, as many as fit; waits for some up to `wait_seconds`."""
    deadline = scope.now + timedelta(seconds=body.wait_seconds)
    claimed = await _look(scope, pool_name, body)
    while _nothing(claimed.response) and scope.now < deadline and not scope.wakeups.closed:
        with scope.wakeups.waiting(claimed.pool_id) as event:
            claimed = await _look(scope, pool_name, body)  # what came since the last look woke nobody
            if not _nothing(claimed.response):
                break
            await wait_until_set(event, _pause(scope.now, deadline, claimed.next_due, body))
        if await scope.is_gone():
            break
    if claimed.response.grants:
        ids = tuple(grant.flow_run.id for grant in claimed.response.grants)
        scope.telemetry.emit(RunsClaimed(pool_name, body.worker, ids))
    return claimed.response


def _nothing(response: ClaimResponse) -> bool:
    return not response.grants and not response.cancel and not response.drain


def _pause(now: datetime, deadline: datetime, next_due: datetime | None, body: ClaimRequest) -> float:
    """Seconds until the next look, when nothing wakes it before."""
    ends = [deadline, now + timedelta(seconds=TRUTH_SECONDS)]
    if next_due is not None and body.room:
        ends.append(next_due - timedelta(seconds=body.prefetch_seconds))
    return max((min(ends) - now).total_seconds(), 0.0)


async def _look(scope: Scope, pool_name: str, body: ClaimRequest) -> Claimed:
    return await scope.store.submit(CLAIM, Claim(scope, pool_name, body, scope.now))


async def _claim(tx: Tx, claims: Sequence[Claim]) -> list[Claimed | Exception]:
    """Pools are locked in the order of their names, then workers in that of theirs, whatever the order of the claims.

    All pools are locked before any run: who proposes states locks in this order, too.
    """
    answers: dict[int, Claimed | Exception] = {}
    if len(pools := {claim.pool_name for claim in claims}) > 1:
        for name in sorted(pools):
            await pool_rows.lock(tx, name)
    for index in sorted(range(len(claims)), key=lambda index: (claims[index].pool_name, claims[index].body.worker)):
        try:
            answers[index] = await _claim_one(tx, claims[index])
        except (NotFound, Invalid) as error:
            answers[index] = error
    return [answers[index] for index in range(len(claims))]


CLAIM: Command[Claim, Claimed] = Command("claim", _claim)


async def _claim_one(tx: Tx, claim: Claim) -> Claimed:
    body, now = claim.body, claim.now
    pool = await work_queues.locked_pool(tx, claim.pool_name)
    _check_type(pool, body)
    beat = Beat(uuid7(now), pool.id, body.worker, body.worker_type, body.heartbeat_interval_seconds, now)
    worker_id, drain = await worker_rows.beat(tx, beat)
    if drain:
        return Claimed(ClaimResponse(cancel=await _to_cancel(tx, worker_id, claim), drain=True), pool.id, None)
    for name in body.queues:
        await work_queues.ensure(claim.scope, tx, pool, name)
    queues = await rows.queues(tx, pool.id)
    polled = {id: lane for id, (name, lane) in queues.items() if not body.queues or name in body.queues}
    await queue_rows.touch(tx, [*polled], now=now)
    until = now + timedelta(seconds=body.prefetch_seconds)
    admitted = await admissible(tx, pool, polled, span=(EVER, until), room=body.room)
    grants = await _grant(tx, admitted, worker_id, claim)
    cancel = await _to_cancel(tx, worker_id, claim)
    response = ClaimResponse(grants=grants, cancel=cancel, base_job_template=pool.base_job_template, paused=pool.is_paused)
    next_due = None if grants else await rows.next_due(tx, pool.id, after=until)
    return Claimed(response, pool.id, next_due)


async def _to_cancel(tx: Tx, worker_id: UUID, claim: Claim) -> list[UUID]:
    return [id for id in await rows.to_cancel(tx, worker_id) if id not in claim.body.cancelling]


def _check_type(pool: LockedPool, body: ClaimRequest) -> None:
    if body.worker_type is not None and pool.type != body.worker_type and pool.type != UNTYPED:
        raise Invalid(
            f"Worker {body.worker!r} of type {body.worker_type!r} cannot join pool {pool.name!r} of type {pool.type!r}.",
            field="worker_type",
            value=body.worker_type,
        )


async def _grant(tx: Tx, admitted: Sequence[Candidate], worker_id: UUID, claim: Claim) -> list[Grant]:
    """Move the admitted runs to Pending, with a lease and a new fence, and fetch all that it takes to start them."""
    if not admitted:
        return []
    now = claim.now
    locked = await run_rows.lock(tx, [run.id for run in admitted])
    expires_at = now + timedelta(seconds=claim.scope.settings.server_leases_seconds)
    entered = []
    for candidate in admitted:
        run = locked[candidate.id]
        details = StateDetails(flow_run_id=run.id, scheduled_time=run.current.scheduled_time, transition_id=None)
        proposed = StateCreate(type=StateType.PENDING, name=NAMES[StateType.PENDING], state_details=details)
        at = next_moment(run.current, now)
        state = State(id=uuid7(at), type=proposed.type, name=NAMES[proposed.type], timestamp=at, state_details=details)
        timing = advance(run.timing, run.current, proposed, at=at)
        entered.append(Entered(run.id, state, timing, True, run.current.fence + 1, expires_at, worker_id))
    await run_rows.enter(tx, entered)
    return await _grants(tx, [each.run_id for each in entered], expires_at, now)


async def _grants(tx: Tx, ids: Sequence[UUID], expires_at: datetime, now: datetime) -> list[Grant]:
    runs = await run_rows.get_many(tx, ids, now=now)
    flows = await flow_rows.get_many(tx, {run.flow_id for run in runs.values()})
    deployment_ids = {run.deployment_id for run in runs.values() if run.deployment_id}
    deployments = await deployment_rows.get_many(tx, [*deployment_ids], now=now)
    grants = []
    for id in ids:
        run = runs[id]
        if run.flow_id not in flows:  # created while its flow was being deleted: nobody could start it, or see it
            await run_rows.delete(tx, [id])
            continue
        deployment = deployments.get(run.deployment_id) if run.deployment_id else None
        grants.append(
            Grant(
                lease=Lease(flow_run_id=id, fence=run.fence, expires_at=expires_at),
                flow_run=run,
                flow=flows[run.flow_id],
                deployment=deployment,
                work_queue_name=run.work_queue_name or work_queues.DEFAULT,
                job_variables=(deployment.job_variables if deployment else {}) | (run.job_variables or {}),
            )
        )
    return grants


@dataclass(frozen=True, slots=True)
class Renewal:
    """A heartbeat with leases; `pool_name` is None when an engine renews its own run."""

    scope: Scope
    pool_name: str | None
    body: LeaseRenewal
    now: datetime


async def renew(scope: Scope, pool_name: str | None, body: LeaseRenewal) -> LeaseRenewalResponse:
    """Keep what the caller still holds; tell it what it lost and what to stop."""
    return await scope.store.submit(RENEW, Renewal(scope, pool_name, body, scope.now))


async def renew_run(scope: Scope, run_id: UUID, body: HeldLease) -> LeaseRenewalResponse:
    """An engine's heartbeat for the run that it executes."""
    lease = structs.replace(body, flow_run_id=run_id)
    return await renew(scope, None, LeaseRenewal(worker="engine", leases=[lease]))


async def _renew(tx: Tx, renewals: Sequence[Renewal]) -> list[LeaseRenewalResponse | Exception]:
    now = renewals[0].now
    expires_at = now + timedelta(seconds=renewals[0].scope.settings.server_leases_seconds)
    leases = [lease for renewal in renewals for lease in renewal.body.leases]
    held = await rows.renew(tx, leases, expires_at=expires_at)
    beats = await _beat_all(tx, renewals)
    answers: list[LeaseRenewalResponse | Exception] = []
    for index, renewal in enumerate(renewals):
        drain = beats[index]
        if isinstance(drain, NotFound):
            answers.append(drain)
            continue
        mine = {lease.flow_run_id: lease.fence for lease in renewal.body.leases}
        kept = {id: held[id][1] for id, fence in mine.items() if id in held and held[id][0] == fence}
        answers.append(
            LeaseRenewalResponse(
                expires_at=expires_at,
                lost=[id for id in mine if id not in kept],
                cancel=[id for id, state in kept.items() if state == StateType.CANCELLING],
                drain=drain,
            )
        )
    return answers


RENEW: Command[Renewal, LeaseRenewalResponse] = Command("renew leases", _renew)


async def _beat_all(tx: Tx, renewals: Sequence[Renewal]) -> dict[int, bool | NotFound]:
    """Note all heartbeats, in the order in which claims lock pools and workers; by index, who is to drain."""
    answers: dict[int, bool | NotFound] = {}
    order = sorted(range(len(renewals)), key=lambda index: (renewals[index].pool_name or "", renewals[index].body.worker))
    for index in order:
        try:
            answers[index] = await _beat(tx, renewals[index])
        except NotFound as error:
            answers[index] = error
    return answers


async def _beat(tx: Tx, renewal: Renewal) -> bool:
    if renewal.pool_name is None:
        return False
    pool = await pool_rows.get(tx, renewal.pool_name, now=renewal.now)
    if pool is None:
        raise work_queues.missing_pool(renewal.pool_name)
    body, now, joins = renewal.body, renewal.now, renewal.body.joins_as is not None
    # The id follows from the process's own, so that a first call that arrives twice is known as the same.
    id = uuid5(pool.id, f"{body.worker} {body.joins_as}") if joins else uuid7(now)
    beat = Beat(id, pool.id, body.worker, body.worker_type, body.heartbeat_interval_seconds, now, joins)
    _, drain = await worker_rows.beat(tx, beat)
    return drain


async def give_back(scope: Scope, body: LeaseReturn) -> None:
    """Claimed runs that were not started wait again, at once and under their old time."""
    for lease in body.leases:
        run = await scope.store.read(lambda tx, id=lease.flow_run_id: run_rows.get(tx, id, now=scope.now))  # type: ignore[misc]
        if run is None or run.state_type is not StateType.PENDING or run.state is None:
            continue
        details = StateDetails(scheduled_time=run.state.state_details.scheduled_time)
        message = f"Worker {body.worker!r} gave it back before it was started."
        state = StateCreate(type=StateType.SCHEDULED, message=message, state_details=details)
        proposal = Proposal(lease.flow_run_id, state, scope.now, fence=lease.fence, from_name=run.state_name)
        with suppress(NotFound):  # deleted meanwhile
            await propose(scope, proposal)
