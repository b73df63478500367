"""Use cases of flow runs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType, structs

from headgate.core.concurrency_keys import key_id, resolve
from headgate.core.names import run_name
from headgate.core.parameters import check_parameters, check_size
from headgate.core.states import HOLDS_SLOT, NAMES, Current, Timing, advance, estimated_start_delta
from headgate.core.templates import validate_variables
from headgate.errors import BadRequest, Conflict, HeadgateError, Invalid, NotFound
from headgate.ids import uuid7
from headgate.schema.deployments import CollisionStrategy, Deployment, KeyStrategy
from headgate.schema.filters import FlowRunPageQuery, FlowRunQuery
from headgate.schema.flow_runs import (
    DeploymentFlowRunCreate,
    FlowRun,
    FlowRunCreate,
    FlowRunPage,
    FlowRunPolicy,
    FlowRunUpdate,
    Trace,
)
from headgate.schema.flows import Flow, Labels
from headgate.schema.states import State, StateCreate, StateDetails, StateType
from headgate.services import key_collisions, pages, task_states, work_queues
from headgate.services.admission import Place, hold_limits, ledger_of, refused_state
from headgate.services.hydration import hydrated
from headgate.services.scope import Scope
from headgate.services.task_states import ChildState
from headgate.store import deployments as deployment_rows
from headgate.store import flow_run_states as state_rows
from headgate.store import flow_runs as rows
from headgate.store import flows as flow_rows
from headgate.store import work_pools as pool_rows
from headgate.store.database import Command, Tx
from headgate.store.flow_runs import NewRun

_TRACE = "infrastructure_trace"


@dataclass(frozen=True, slots=True)
class Creation:
    """A run to be created at `now`: of a deployment, or (`flow_id`) of a flow alone."""

    body: DeploymentFlowRunCreate
    now: datetime
    scope: Scope
    deployment_id: UUID | None = None
    flow_id: UUID | None = None
    flow_version: str | None = None
    work_pool_name: str | None = None


@dataclass(frozen=True, slots=True)
class Created:
    """A run, and whether it is new or stood for its idempotency key already.

    `contests`: its concurrency key, where it may be that runs of it have to give way for it, or it for others.
    """

    run: FlowRun
    is_new: bool
    contests: UUID | None = None


async def create(scope: Scope, body: FlowRunCreate) -> Created:
    """Create a run of a flow; without a state it is Pending, because its caller executes it."""
    shared = {name: getattr(body, name) for name in DeploymentFlowRunCreate.__struct_fields__ if hasattr(body, name)}
    shared["state"] = body.state or StateCreate(type=StateType.PENDING)
    creation = Creation(
        DeploymentFlowRunCreate(**shared),
        scope.now,
        scope,
        deployment_id=body.deployment_id,
        flow_id=body.flow_id,
        flow_version=body.flow_version,
        work_pool_name=body.work_pool_name,
    )
    return await _submit(scope, creation)


async def create_of_deployment(scope: Scope, deployment_id: UUID, body: DeploymentFlowRunCreate) -> Created:
    """Create a run of a deployment; without a state it is due now."""
    return await _submit(scope, Creation(body, scope.now, scope, deployment_id=deployment_id))


async def _submit(scope: Scope, creation: Creation) -> Created:
    created = await scope.store.submit(CREATE, creation)
    if created.contests is not None and await key_collisions.settle(scope, [created.contests]):
        created = replace(created, run=await get(scope, created.run.id))
    if created.is_new:
        scope.wakeups.wake([created.run.work_queue_id or created.run.deployment_id])
    return created


async def _create(tx: Tx, creations: Sequence[Creation]) -> list[Created | Exception]:
    now = creations[0].now
    deployments = await deployment_rows.get_many(
        tx, {each.deployment_id for each in creations if each.deployment_id}, now=now, with_schedules=False
    )
    flows = await flow_rows.get_many(tx, {each.flow_id for each in creations if each.flow_id})
    demanding = await pool_rows.demanding(tx, {it.work_pool_id for it in deployments.values() if it.work_pool_id})
    new: list[NewRun | Exception] = []
    for creation in creations:
        try:
            new.append(await _prepare(tx, creation, deployments, flows, demanding))
        except HeadgateError as error:
            new.append(error)
    runs = [each for each in new if isinstance(each, NewRun)]
    inserted = await rows.insert(tx, [each for each in runs if not _takes_slot(each)])
    inserted |= await _insert_in_slots(tx, [each for each in runs if _takes_slot(each)], deployments)
    await _tell_parents(tx, [each.run for each in runs if each.run.id in inserted and each.run.parent_task_run_id])
    earlier = await _earlier(tx, [each.run for each in runs if each.run.id not in inserted], now)
    return [
        each
        if isinstance(each, Exception)
        else Created(each.run, True, _contests(each, deployments, now))
        if each.run.id in inserted
        else Created(earlier[each.run.flow_id, each.run.idempotency_key or ""], False)
        for each in new
    ]


CREATE: Command[Creation, Created] = Command("create flow runs", _create)


def _contests(new: NewRun, deployments: Mapping[UUID, Deployment], now: datetime) -> UUID | None:
    due, deployment = new.run.next_scheduled_start_time, deployments.get(new.run.deployment_id or new.run.id)
    key = deployment.concurrency_key if deployment else None
    if key is None or key.collision_strategy is KeyStrategy.ENQUEUE or due is None or due > now:
        return None
    return new.key_id


async def _tell_parents(tx: Tx, runs: Sequence[FlowRun]) -> None:
    """Runs within other runs: the tasks that stand for them there are where they are."""
    children = [
        ChildState(run.parent_task_run_id, run.id, run.state) for run in runs if run.parent_task_run_id and run.state
    ]
    if children:
        await task_states.follow(tx, children, now=runs[0].created)


def _takes_slot(new: NewRun) -> bool:
    """Whether it is made in a state that counts against somebody's limit."""
    return new.holds_slot and (new.run.work_pool_id is not None or new.run.deployment_id is not None)


