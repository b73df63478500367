"""Use cases of states: proposals, in sets, under the locks of the runs and of the pools whose slots they take."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct, structs

from headgate.core.states import (
    AWAITING_RETRY,
    HOLDS_SLOT,
    LATE,
    NAMES,
    TERMINAL,
    Abort,
    Accept,
    Current,
    Decision,
    Reject,
    Wait,
    advance,
    decide,
    goes_on,
    has_result,
    keeps_lease,
    next_moment,
)
from headgate.core.suspensions import Pausing, remembered
from headgate.errors import NotFound
from headgate.ids import uuid7
from headgate.schema.claims import CLAIM_HEADER, fence_of
from headgate.schema.states import (
    OrchestrationResult,
    OrchestrationStatus,
    SetState,
    State,
    StateCreate,
    StateDetails,
    StateType,
)
from headgate.services import task_states
from headgate.services.admission import Held, Ledger, Place, hold_limits, ledger_of, refused_state
from headgate.services.answers import answer
from headgate.services.scope import Scope
from headgate.services.task_states import ChildState
from headgate.store import concurrency_keys as key_rows
from headgate.store import flow_run_inputs as input_rows
from headgate.store import flow_runs as rows
from headgate.store.database import Command, TryAgain, Tx
from headgate.store.flow_runs import Entered, LockedRun
from headgate.telemetry import StateChanged


class Proposal(Struct, frozen=True):
    """A state proposed for a run at `now`.

    `lease_until`: the caller claims the run by this proposal and is to hold it until then.
    `trust`: the run is suspected to be lost, and its lease is given once more on trust.
    `lapsed_before`: only if the run's lease has ended by then. `from_name`: only if the run is in a state of that name.
    `from_state`: only if it is in that very state.
    """

    run_id: UUID
    state: StateCreate
    now: datetime
    force: bool = False
    fence: int | None = None
    lease_until: datetime | None = None
    trust: "Trust | None" = None
    lapsed_before: datetime | None = None
    from_name: str | None = None
    from_state: UUID | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """Until when, and the worker that is to look whether the run's infrastructure still lives."""

    until: datetime
    worker_id: UUID | None


class Answered(Struct, frozen=True):
    """The answer to a proposal; `entered` is the event when the run changed state, `place` where something may be ready now.

    `others` are further pools where that may be: in which runs of its deployment wait for a slot.
    """

    result: OrchestrationResult
    entered: StateChanged | None = None
    place: UUID | None = None
    others: frozenset[UUID] = frozenset()


async def set_state(scope: Scope, run_id: UUID, body: SetState) -> Answered:
    """Answer one proposal."""
    now = scope.now
    claims = body.take_lease and body.state.type is StateType.PENDING
    until = now + timedelta(seconds=scope.settings.server_leases_seconds) if claims else None
    fence, force = body.fence, body.force
    if fence is None and (fence := fence_of(scope.header(CLAIM_HEADER), run_id)) is not None:
        # An engine forces what it thinks that it died of; whether it was cancelled is not its to say.
        force = force and body.state.type is not StateType.CRASHED
    return await propose(scope, Proposal(run_id, body.state, now, force=force, fence=fence, lease_until=until))


async def propose(scope: Scope, proposal: Proposal) -> Answered:
    """Answer a proposal; when it changed the run, tell who listens and wake who waits for its pool."""
    answered = await scope.store.submit(PROPOSE, proposal)
    if answered.entered is not None:
        scope.telemetry.emit(answered.entered)
        scope.wakeups.wake([answered.place, *answered.others])
    return answered


async def propose_all(scope: Scope, proposals: Iterable[Proposal]) -> int:
    """Propose for many runs at once, as the server's own jobs do; how many entered a state.

    A run that was deleted meanwhile did not. One that fails otherwise does not fail the others; its error is raised when
    all have been tried, so that the job's pass counts as failed.
    """
    answers = await asyncio.gather(*(propose(scope, proposal) for proposal in proposals), return_exceptions=True)
    for each in answers:
        if isinstance(each, BaseException) and not isinstance(each, NotFound):
            raise each
    return sum(1 for answer in answers if isinstance(answer, Answered) and answer.entered)


