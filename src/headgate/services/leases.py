"""Use cases of leases: what keeps claimed runs their holder's own, and how it gives them back."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from msgspec import structs

from headgate.core.states import SUSPECTED
from headgate.errors import NotFound
from headgate.ids import uuid7
from headgate.schema.claims import (
    AgentClaimRequest,
    AgentLeaseRenewal,
    AgentLeaseReturn,
    ClaimRequest,
    HeldLease,
    LeaseRenewal,
    LeaseRenewalResponse,
    LeaseReturn,
)
from headgate.schema.states import StateCreate, StateDetails, StateType
from headgate.services import work_queues
from headgate.services.scope import Scope
from headgate.services.states import Proposal, propose, propose_all
from headgate.store import agents as agent_rows
from headgate.store import claims as rows
from headgate.store import flow_runs as run_rows
from headgate.store import work_pools as pool_rows
from headgate.store import workers as worker_rows
from headgate.store.database import Command, Tx
from headgate.store.workers import Beat


@dataclass(frozen=True, slots=True)
class Renewal:
    """A heartbeat with leases; `pool_name` is a worker's, None when an agent or an engine renews."""

    scope: Scope
    pool_name: str | None
    body: LeaseRenewal | AgentLeaseRenewal
    now: datetime


@dataclass(frozen=True, slots=True)
class Renewed:
    """The answer to a heartbeat; `back` are renewed runs, with their fences, that were suspected to be lost."""

    answer: LeaseRenewalResponse
    back: Mapping[UUID, int]


async def renew(scope: Scope, pool_name: str | None, body: LeaseRenewal | AgentLeaseRenewal) -> LeaseRenewalResponse:
    """Keep what the caller still holds; tell it what it lost and what to stop."""
    renewed = await scope.store.submit(RENEW, Renewal(scope, pool_name, body, scope.now))
    if renewed.back:
        await propose_all(scope, [_going_on(id, fence, scope.now) for id, fence in renewed.back.items()])
    return renewed.answer


def _going_on(id: UUID, fence: int, now: datetime) -> Proposal:
    state = StateCreate(type=StateType.RUNNING, message="Its holder reports again: it was not lost.")
    return Proposal(id, state, now, fence=fence, from_name=SUSPECTED)


async def renew_run(scope: Scope, run_id: UUID, body: HeldLease) -> LeaseRenewalResponse:
    """An engine's heartbeat for the run that it executes."""
    lease = structs.replace(body, flow_run_id=run_id)
    return await renew(scope, None, LeaseRenewal(worker="engine", leases=[lease]))


async def _renew(tx: Tx, renewals: Sequence[Renewal]) -> list[Renewed | Exception]:
    now = renewals[0].now
    expires_at = now + timedelta(seconds=renewals[0].scope.settings.server_leases_seconds)
    leases = [lease for renewal in renewals for lease in renewal.body.leases]
    held = await rows.renew(tx, leases, expires_at=expires_at)
    beats = await _beat_all(tx, renewals)
    answers: list[Renewed | Exception] = []
    for index, renewal in enumerate(renewals):
        drain = beats[index]
        if isinstance(drain, NotFound):
            answers.append(drain)
            continue
        mine = {lease.flow_run_id: lease.fence for lease in renewal.body.leases}
        kept = {id: held[id] for id, fence in mine.items() if id in held and held[id].fence == fence}
        answer = LeaseRenewalResponse(
            expires_at=expires_at,
            lost=[id for id in mine if id not in kept],
            cancel=[id for id, each in kept.items() if each.state_type == StateType.CANCELLING],
            drain=drain,
        )
        answers.append(Renewed(answer, {id: mine[id] for id, each in kept.items() if each.state_name == SUSPECTED}))
    return answers


RENEW: Command[Renewal, Renewed] = Command("renew leases", _renew)


async def _beat_all(tx: Tx, renewals: Sequence[Renewal]) -> dict[int, bool | NotFound]:
    """Note all heartbeats, in the order in which claims lock workers and agents; by index, who is to drain."""
    answers: dict[int, bool | NotFound] = {}
    order = sorted(range(len(renewals)), key=lambda index: lock_place(renewals[index].pool_name, renewals[index].body))
    for index in order:
        try:
            answers[index] = await _beat_alone(tx, renewals[index])
        except NotFound as error:
            answers[index] = error
    return answers


async def _beat_alone(tx: Tx, renewal: Renewal) -> bool:
    body, now = renewal.body, renewal.now
    if isinstance(body, AgentLeaseRenewal):
        return await agent_rows.touch(tx, body.agent_id, interval=body.heartbeat_interval_seconds, now=now)
    if renewal.pool_name is None:
        return False
    pool_id = await pool_rows.id_of(tx, renewal.pool_name)
    if pool_id is None:
        raise work_queues.missing_pool(renewal.pool_name)
    joins = body.joins_as is not None
    # The id follows from the process's own, so that a first call that arrives twice is known as the same.
    id = uuid5(pool_id, f"{body.worker} {body.joins_as}") if joins else uuid7(now)
    beat = Beat(id, pool_id, body.worker, body.worker_type, body.heartbeat_interval_seconds, now, joins, body.site)
    return (await worker_rows.beat(tx, beat)).drain


async def give_back(scope: Scope, body: LeaseReturn | AgentLeaseReturn) -> None:
    """Claimed runs that were not started wait again, at once and under their old time."""
    holder = f"Worker {body.worker!r}" if isinstance(body, LeaseReturn) else f"Agent {body.name or str(body.agent_id)!r}"
    ids = [lease.flow_run_id for lease in body.leases]
    runs = await scope.store.read(lambda tx: run_rows.get_many(tx, ids, now=scope.now))
    proposals = []
    for lease in body.leases:
        run = runs.get(lease.flow_run_id)
        if run is None or run.state_type is not StateType.PENDING or run.state is None:
            continue
        details = StateDetails(scheduled_time=run.state.state_details.scheduled_time)
        message = f"{holder} gave it back before it was started."
        state = StateCreate(type=StateType.SCHEDULED, message=message, state_details=details)
        proposals.append(Proposal(run.id, state, scope.now, fence=lease.fence, from_name=run.state_name))
    await asyncio.gather(*(_propose_if_there(scope, proposal) for proposal in proposals))


async def _propose_if_there(scope: Scope, proposal: Proposal) -> None:
    with suppress(NotFound):  # deleted meanwhile
        await propose(scope, proposal)


def lock_place(
    pool_name: str | None, body: ClaimRequest | AgentClaimRequest | LeaseRenewal | AgentLeaseRenewal
) -> tuple[bool, str, str]:
    """Whose row is locked before whose, by claims and by heartbeats alike."""
    match body:
        case AgentClaimRequest(agent_id=id) | AgentLeaseRenewal(agent_id=id):
            return True, id.hex, ""
    return False, pool_name or "", body.worker