async def _insert_in_slots(tx: Tx, new: Sequence[NewRun], deployments: Mapping[UUID, Deployment]) -> set[UUID]:
    """Insert runs that begin in a slot, one after the other; those for which there is none begin by waiting for it."""
    if not new:
        return set()
    limited = {id for id, it in deployments.items() if it.limit is not None or it.concurrency_key is not None}
    places = [_place(each, deployments) for each in new]
    gates = [(it.pool_id, it.deployment_id if it.deployment_id in limited else None, it.shared_id) for it in places]
    held = await hold_limits(tx, gates, now=new[0].run.created)
    ledger = await ledger_of(tx, places, held)
    inserted: set[UUID] = set()
    for each, at in zip(new, places, strict=True):
        run = each.run
        refused = ledger.refusal(at, now=run.created, launches=run.state_type is StateType.PENDING)
        if refused is not None:
            _begin(run, refused_state(refused, Current(), now=run.created), at=run.created)
        made = await rows.insert(tx, [replace(each, holds_slot=refused is None)])
        ledger.move(at, 1 if made and refused is None else 0)
        inserted |= made
    await ledger.note(tx, now=new[0].run.created)
    return inserted


def _place(new: NewRun, deployments: Mapping[UUID, Deployment]) -> Place:
    run, deployment = new.run, deployments.get(new.run.deployment_id) if new.run.deployment_id else None
    shared = deployment.shared_limit_id if deployment else None
    options = deployment.concurrency_options if deployment else None
    cancels_new = options is not None and options.collision_strategy is CollisionStrategy.CANCEL_NEW
    return Place(run.work_pool_id, run.work_queue_id, run.deployment_id, new.key_id, shared, cancels_new)