async def _propose(tx: Tx, proposals: Sequence[Proposal]) -> list[Answered | Exception]:
    """What limits those that ask for a slot is locked first, then all runs, each in one order."""
    ids = [each.run_id for each in proposals]
    claiming = [each.run_id for each in proposals if each.state.type in HOLDS_SLOT]
    # One that is to run has its slot, mostly: then no limit is needed.
    mostly_hold = all(each.state.type is not StateType.PENDING for each in proposals)
    runs = await rows.lock(tx, ids, holders=claiming) if mostly_hold else {}
    pools, held = set[UUID | None](), Held({}, {})
    if claiming and not runs:
        places = await rows.gates_of(tx, claiming)
        pools, held = {pool for pool, _, _ in places}, await hold_limits(tx, places, now=proposals[0].now)
        runs = await rows.lock(tx, ids)
    asking = [_place(run) for id in claiming if (run := runs.get(id)) is not None and _needs_slot(run)]
    if any(place.pool_id not in pools or (place.shared_id and place.shared_id not in held.shared) for place in asking):
        raise TryAgain("a run was sent to another pool, or lost its slot, or got another limit, before it was locked")
    ledger = await ledger_of(tx, asking, held) if asking else Ledger({})
    entered: list[Entered] = []
    answers: list[Answered | Exception] = []
    freed: dict[int, LockedRun] = {}
    for index, proposal in enumerate(proposals):
        run = runs.get(proposal.run_id)
        if run is None:
            answers.append(NotFound(f"Flow run with id {proposal.run_id} not found"))
            continue
        before, count, launched = _holds_slot(run), len(entered), run.is_launching
        answers.append(_answer(run, proposal, entered, ledger))
        if len(entered) > count:
            if launched and not run.is_launching:
                ledger.settle(_place(run))
            ledger.move(_place(run), entered[-1].holds_slot - before)
            if before and not entered[-1].holds_slot and (run.is_limited or run.key_id is not None or run.shared_id):
                freed[index] = run
    await _write(tx, entered)
    await tell_parents(tx, entered, runs)
    await _remember_pauses(tx, entered, runs)
    await ledger.note(tx, now=proposals[0].now)
    return await _told(tx, answers, freed) if freed else answers


async def _told(tx: Tx, answers: list[Answered | Exception], freed: Mapping[int, LockedRun]) -> list[Answered | Exception]:
    """The answers; those whose run freed a slot of its deployment or its key with the pools in which others wait for it."""
    deployments = {run.deployment_id for run in freed.values() if run.deployment_id}
    keys = {run.key_id for run in freed.values() if run.key_id}
    shared = {run.shared_id for run in freed.values() if run.shared_id}
    pools = frozenset(await key_rows.pools(tx, deployments=deployments, keys=keys, shared=shared))
    return [
        structs.replace(each, others=each.others | pools) if index in freed and isinstance(each, Answered) else each
        for index, each in enumerate(answers)
    ]


def _place(run: LockedRun) -> Place:
    of_it = run.work_pool_id, run.work_queue_id, run.deployment_id, run.key_id
    return Place(*of_it, run.shared_id, run.cancels_new, run.is_narrow or run.is_limited)


def _holds_slot(run: LockedRun) -> bool:
    return run.current.type in HOLDS_SLOT or run.current.held


def _needs_slot(run: LockedRun) -> bool:
    """Whether a state that holds a slot is to be measured against the limits: the run has none yet."""
    return not _holds_slot(run)


async def _write(tx: Tx, entered: list[Entered]) -> None:
    await rows.enter(tx, entered)
    if requeued := [each.run_id for each in entered if each.state.type is StateType.SCHEDULED]:
        await rows.rehome(tx, requeued)


