"""Why a run waits, by the decision that dispatches it: on a snapshot with the runs that go before it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

from headgate.core.dispatch import Candidate, Gate, GateKind, Lane, Place, Snapshot, dispatch, place_of
from headgate.core.reasons import as_message, crashed_early, none_blocks, whereabouts
from headgate.core.waits import waits
from headgate.errors import NotFound
from headgate.schema import explanations as wire
from headgate.schema.explanations import Explanation, Position
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import StateType
from headgate.services.launches import launch_gate, template_gates
from headgate.services.scope import Scope
from headgate.services.situations import Situation, key_lanes, situation_of
from headgate.store import explanations as rows
from headgate.store import flow_runs as run_rows
from headgate.store import lanes as lane_rows
from headgate.store.claims import priorities
from headgate.store.database import Tx
from headgate.store.explanations import NOWHERE, Located

HOLDERS = 10
"""How many of the runs that have slots of a limit are named."""

COUNTED = 10_000
"""How far the runs ahead are counted."""

_SEEN = 1000
"""How many of the runs ahead are looked at to find those that start."""

_PAGE = 250
_FIRST = datetime.min.replace(tzinfo=UTC), NOWHERE
_LAST_ID = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Runs of one queue and one run priority that go before a run: those before a place (due time, id)."""

    lane: Lane
    priority: int
    before: tuple[datetime, UUID]


async def explain(scope: Scope, run_id: UUID) -> Explanation:
    """What a run waits for, with numbers and holders, and where it stands; or who has it, and how long it waited."""
    now = scope.now

    async def unit(tx: Tx) -> Explanation:
        run = await run_rows.get(tx, run_id, now=now)
        located = await rows.candidates(tx, [run_id], now=now)
        if run is None or not located:
            raise NotFound("Flow run not found")
        situation = await situation_of(tx, located, now=now)
        explanation = _bare(run, located[0], situation)
        explanation.waits = waits(await run_rows.states(tx, run_id), now=now)
        explanation.waited_seconds = sum(wait.seconds for wait in explanation.waits)
        if explanation.waiting:
            await _add_gates(tx, explanation, located[0], situation)
            await _add_agents(tx, explanation, located[0], situation)
        await _add_launch(scope, tx, explanation, run, located[0])
        return explanation

    return await scope.store.read(unit)


def _bare(run: FlowRun, located: Located, situation: Situation) -> Explanation:
    pool, queue, owner = situation.pool(located), situation.queue(located), situation.owner(located)
    return Explanation(
        flow_run_id=run.id,
        name=run.name,
        summary=whereabouts(run.state_type, run.state_name, located.holder),
        waiting=run.state_type is StateType.SCHEDULED,
        state_type=run.state_type,
        state_name=run.state_name,
        state_message=run.state.message if run.state else None,
        since=run.state.timestamp if run.state else None,
        due_at=run.next_scheduled_start_time,
        work_pool_name=pool.name if pool else None,
        work_queue_name=queue.name if queue else None,
        deployment_name=owner.full_name if owner else None,
        workers=[*situation.workers.get(located.work_pool_id, ())] if located.work_pool_id else [],
        last_polled=queue.last_polled if queue else owner.last_polled if owner else None,
        holder=located.worker,
        lease_expires_at=located.lease_expires_at,
    )


async def _add_gates(tx: Tx, explanation: Explanation, run: Located, situation: Situation) -> None:
    found, explanation.position = await place(tx, run, situation)
    explanation.gates = [await wire_gate(tx, gate, run, situation) for gate in found.gates]
    # The process that holds it for a retry starts it at its time.
    opening = [gate.until for gate in explanation.gates if gate.kind != GateKind.HELD]
    known = [until for until in opening if until is not None]
    explanation.earliest_start = max(known) if known and len(known) == len(opening) else None
    if explanation.gates:
        explanation.summary = as_message(explanation.gates[0].message)
    else:
        position = explanation.position or Position(ahead=0, starting=0)
        explanation.summary = none_blocks(situation.subject(run), position.ahead, more=position.more)


async def _add_launch(scope: Scope, tx: Tx, explanation: Explanation, run: FlowRun, located: Located) -> None:
    """What comes after all limits: the template, of a run that is still to be started or never was; and the start itself."""
    match run.state_type:
        case StateType.SCHEDULED if not located.candidate.held:
            flaws = await template_gates(scope, tx, run, now=scope.now)
            if flaws and not explanation.gates:
                explanation.summary = as_message(flaws[0].message)
            explanation.gates += flaws
            explanation.earliest_start = None if flaws else explanation.earliest_start
        case StateType.PENDING:
            explanation.gates = [await launch_gate(tx, run, located, now=scope.now)]
        case StateType.CRASHED if run.run_count == 0:
            explanation.gates = await template_gates(scope, tx, run, now=scope.now)
            explanation.summary = crashed_early(explanation.state_message)


async def _add_agents(tx: Tx, explanation: Explanation, run: Located, situation: Situation) -> None:
    pool, queue = situation.pool(run), situation.queue(run)
    if pool is not None and queue is not None:
        explanation.agents = await rows.agents(tx, pool, queue.name, now=situation.now)


