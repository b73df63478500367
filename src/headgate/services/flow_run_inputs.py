"""Use cases of flow runs' inputs, and of the resumption that may wait for one."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from headgate.core.json_schema import list_violations
from headgate.errors import BadRequest, Conflict, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.flow_run_inputs import FlowRunInput, FlowRunInputCreate, FlowRunInputQuery, ResumeFlowRun
from headgate.schema.states import OrchestrationStatus, SetState, State, StateCreate, StateDetails, StateType
from headgate.services import states
from headgate.services.answers import answer
from headgate.services.hydration import hydrated
from headgate.services.scope import Scope
from headgate.services.states import Answered
from headgate.store import flow_run_inputs as rows
from headgate.store import flow_runs as run_rows
from headgate.store.database import Tx

RESUMING = "Resuming"


async def create(scope: Scope, flow_run_id: UUID, body: FlowRunInputCreate) -> None:
    """Give a run an input; `Conflict` when it has one of that key."""

    async def unit(tx: Tx) -> None:
        if not await run_rows.peek(tx, [flow_run_id]):
            raise NotFound("Flow run not found")
        if not await rows.insert(tx, _input(scope, flow_run_id, body.key, body.value, body.sender)):
            raise Conflict("A flow run input with this key already exists.")

    await scope.store.write(unit)


def _input(scope: Scope, flow_run_id: UUID, key: str, value: str, sender: str | None = None) -> FlowRunInput:
    now = scope.now
    return FlowRunInput(
        id=uuid7(now), created=now, updated=now, flow_run_id=flow_run_id, key=key, value=value, sender=sender
    )


async def list_some(scope: Scope, flow_run_id: UUID, query: FlowRunInputQuery) -> list[FlowRunInput]:
    """A run's inputs whose key begins with the prefix, the earliest first."""
    return await scope.store.read(lambda tx: rows.list_some(tx, flow_run_id, query))


async def get(scope: Scope, flow_run_id: UUID, key: str) -> str:
    """The value of one input."""
    found = await scope.store.read(lambda tx: rows.get(tx, flow_run_id, key))
    if found is None:
        raise NotFound("Flow run input not found")
    return found.value


async def delete(scope: Scope, flow_run_id: UUID, key: str) -> None:
    """Delete one input."""
    if not await scope.store.write(lambda tx: rows.delete(tx, flow_run_id, key)):
        raise NotFound("Flow run input not found")


async def resume(scope: Scope, flow_run_id: UUID, body: ResumeFlowRun) -> Answered:
    """Resume a paused run: in its process, or, where it was suspended, from its queue.

    A run that paused for an input is given one that fits the schema that it left, or stays paused.
    """
    run = await scope.store.read(lambda tx: run_rows.get(tx, flow_run_id, now=scope.now))
    if run is None:
        raise NotFound(f"Flow run with id {flow_run_id} not found")
    state = run.state
    if state is None or state.type is not StateType.PAUSED:
        return Answered(answer(None, OrchestrationStatus.ABORT, "Cannot resume a flow run that is not paused."))
    keyset = state.state_details.run_input_keyset
    if keyset:
        try:
            run_input = await scope.store.read(lambda tx: hydrated(tx, body.run_input or {}, of="run input"))
        except BadRequest as error:
            return Answered(answer(state, OrchestrationStatus.REJECT, str(error)))
        if (reason := await _misfit(scope, flow_run_id, keyset, run_input)) is not None:
            return Answered(answer(state, OrchestrationStatus.REJECT, reason))
        return await _resume_with(scope, flow_run_id, state, keyset, run_input)
    return await states.set_state(scope, flow_run_id, SetState(state=_next(scope, state)))


def _next(scope: Scope, paused: State) -> StateCreate:
    if not paused.state_details.pause_reschedule:
        return StateCreate(type=StateType.RUNNING)
    details = StateDetails(scheduled_time=scope.now)
    return StateCreate(type=StateType.SCHEDULED, name=RESUMING, state_details=details)


async def _misfit(scope: Scope, flow_run_id: UUID, keyset: Mapping[str, str], run_input: dict[str, Any]) -> str | None:
    """Why an input is not what the run asked for; None when it is."""
    found = await scope.store.read(lambda tx: rows.get(tx, flow_run_id, keyset.get("schema", "")))
    if found is None:
        return "Run input schema not found."
    try:
        schema = msgspec.json.decode(found.value, type=dict[str, Any])
    except msgspec.DecodeError:
        return "Run input schema is not valid JSON."
    try:
        violations = list_violations(schema, run_input, field="schema")
    except Invalid as error:
        return f"Invalid schema: {error}"
    if not violations:
        return None
    place = violations[0].dotted
    at = f" for field {place!r}" if place else ""
    return f"Reason: Validation failed{at}. Failure reason: {violations[0].reason}"


async def _resume_with(
    scope: Scope, flow_run_id: UUID, paused: State, keyset: Mapping[str, str], run_input: dict[str, Any]
) -> Answered:
    """The input is there before the run goes on, and is not when the run does not."""
    key = keyset.get("response", "response")
    value = msgspec.json.encode(run_input).decode()

    async def write(tx: Tx) -> None:
        await rows.delete(tx, flow_run_id, key)
        await rows.insert(tx, _input(scope, flow_run_id, key, value))

    await scope.store.write(write)
    answered = await states.set_state(scope, flow_run_id, SetState(state=_next(scope, paused)))
    if answered.result.status is not OrchestrationStatus.ACCEPT:
        await scope.store.write(lambda tx: rows.delete(tx, flow_run_id, key))
    return answered
