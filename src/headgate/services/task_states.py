"""Use cases of task runs' states, for clients that leave their orchestration to the server; and the tasks that stand for
flow runs within others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import ceil
from random import random
from uuid import UUID

from msgspec import structs

from headgate.core import task_states as rules
from headgate.core.states import NAMES, Abort, Accept, Decision, Reject, Timing, Wait, next_moment_after
from headgate.core.task_states import Enclosing, Task
from headgate.errors import Locked, NotFound
from headgate.ids import uuid7
from headgate.schema.states import (
    OrchestrationResult,
    OrchestrationStatus,
    SetState,
    State,
    StateCreate,
    StateDetails,
    StateType,
)
from headgate.schema.task_runs import TaskRun, TaskRunPolicy
from headgate.services import tag_limits, task_workers
from headgate.services.answers import answer
from headgate.services.scope import Scope
from headgate.store import task_runs as rows
from headgate.store.database import Command, Tx


@dataclass(frozen=True, slots=True)
class Proposal:
    """A state proposed for a task run at `now`; `draw` is the chance in the delay of a retry."""

    task_run_id: UUID
    body: SetState
    now: datetime
    draw: float
    scope: Scope


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a proposal, whether the task run entered a state, and the task if it waits for a task worker by now."""

    result: OrchestrationResult
    entered: bool
    waiting: str | None = None


async def set_state(scope: Scope, id: UUID, body: SetState) -> Answered:
    """Answer one proposal."""
    answered = await scope.store.submit(PROPOSE, Proposal(id, body, scope.now, random(), scope))
    if answered.waiting is not None:
        task_workers.announce(scope, [answered.waiting])
    return answered


async def _propose(tx: Tx, proposals: Sequence[Proposal]) -> list[Answered | Exception]:
    now = proposals[0].now
    runs = await rows.lock(tx, [each.task_run_id for each in proposals], now=now)
    starting = {runs[each.task_run_id].flow_run_id for each in proposals if _starts(each) and each.task_run_id in runs}
    flow_runs = await rows.enclosing(tx, [id for id in starting if id]) if any(starting) else {}
    states: list[tuple[UUID, State]] = []
    answers: list[Answered | Exception] = []
    for each in proposals:
        run = runs.get(each.task_run_id)
        if run is None:
            answers.append(NotFound(f"Task run with id {each.task_run_id} not found"))
            continue
        decision = await _in_slots(tx, run, each, await _decide(tx, run, each, flow_runs))
        held = run.state_type in _HOLDING
        answered = _answer(run, decision, each, flow_runs.get(run.flow_run_id) if run.flow_run_id else None)
        answers.append(replace(answered, waiting=run.task_key) if answered.entered and task_workers.waits(run) else answered)
        if answered.entered and run.state:
            states.append((run.id, run.state))
            if held and run.tags and run.state_type not in _HOLDING:
                await tag_limits.give_back_in(each.scope, tx, run.tags, run.id)
    await _write(tx, {id: runs[id] for id, _ in states}, states)
    await task_workers.enqueue(tx, {id: runs[id] for id, _ in states}.values(), now=now)
    return answers


_HOLDING = (StateType.RUNNING, StateType.CANCELLING)
"""While a task run is in these it keeps the slots of its tags."""

PROPOSE: Command[Proposal, Answered] = Command("propose states of task runs", _propose)


def _starts(proposal: Proposal) -> bool:
    return proposal.body.state.type is StateType.RUNNING


async def _decide(tx: Tx, run: TaskRun, proposal: Proposal, flow_runs: Mapping[UUID, Enclosing]) -> Decision:
    proposed = proposal.body.state
    key = proposed.state_details.cache_key if proposed.state_details else None
    cached = await rows.cached(tx, key, now=proposal.now) if key and rules.looks_up(proposed) else None
    return rules.decide(
        _task(run),
        proposed,
        now=proposal.now,
        flow_run=flow_runs.get(run.flow_run_id) if run.flow_run_id else None,
        cached=cached,
        draw=proposal.draw,
        force=proposal.body.force,
    )