async def _earlier(tx: Tx, runs: Sequence[FlowRun], now: datetime) -> dict[tuple[UUID, str], FlowRun]:
    """The runs that stand for the keys of those that were held back."""
    if not runs:
        return {}
    ids = await rows.ids_by_key(tx, [(run.flow_id, run.idempotency_key or "") for run in runs])
    found = await rows.get_many(tx, [*ids.values()], now=now)
    return {key: found[id] for key, id in ids.items()}


async def _prepare(
    tx: Tx,
    creation: Creation,
    deployments: Mapping[UUID, Deployment],
    flows: Mapping[UUID, Flow],
    demanding: Collection[UUID],
) -> NewRun:
    body, deployment = creation.body, deployments.get(creation.deployment_id) if creation.deployment_id else None
    if creation.deployment_id and deployment is None:
        raise NotFound("Deployment not found")
    flow_id = creation.flow_id or (deployment.flow_id if deployment else None)
    check_size(body.parameters, most=creation.scope.settings.server_api_max_parameter_size)
    if flow_id is None or (creation.flow_id and creation.flow_id not in flows):
        raise Conflict(f"There is no flow with id {creation.flow_id}.")
    parameters = (deployment.parameters if deployment else {}) | (body.parameters or {})
    if creation.flow_id is None:
        parameters = await hydrated(tx, parameters, of="flow run parameters")
    if deployment is not None:
        _check_parameters(deployment, body, parameters)
    flow_labels = flows[flow_id].labels if flow_id in flows else None
    run = new_run(flow_id, creation.now, body, deployment=deployment, parameters=parameters, flow_labels=flow_labels)
    run.flow_version = creation.flow_version
    if creation.flow_id:  # its caller executes it: no pool's slot is taken, unless a pool is named
        run.work_pool_id = run.work_pool_name = run.work_queue_id = run.work_queue_name = None
    if body.work_queue_name or creation.work_pool_name:
        await _choose_queue(tx, creation, run, body.work_queue_name or None)
    if body.job_variables or run.work_pool_id in demanding:
        await _check_job_variables(tx, run, deployment, doing="creating flow run")
    key = set_key(run, deployment) if deployment is not None else None
    return NewRun(run, priority=body.priority, holds_slot=run.state_type in HOLDS_SLOT, key_id=key)


def set_key(run: FlowRun, deployment: Deployment) -> UUID | None:
    """Give a new run the concurrency key that its parameters make; answers the key's short name."""
    if deployment.concurrency_key is None:
        return None
    schema = deployment.parameter_openapi_schema
    run.concurrency_key = resolve(deployment.concurrency_key.expression, run.parameters, schema)
    return key_id(deployment.id, run.concurrency_key)


def _check_parameters(deployment: Deployment, body: DeploymentFlowRunCreate, parameters: dict[str, Any]) -> None:
    enforced = (
        deployment.enforce_parameter_schema if body.enforce_parameter_schema is None else body.enforce_parameter_schema
    )
    if not enforced:
        return
    try:
        check_parameters(deployment.parameter_openapi_schema, parameters)
    except Invalid as error:
        raise Conflict(f"Error creating flow run: {error}") from None


async def _check_job_variables(tx: Tx, run: FlowRun, deployment: Deployment | None, *, doing: str) -> None:
    """`Invalid` for what the pool's template does not expose or does not allow."""
    pool = await pool_rows.get(tx, run.work_pool_name, now=run.created) if run.work_pool_name else None
    if pool is not None and pool.base_job_template:
        of_deployment = deployment.job_variables if deployment else {}
        validate_variables(pool.base_job_template, of_deployment, run.job_variables or {}, doing=doing)