async def wire_gate(tx: Tx, gate: Gate, run: Located, situation: Situation) -> wire.Gate:
    """A gate of a run as it is shown, with who holds it."""
    taken = gate.limit is not None and gate.id is not None and gate.kind is not GateKind.LAUNCH_RATE
    subject = situation.subject(run)
    return wire.Gate(
        kind=gate.kind.value,
        message=situation.sentence(gate, run),
        record_id=gate.id,
        limit=gate.limit,
        used=gate.used,
        ahead=gate.ahead,
        holders=await rows.holders(tx, gate.kind, gate.id, pool_id=run.work_pool_id, limit=HOLDERS)
        if taken and gate.id
        else [],
        pause=subject.pauses.get(gate.kind),
        until=run.candidate.due_at if gate.kind is GateKind.NOT_DUE else gate.until,
    )


async def place(tx: Tx, run: Located, situation: Situation) -> tuple[Place, Position | None]:
    """The place of a run among all that wait; a run that could not start anyway is looked at on its own."""
    snapshot = situation.snapshot(run.work_pool_id, [run.candidate])
    alone = place_of(run.candidate, snapshot)
    if situation.queue(run) is None or run.candidate.held or run.candidate.due_at > situation.now:
        return alone, None
    stretches = await _stretches(tx, run.candidate, snapshot)
    seen = await _ahead(tx, stretches, snapshot)
    found = place_of(run.candidate, replace(seen, candidates=[*seen.candidates, run.candidate]))
    count = 0
    for stretch in stretches:
        left = COUNTED - count
        count += await rows.count_ahead(tx, stretch.lane.id, stretch.priority, before=stretch.before, limit=left)
    more = count >= COUNTED or len(seen.candidates) >= _SEEN
    return found, Position(ahead=count, starting=found.starting, more=more)


async def _stretches(tx: Tx, run: Candidate, snapshot: Snapshot) -> list[_Stretch]:
    """Where the runs are that go before one: in better queues, under better priorities, and before it in its own.

    Nothing goes ahead from a queue that is paused, or that nobody polls.
    """
    mine, due = snapshot.queues[run.queue_id], (snapshot.until, _LAST_ID)
    better = [lane for lane in snapshot.queues.values() if lane.priority < mine.priority and lane.served and not lane.paused]
    found = []
    for lane in sorted(better, key=lambda lane: lane.priority):
        found += [_Stretch(lane, priority, due) for priority in await priorities(tx, lane.id)]
    found += [_Stretch(mine, each, due) for each in await priorities(tx, mine.id) if each > run.priority]
    return [*found, _Stretch(mine, run.priority, (run.due_at, run.id))]


async def _ahead(tx: Tx, stretches: Sequence[_Stretch], snapshot: Snapshot) -> Snapshot:
    """A snapshot with the runs of the stretches as far as they matter: until they use up the pool's slots."""
    snapshot = replace(snapshot, candidates=[])
    for stretch in stretches:
        after = _FIRST
        while len(snapshot.candidates) < _SEEN:
            admitted = dispatch(snapshot).admitted
            if _used_up(snapshot, stretch.lane, admitted):
                break
            span, full = (after, stretch.before), _full_deployments(snapshot, admitted)
            full_keys = _full_keys(snapshot, admitted)
            page = await rows.ahead(
                tx, stretch.lane.id, stretch.priority, span=span, full=full, full_keys=full_keys, limit=_PAGE
            )
            snapshot = await _with(tx, snapshot, page)
            if len(page) < _PAGE:
                break
            after = page[-1].due_at, page[-1].id
    return snapshot


async def _with(tx: Tx, snapshot: Snapshot, page: Sequence[Candidate]) -> Snapshot:
    """The snapshot with these runs, and with the deployments and the keys that they are the first of."""
    unknown = {run.deployment_id for run in page if run.deployment_id} - snapshot.deployments.keys()
    found = (await lane_rows.get_many(tx, deployments=unknown)).deployments
    deployments = {**snapshot.deployments, **{id: owner.lane for id, owner in found.items()}}
    keys = {**snapshot.keys, **await key_lanes(tx, [run for run in page if run.key_id not in snapshot.keys])}
    return replace(snapshot, candidates=[*snapshot.candidates, *page], deployments=deployments, keys=keys)


def _used_up(snapshot: Snapshot, queue: Lane, admitted: Sequence[Candidate]) -> bool:
    """Whether no run of a queue can start any more, after those that were admitted."""
    in_queue = sum(1 for run in admitted if run.queue_id == queue.id)
    too_quick = snapshot.pace is not None and snapshot.pace.left <= len(admitted)
    return snapshot.pool.paused or snapshot.pool.is_full(len(admitted)) or queue.is_full(in_queue) or too_quick


def _full_deployments(snapshot: Snapshot, admitted: Sequence[Candidate]) -> list[UUID]:
    taken = Counter(run.deployment_id for run in admitted)
    return [id for id, lane in snapshot.deployments.items() if lane.is_full(taken[id])]


def _full_keys(snapshot: Snapshot, admitted: Sequence[Candidate]) -> list[UUID]:
    taken = Counter(run.key_id for run in admitted)
    return [id for id, lane in snapshot.keys.items() if lane.is_full(taken[id])]
