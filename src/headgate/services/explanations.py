"""Why a run waits, by the decision that dispatches it: on a snapshot with the runs that go before it."""

from uuid import UUID

from headgate.core.dispatch import Gate, GateKind
from headgate.core.reasons import as_message, crashed_early, none_blocks, whereabouts
from headgate.core.waits import waits
from headgate.errors import NotFound
from headgate.schema import explanations as wire
from headgate.schema.explanations import Explanation, Position
from headgate.schema.flow_runs import FlowRun
from headgate.schema.states import StateType
from headgate.services.estimates import estimate
from headgate.services.launches import launch_gate, template_gates
from headgate.services.positions import place
from headgate.services.scope import Scope
from headgate.services.situations import Situation, situation_of
from headgate.store import explanations as rows
from headgate.store import flow_run_states as state_rows
from headgate.store import flow_runs as run_rows
from headgate.store.database import Tx
from headgate.store.explanations import Located

HOLDERS = 10
"""How many of the runs that have slots of a limit are named."""


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
        explanation.waits = waits(await state_rows.of_run(tx, run_id), now=now)
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
        process_polled=owner.last_polled if owner else None,
        holder=located.worker,
        lease_expires_at=located.lease_expires_at,
    )


async def _add_gates(tx: Tx, explanation: Explanation, run: Located, situation: Situation) -> None:
    found, explanation.position, ahead = await place(tx, run, situation)
    explanation.gates = [await wire_gate(tx, gate, run, situation) for gate in found.gates]
    # The process that holds it for a retry starts it at its time.
    opening = [gate.until for gate in explanation.gates if gate.kind != GateKind.HELD]
    known = [until for until in opening if until is not None]
    explanation.earliest_start = max(known) if known and len(known) == len(opening) else None
    explanation.estimate = await estimate(tx, found.gates, ahead, run, situation)
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
            if flaws:
                explanation.earliest_start = explanation.estimate = None
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