async def _choose_queue(tx: Tx, creation: Creation, run: FlowRun, name: str | None) -> None:
    """Send the run to another queue than its deployment's, made if need be."""
    pool_name = creation.work_pool_name or run.work_pool_name
    if pool_name is None:
        if creation.flow_id is None:
            raise BadRequest(
                f"Cannot create flow run in work queue {name!r}: "
                f"deployment {creation.deployment_id} is not associated with a work pool. "
                "Leave work_queue_name out, or give the deployment a pool."
            )
        return
    pool = await pool_rows.lock(tx, pool_name)
    if pool is None:
        raise work_queues.missing_pool(pool_name)
    queue = await work_queues.ensure(creation.scope, tx, pool, name)
    run.work_pool_id, run.work_pool_name = pool.id, pool.name
    run.work_queue_id, run.work_queue_name = queue.id, queue.name


def new_run(
    flow_id: UUID,
    now: datetime,
    body: DeploymentFlowRunCreate,
    *,
    deployment: Deployment | None = None,
    parameters: dict[str, Any] | None = None,
    flow_labels: Mapping[str, Any] | None = None,
) -> FlowRun:
    """A run that enters its first state at `now`: the one of `body`, or Scheduled for now.

    It has the labels of its deployment, or else of its flow.
    """
    id = uuid7(now)
    labels = {**(deployment.labels if deployment else flow_labels or {}), "prefect.flow.id": str(flow_id)}
    if deployment is not None:
        labels["prefect.deployment.id"] = str(deployment.id)
    run = FlowRun(
        id=id,
        created=now,
        updated=now,
        name=body.name or run_name(id.int),
        flow_id=flow_id,
        deployment_id=deployment.id if deployment else None,
        deployment_version=deployment.version if deployment else None,
        work_queue_id=deployment.work_queue_id if deployment else None,
        work_queue_name=deployment.work_queue_name if deployment else None,
        work_pool_id=deployment.work_pool_id if deployment else None,
        work_pool_name=deployment.work_pool_name if deployment else None,
        parameters=parameters if parameters is not None else (body.parameters or {}),
        idempotency_key=body.idempotency_key,
        context=body.context or {},
        empirical_policy=body.empirical_policy or FlowRunPolicy(),
        tags=_joined(deployment.tags if deployment else [], body.tags or []),
        labels=labels | (body.labels or {}),
        parent_task_run_id=body.parent_task_run_id,
        infrastructure_document_id=body.infrastructure_document_id
        or (deployment.infrastructure_document_id if deployment else None),
        job_variables=body.job_variables or {},
    )
    _begin(run, body.state or StateCreate(type=StateType.SCHEDULED), at=now)
    return run


def _begin(run: FlowRun, proposed: StateCreate, *, at: datetime) -> None:
    """Have a run that is not stored yet begin in a state, with all that follows from it."""
    details = proposed.state_details or StateDetails()
    details = structs.replace(details, flow_run_id=run.id, task_run_id=run.parent_task_run_id or details.task_run_id)
    if proposed.type is StateType.SCHEDULED and details.scheduled_time is None:
        details = structs.replace(details, scheduled_time=at)
    timing = advance(Timing(), Current(), structs.replace(proposed, state_details=details), at=at)
    run.state = State(
        id=uuid7(at),
        type=proposed.type,
        name=proposed.name or NAMES[proposed.type],
        timestamp=at,
        message=proposed.message,
        data=proposed.data,
        state_details=details,
    )
    run.state_id, run.state_type, run.state_name = run.state.id, run.state.type, run.state.name
    run.run_count, run.expected_start_time = timing.run_count, timing.expected_start_time
    run.next_scheduled_start_time = timing.due_at
    run.start_time, run.end_time = timing.start_time, timing.end_time
    run.estimated_start_time_delta = estimated_start_delta(timing, Current(type=run.state_type), now=at)


def _joined(first: list[str], second: list[str]) -> list[str]:
    return [*dict.fromkeys([*first, *second])]


async def get(scope: Scope, id: UUID) -> FlowRun:
    """One run."""
    return _found(await scope.store.read(lambda tx: rows.get(tx, id, now=scope.now)))