async def _in_slots(tx: Tx, run: TaskRun, proposal: Proposal, decision: Decision) -> Decision:
    """A tagged task that is to run takes a slot of each of its tags that has a limit, or waits."""
    if not isinstance(decision, Accept) or decision.state.type is not StateType.RUNNING:
        return decision
    if not run.tags or proposal.body.force:
        return decision
    try:
        await tag_limits.take_in(proposal.scope, tx, run.tags, run.id)
    except Locked as full:
        return Abort(str(full)) if full.retry_after is None else Wait(ceil(full.retry_after), str(full))
    return decision


def _task(run: TaskRun) -> Task:
    policy: TaskRunPolicy = run.empirical_policy
    delays = policy.retry_delay if policy.retry_delay is not None else policy.retry_delay_seconds
    return Task(
        state=run.state,
        run_count=run.run_count,
        flow_run_run_count=run.flow_run_run_count,
        retries=policy.retries if policy.retries is not None else policy.max_retries,
        retry_delays=(delays,) if isinstance(delays, int | float) else tuple(delays),
        jitter=policy.retry_jitter_factor or 0.0,
        alone=run.flow_run_id is None,
    )


def _answer(run: TaskRun, decision: Decision, proposal: Proposal, flow_run: Enclosing | None) -> Answered:
    match decision:
        case Accept(state):
            enter(run, state, now=proposal.now)
            if flow_run is not None and state.type is StateType.RUNNING and not proposal.body.force:
                run.flow_run_run_count = flow_run.run_count
            return Answered(answer(run.state, OrchestrationStatus.ACCEPT, None), True)
        case Reject(reason, StateCreate() as state):
            enter(run, state, now=proposal.now)
            return Answered(answer(run.state, OrchestrationStatus.REJECT, reason), True)
        case Reject(reason, None):
            return Answered(answer(run.state, OrchestrationStatus.REJECT, reason), False)
        case Wait(seconds, reason):
            return Answered(answer(run.state, OrchestrationStatus.WAIT, reason, delay=seconds), False)
        case Abort(reason):
            return Answered(answer(run.state, OrchestrationStatus.ABORT, reason), False)
    raise AssertionError(decision)


def enter(run: TaskRun, entered: StateCreate, *, now: datetime) -> None:
    """Have a task run be in a state, with all that follows from it."""
    at = next_moment_after(run.state.timestamp if run.state else None, now)
    details = structs.replace(entered.state_details or StateDetails(), task_run_id=run.id, flow_run_id=run.flow_run_id)
    timing = rules.advance_task(_timing(run), run.state, structs.replace(entered, state_details=details), at=at)
    run.state = State(
        id=uuid7(at),
        type=entered.type,
        name=entered.name or NAMES[entered.type],
        timestamp=at,
        message=entered.message,
        data=entered.data,
        state_details=details,
    )
    run.state_id, run.state_type, run.state_name, run.updated = run.state.id, run.state.type, run.state.name, now
    run.expected_start_time, run.next_scheduled_start_time = timing.expected_start_time, timing.due_at
    run.start_time, run.end_time = timing.start_time, timing.end_time
    run.total_run_time, run.run_count = timing.total_run_time, timing.run_count


def _timing(run: TaskRun) -> Timing:
    return Timing(
        run.expected_start_time,
        run.next_scheduled_start_time,
        run.start_time,
        run.end_time,
        run.total_run_time,
        run.run_count,
    )


async def _write(tx: Tx, runs: Mapping[UUID, TaskRun], states: Sequence[tuple[UUID, State]]) -> None:
    if states:
        await rows.upsert(tx, runs.values())
        await rows.insert_states(tx, states)


@dataclass(frozen=True, slots=True)
class ChildState:
    """A flow run within another entered a state; `parent` is the task run that stands for it there."""

    parent: UUID
    flow_run_id: UUID
    state: State


async def follow(tx: Tx, children: Sequence[ChildState], *, now: datetime) -> None:
    """Have the task runs that stand for flow runs be in the states of these."""
    runs = await rows.lock(tx, [each.parent for each in children], now=now)
    states: list[tuple[UUID, State]] = []
    for each in children:
        if (run := runs.get(each.parent)) is None:
            continue
        details = structs.replace(each.state.state_details, child_flow_run_id=each.flow_run_id)
        told = each.state
        entered = StateCreate(type=told.type, name=told.name, message=told.message, data=told.data, state_details=details)
        enter(run, entered, now=now)
        assert run.state is not None
        states.append((run.id, run.state))
    await _write(tx, {id: runs[id] for id, _ in states}, states)