async def _remember_pauses(tx: Tx, entered: Sequence[Entered], runs: Mapping[UUID, LockedRun]) -> None:
    """Pauses that runs went through, and whether they resume, are kept with their policies."""
    changed = {}
    for each in entered:
        run = runs[each.run_id]
        if run.policy is None:
            continue
        policy, now = run.policy, run.current.pausing
        known = frozenset(policy.pause_keys or ()), bool(policy.resuming), policy.retry_type
        if (now.keys, now.resuming, now.retry_type) != known:
            run.policy = structs.replace(
                policy, pause_keys=sorted(now.keys), resuming=now.resuming, retry_type=now.retry_type
            )
            changed[run.id] = run.policy
    if changed:
        await rows.set_policies(tx, changed)
    for each in entered:
        # What an earlier attempt was given at the same place must not answer this one.
        if each.state.type is StateType.PAUSED and (keyset := each.state.state_details.run_input_keyset):
            await input_rows.delete_keys(tx, each.run_id, keyset.values())


async def tell_parents(tx: Tx, entered: list[Entered], runs: Mapping[UUID, LockedRun]) -> None:
    """Runs within other runs: the tasks that stand for them there are where they are."""
    children = [
        ChildState(parent, each.run_id, each.state)
        for each in entered
        if (parent := runs[each.run_id].parent_task_run_id) is not None
    ]
    if children:
        await task_states.follow(tx, children, now=max(each.state.timestamp for each in children))


PROPOSE: Command[Proposal, Answered] = Command("propose states", _propose)


def _answer(run: LockedRun, proposal: Proposal, entered: list[Entered], ledger: Ledger) -> Answered:
    if _overtaken(run, proposal):
        return _kept(run, OrchestrationStatus.ABORT, "The run has moved on.")
    state = _in_its_time(run, proposal) if _keeps_time(proposal) else proposal.state
    decision = decide(run.current, state, now=proposal.now, force=proposal.force, fence=proposal.fence)
    decision = _admitted(run, proposal, decision, ledger)
    match decision:
        case Accept(state):
            return _entered(run, proposal, state, entered, OrchestrationStatus.ACCEPT, None)
        case Reject(reason, None):
            return _kept(run, OrchestrationStatus.REJECT, reason, fence=_fence_again(run, proposal))
        case Reject(reason, StateCreate() as state):
            return _entered(run, proposal, state, entered, OrchestrationStatus.REJECT, reason)
        case Wait(seconds, reason):
            return _kept(run, OrchestrationStatus.WAIT, reason, delay=seconds)
        case Abort(reason):
            return _kept(run, OrchestrationStatus.ABORT, reason)
    raise AssertionError(decision)


def _overtaken(run: LockedRun, proposal: Proposal) -> bool:
    """Whether the run is no longer as the server's own job saw it."""
    if proposal.from_name is not None and run.current.name != proposal.from_name:
        return True
    if proposal.from_state is not None and (run.state is None or run.state.id != proposal.from_state):
        return True
    before = proposal.lapsed_before
    return before is not None and (run.lease_expires_at is None or run.lease_expires_at >= before)


def _keeps_time(proposal: Proposal) -> bool:
    """Late keeps the time that it is late for; a run whose holder is gone waits for the time that it waited for."""
    recovered = proposal.lapsed_before is not None and proposal.state.type is StateType.SCHEDULED
    return proposal.state.name == LATE or recovered


def _in_its_time(run: LockedRun, proposal: Proposal) -> StateCreate:
    details = proposal.state.state_details or StateDetails()
    if details.scheduled_time is not None and proposal.lapsed_before is None:
        return proposal.state
    details = structs.replace(details, scheduled_time=run.current.scheduled_time)
    return structs.replace(proposal.state, state_details=details)


def _admitted(run: LockedRun, proposal: Proposal, decision: Decision, ledger: Ledger) -> Decision:
    """A run that is to take its first slot must find one under every limit: clients that poll claim this way."""
    if not isinstance(decision, Accept) or proposal.force or not _needs_slot(run):
        return decision
    if decision.state.type not in (StateType.PENDING, StateType.RUNNING):
        return decision
    launches = decision.state.type is StateType.PENDING
    refused = ledger.refusal(_place(run), now=proposal.now, launches=launches)
    if refused is None:
        return decision
    polled = launches and run.work_queue_id is not None
    return Reject(refused.reason, refused_state(refused, run.current, now=proposal.now, polled=polled))