async def list_page(scope: Scope, query: FlowRunQuery) -> list[FlowRun]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query, now=scope.now))


async def paginate(scope: Scope, query: FlowRunPageQuery) -> FlowRunPage:
    """A numbered page of those that match."""
    listed = partial(rows.list_page, now=scope.now)
    return await pages.numbered(scope, query, kind=FlowRunQuery, rows=listed, count=rows.count, page=FlowRunPage)


async def count(scope: Scope, query: FlowRunQuery) -> int:
    """How many match."""
    return await scope.store.read(lambda tx: rows.count(tx, query))


async def states(scope: Scope, id: UUID) -> list[State]:
    """A run's history, oldest first."""
    return await scope.store.read(lambda tx: state_rows.of_run(tx, id))


async def state(scope: Scope, id: UUID) -> State:
    """One state of a run."""
    found = await scope.store.read(lambda tx: state_rows.get(tx, id))
    if found is None:
        raise NotFound("Flow run state not found")
    return found


async def update(scope: Scope, id: UUID, body: FlowRunUpdate) -> None:
    """Change a run; its state is changed by proposals alone."""

    async def unit(tx: Tx) -> UUID | None:
        run = await _locked(tx, id, scope)
        if isinstance(body.job_variables, dict):
            _check_waits(run)
        if body.parameters is not UNSET:
            check_size(body.parameters, most=scope.settings.server_api_max_parameter_size)
        for name in FlowRunUpdate.__struct_fields__:
            value = getattr(body, name)
            if value is not UNSET and name != _TRACE and not (name == "name" and not value):
                setattr(run, name, value)
        if body.job_variables and run.work_pool_name:
            of_deployment = await deployment_rows.get(tx, run.deployment_id, now=scope.now) if run.deployment_id else None
            await _check_job_variables(tx, run, of_deployment, doing="updating flow run")
        await rows.update_detail(tx, run, trace=_trace(body))
        return run.work_pool_id

    scope.wakeups.wake([await scope.store.write(unit)])  # a claim passes over runs that are locked just then


def _check_waits(run: FlowRun) -> None:
    """`BadRequest` for a run whose job variables have been used, or never will be."""
    if run.state_type is not StateType.SCHEDULED:
        raise BadRequest(f"Job variables for a flow run in state {run.state_type} cannot be updated")
    if run.deployment_id is None:
        raise BadRequest("A deployment for the flow run could not be found")


def _trace(body: FlowRunUpdate) -> Trace | None | UnsetType:
    """Other infrastructure has another trace, or none."""
    replaced = body.infrastructure_trace is UNSET and body.infrastructure_pid is not UNSET
    return None if replaced else body.infrastructure_trace


async def update_labels(scope: Scope, id: UUID, labels: Labels) -> None:
    """Add labels to a run."""

    async def unit(tx: Tx) -> UUID | None:
        run = await _locked(tx, id, scope)
        run.labels = run.labels | labels
        await rows.update_detail(tx, run)
        return run.work_pool_id

    scope.wakeups.wake([await scope.store.write(unit)])


async def _locked(tx: Tx, id: UUID, scope: Scope) -> FlowRun:
    await rows.lock(tx, [id])
    run = _found(await rows.get(tx, id, now=scope.now))
    run.updated = scope.now
    return run


async def delete(scope: Scope, id: UUID) -> None:
    """Delete a run with its states and logs; its slot is free at once."""

    async def unit(tx: Tx) -> UUID | None:
        run = (await rows.lock(tx, [id])).get(id)
        if not await rows.delete(tx, [id]):
            raise NotFound("Flow run not found")
        return run.work_pool_id if run else None

    scope.wakeups.wake([await scope.store.write(unit)])


def _found(run: FlowRun | None) -> FlowRun:
    if run is None:
        raise NotFound("Flow run not found")
    return run