def _entered(
    run: LockedRun,
    proposal: Proposal,
    proposed: StateCreate,
    entered: list[Entered],
    status: OrchestrationStatus,
    reason: str | None,
) -> Answered:
    """Record what follows from the run's entering a state, in `run` too: the next proposal of the set sees it."""
    before, launched = run.current, run.is_launching
    now = next_moment(before, proposal.now)
    held = run.lease_expires_at is not None
    # A retry that the server makes of a failure goes on in the process that reported it, fenced or not.
    by_holder = proposal.fence is not None or status is OrchestrationStatus.REJECT
    kept = held and keeps_lease(proposed, by_holder=by_holder)
    claimed = proposal.lease_until is not None and proposed.type is StateType.PENDING
    # Who lost the run, to the queue or to another holder, must not write to it any more.
    fence = before.fence + (claimed or (held and not kept and proposed.type is StateType.SCHEDULED))
    details = proposed.state_details or StateDetails()
    details = structs.replace(details, flow_run_id=run.id, task_run_id=run.parent_task_run_id or details.task_run_id)
    if run.state is not None and goes_on(before, proposed):
        details = run.state.state_details  # a holder that comes back may repeat its last proposal
    run.state = State(
        id=uuid7(now),
        type=proposed.type,
        name=proposed.name or NAMES[proposed.type],
        timestamp=now,
        message=proposed.message,
        data=proposed.data,
        state_details=details,
    )
    run.timing = advance(run.timing, before, proposed, at=now)
    run.lease_expires_at = proposal.lease_until if claimed else run.lease_expires_at if kept else None
    run.worker_id = run.worker_id if kept else None
    if kept and (trust := proposal.trust) is not None:
        run.lease_expires_at, run.worker_id = trust.until, trust.worker_id or run.worker_id
    run.current = Current(
        type=proposed.type,
        name=run.state.name,
        timestamp=now,
        scheduled_time=details.scheduled_time,
        transition_id=details.transition_id,
        has_deployment=before.has_deployment,
        run_count=run.timing.run_count,
        retries=before.retries,
        retry_delays=before.retry_delays,
        fence=fence,
        held=run.lease_expires_at is not None,
        restarts=run.timing.restarts,
        restarts_begun=run.timing.restarts_begun,
        infra_retries=before.infra_retries,
        pausing=_pausing(before, proposed, run.state, proposal, status),
        has_process=before.has_process,
        has_result=has_result(proposed.data),
    )
    holds_slot = proposed.type in HOLDS_SLOT or kept
    entered.append(Entered(run.id, run.state, run.timing, holds_slot, fence, run.lease_expires_at, run.worker_id))
    event = StateChanged(run.id, before.type, proposed.type, run.state.name)
    told = answer(run.state, status, reason, fence=fence if claimed else None)
    return Answered(told, event, _place_of_change(run), _launchers(run) if launched else frozenset())


def _launchers(run: LockedRun) -> frozenset[UUID]:
    """Where others may be launched now that a run is no longer on its way to Running."""
    return frozenset() if run.is_launching or run.work_pool_id is None else frozenset({run.work_pool_id})


def _place_of_change(run: LockedRun) -> UUID:
    """Where a change of state may have made something ready: nowhere, when the run goes on; who follows it hears of it."""
    if run.current.type in (StateType.PENDING, StateType.RUNNING):
        return run.id
    return run.work_pool_id or run.deployment_id or run.id


def _pausing(
    before: Current, proposed: StateCreate, state: State, proposal: Proposal, status: OrchestrationStatus
) -> Pausing:
    retries = status is OrchestrationStatus.REJECT and proposed.name == AWAITING_RETRY
    return remembered(
        before.pausing,
        before.type,
        proposed,
        was_over=before.type in TERMINAL,
        retries=retries,
        key=str(state.id),
        force=proposal.force,
    )


def _fence_again(run: LockedRun, proposal: Proposal) -> int | None:
    """The fence of a claim whose answer was lost: the claim is sent again, and the run is still the caller's."""
    claimed = proposal.lease_until is not None and run.current.type is StateType.PENDING and run.current.held
    return run.current.fence if claimed else None


def _kept(
    run: LockedRun, status: OrchestrationStatus, reason: str, *, delay: int | None = None, fence: int | None = None
) -> Answered:
    # With WAIT, too: its time is exact, the delay is in whole seconds.
    return Answered(answer(run.state, status, reason, delay=delay, fence=fence))
