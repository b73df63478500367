"""Rows of flow runs: the hot row and its detail; their history is in `flow_run_states`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, convert, json

from headgate.core.fronts import is_belated
from headgate.core.states import Current, Timing, has_result
from headgate.core.suspensions import Pausing
from headgate.schema.deployments import Deployment, InfraRetries
from headgate.schema.filters import FlowRunQuery, FlowRunSort, Selection
from headgate.schema.flow_runs import CreatedBy, FlowRun, FlowRunPolicy, Trace
from headgate.schema.flows import Flow
from headgate.schema.states import State, StateDetails, StateType
from headgate.store import deployments, flow_run_states, task_runs
from headgate.store.database import Row, Tx
from headgate.store.filters import Params
from headgate.store.latest_runs import rows_of_page
from headgate.store.run_rows import estimates, run_of
from headgate.store.selections import runs_for, selection_condition
from headgate.store.statements import Statement, load_statements

_SQL = load_statements("flow_runs")
_SELECT = _SQL["select"].sqlite
_COLUMNS, _, _JOINS = _SELECT.partition("FROM flow_run r")
_FROM = f"FROM flow_run r{_JOINS}"
_MORE_COLUMNS, _, _MORE_JOINS = _SQL["only_startable"].sqlite.removeprefix("SELECT").partition("FROM flow_run r")
_OWNED = f"CASE WHEN r.id IN :firsts::uuid[] THEN {deployments.AS_JSON} END AS deployment"
_STARTABLE = Statement(
    "startable",
    sqlite=f"{_COLUMNS}, {_MORE_COLUMNS} {_FROM} {_MORE_JOINS}",
    postgresql=f"{_COLUMNS}, {_MORE_COLUMNS}, {_OWNED} {_FROM} {_MORE_JOINS}",
)
_LOCKED = _SQL["locked"]
_SELF = "FROM flow_run r JOIN flow_run o ON o.id = r.id"
_LOCK = replace(
    _LOCKED,
    postgresql=_LOCKED.postgresql.replace("\nFROM flow_run r\n", f", r.ctid <> o.ctid AS waited\n{_SELF}\n")
    + " FOR UPDATE OF r",
)
"""A statement of PostgreSQL's that has to wait for a row goes on with that row as it is then, but with all others as they
were before. So was `o`; where the row is not the same any more, the run is to be read again."""
_KEPT = [
    *("id", "created", "name", "flow_id", "deployment_id", "deployment_version", "work_queue_id", "work_queue_name"),
    *("work_pool_id", "work_pool_name", "flow_version", "parameters", "idempotency_key", "context", "tags", "labels"),
    *("parent_task_run_id", "auto_scheduled", "infrastructure_document_id", "infrastructure_pid", "job_variables"),
    "concurrency_key",
]
"""What of a run stays as it is when it enters a state, and is shown as it is kept."""
_TYPES = {kind.value: kind for kind in StateType}
_ORDER = {
    FlowRunSort.ID_DESC: "r.id DESC",
    FlowRunSort.START_TIME_ASC: "COALESCE(r.start_time, r.expected_start_time), r.id",
    FlowRunSort.START_TIME_DESC: "COALESCE(r.start_time, r.expected_start_time) DESC, r.id DESC",
    FlowRunSort.EXPECTED_START_TIME_ASC: "r.expected_start_time, r.id",
    FlowRunSort.EXPECTED_START_TIME_DESC: "r.expected_start_time DESC, r.id DESC",
    FlowRunSort.NAME_ASC: "d.name, r.id",
    FlowRunSort.NAME_DESC: "d.name DESC, r.id DESC",
    FlowRunSort.NEXT_SCHEDULED_START_TIME_ASC: "r.due_at NULLS LAST, r.id",
    FlowRunSort.END_TIME_DESC: "r.end_time DESC NULLS LAST, r.id DESC",
}


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be inserted: its wire record, its first state if any, and what only dispatch knows."""

    run: FlowRun
    schedule_id: UUID | None = None
    priority: int = 0
    holds_slot: bool = False
    key_id: UUID | None = None


@dataclass(slots=True)
class LockedRun:
    """What a transaction that holds a run's lock knows of it. `is_paced`: its pool limits how many runs are launched at the
    same time. `is_narrow`: its queue has a limit. Of its deployment: `is_limited`: it has its own limit; `shared_id`: one
    that it shares; `cancels_new`: no run waits for either."""

    id: UUID
    deployment_id: UUID | None
    work_pool_id: UUID | None
    work_queue_id: UUID | None
    current: Current
    timing: Timing
    state: State | None
    lease_expires_at: datetime | None
    worker_id: UUID | None
    key_id: UUID | None = None
    is_limited: bool = False
    shared_id: UUID | None = None
    cancels_new: bool = False
    parent_task_run_id: UUID | None = None
    policy: FlowRunPolicy | None = None
    is_paced: bool = False
    is_narrow: bool = False

    @property
    def is_launching(self) -> bool:
        """Whether it counts against such a limit."""
        return self.is_paced and self.current.type is StateType.PENDING


class Entered(Struct, frozen=True):
    """A state that a run enters, with what follows for the run."""

    run_id: UUID
    state: State
    timing: Timing
    holds_slot: bool
    fence: int
    lease_expires_at: datetime | None
    worker_id: UUID | None


@dataclass(frozen=True, slots=True)
class Startable:
    """A run that is about to be started, as the rules see it and as the wire shows it; without a flow, or a deployment, when
    that is gone."""

    locked: LockedRun
    row: Row
    flow: Flow | None
    deployment: Deployment | None

    def entered(self, it: Entered, *, now: datetime) -> FlowRun:
        """The run as it is read after it entered a state."""
        state, timing, created_by = it.state, it.timing, self.row["created_by"]
        kept: dict[str, Any] = {name: self.row[name] for name in _KEPT}
        reckoned: dict[str, Any] = {**estimates(timing, Current(type=state.type, timestamp=state.timestamp), now=now)}
        return FlowRun(
            **kept,
            empirical_policy=self.locked.policy or FlowRunPolicy(),
            created_by=convert(created_by, CreatedBy) if created_by else None,
            updated=state.timestamp,
            state_id=state.id,
            state_type=state.type,
            state_name=state.name,
            state=state,
            expected_start_time=timing.expected_start_time,
            next_scheduled_start_time=timing.due_at,
            start_time=timing.start_time,
            end_time=timing.end_time,
            total_run_time=timing.total_run_time,
            run_count=timing.run_count,
            fence=it.fence,
            **reckoned,
        )


def _flow_run(row: Row, now: datetime) -> FlowRun:
    policy = convert(row["empirical_policy"], FlowRunPolicy)
    created_by = convert(row["created_by"], CreatedBy) if row["created_by"] else None
    return run_of(FlowRun, row, now=now, empirical_policy=policy, created_by=created_by)


async def insert(tx: Tx, new: Sequence[NewRun]) -> set[UUID]:
    """Insert runs with their first states; answers the ids of those that an idempotency key did not hold back."""
    found = await tx.fetch_many(_SQL["insert_detail"], [_detail_values(each.run) for each in new])
    ids = {row["flow_run_id"] for row in found}
    inserted = [each for each in new if each.run.id in ids]
    await tx.execute_many(_SQL["insert"], [_hot_values(each) for each in inserted])
    await flow_run_states.insert(tx, [(each.run.id, each.run.state) for each in inserted if each.run.state])
    return ids


def _detail_values(run: FlowRun) -> dict[str, Any]:
    return {
        "flow_run_id": run.id,
        "flow_id": run.flow_id,
        "name": run.name,
        "idempotency_key": run.idempotency_key,
        "flow_version": run.flow_version,
        "deployment_version": run.deployment_version,
        "parameters": run.parameters,
        "context": run.context,
        "tags": run.tags,
        "labels": run.labels,
        "empirical_policy": run.empirical_policy,
        "job_variables": run.job_variables,
        "parent_task_run_id": run.parent_task_run_id,
        "infrastructure_document_id": run.infrastructure_document_id,
        "created_by": run.created_by,
        "concurrency_key": run.concurrency_key,
    }


def _hot_values(new: NewRun) -> dict[str, Any]:
    run = new.run
    return {
        "id": run.id,
        "created": run.created,
        "flow_id": run.flow_id,
        "deployment_id": run.deployment_id,
        "schedule_id": new.schedule_id,
        "work_pool_id": run.work_pool_id,
        "work_queue_id": run.work_queue_id,
        "state_id": run.state_id,
        "state_type": run.state_type,
        "state_name": run.state_name,
        "state_timestamp": run.state.timestamp if run.state else None,
        "due_at": run.next_scheduled_start_time,
        "expected_start_time": run.expected_start_time,
        "start_time": run.start_time,
        "end_time": run.end_time,
        "run_count": run.run_count,
        "priority": new.priority,
        "auto_scheduled": run.auto_scheduled,
        "holds_slot": new.holds_slot,
        "key_id": new.key_id,
        "belated": is_belated(run.state_type, run.next_scheduled_start_time, run.created),
    }


async def ids_by_key(tx: Tx, wanted: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], UUID]:
    """Run ids by (flow id, idempotency key), at least those that are wanted."""
    params = {"flow_ids": [*{flow_id for flow_id, _ in wanted}], "keys": [*{key for _, key in wanted}]}
    rows = await tx.fetch(_SQL["by_keys"], params)
    return {(row["flow_id"], row["idempotency_key"]): row["flow_run_id"] for row in rows}


async def get(tx: Tx, id: UUID, *, now: datetime) -> FlowRun | None:
    """By id."""
    return (await get_many(tx, [id], now=now)).get(id)


async def get_many(tx: Tx, ids: Sequence[UUID], *, now: datetime) -> dict[UUID, FlowRun]:
    """By ids."""
    rows = await tx.fetch(f"{_SELECT} WHERE r.id IN :ids::uuid[]", {"ids": [*ids]})
    return {row["id"]: _flow_run(row, now) for row in rows}


async def list_page(tx: Tx, query: FlowRunQuery, *, now: datetime) -> list[FlowRun]:
    """A page of those that match."""
    p = Params(tx.dialect)
    where = selection_condition("flow_runs", query, p)
    order = _ORDER[query.sort or FlowRunSort.ID_DESC]
    rows = await rows_of_page(tx, query, select=_SELECT, where=where, order=order, p=p)
    return [_flow_run(row, now) for row in rows]


async def count(tx: Tx, query: FlowRunQuery) -> int:
    """How many match."""
    return await count_selected(tx, query, after=None)


async def selected(tx: Tx, selection: Selection, *, after: UUID | None, limit: int) -> list[UUID]:
    """Ids of the first that match, ascending, from behind one of them on."""
    p = Params(tx.dialect)
    where = _behind(selection, after, p)
    rows = await tx.fetch(f"SELECT r.id FROM {runs_for(where)} WHERE {where} ORDER BY r.id LIMIT {limit}", p.values)
    return [row["id"] for row in rows]


async def count_selected(tx: Tx, selection: Selection, *, after: UUID | None) -> int:
    """How many match, from behind one of them on."""
    p = Params(tx.dialect)
    where = _behind(selection, after, p)
    found: int = await tx.fetch_value(f"SELECT count(*) FROM {runs_for(where)} WHERE {where}", p.values)
    return found


def _behind(selection: Selection, after: UUID | None, p: Params) -> str:
    where = selection_condition("flow_runs", selection, p)
    return where if after is None else f"{where} AND r.id > {p.one(after)}"


async def pools_of(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """The pools of runs."""
    return {row["work_pool_id"] for row in await tx.fetch(_SQL["pools_of"], {"ids": [*ids]})}


async def gates_of(tx: Tx, ids: Sequence[UUID]) -> list[tuple[UUID | None, UUID | None, UUID | None]]:
    """Where runs without a slot need one: the pool, the deployment if it or the run's key has a limit, the shared limit."""
    rows = await tx.fetch(_SQL["gates_of"], {"ids": [*ids]})
    return [(row["work_pool_id"], row["deployment_id"], row["shared_limit_id"]) for row in rows]


async def lock(tx: Tx, ids: Sequence[UUID], *, holders: Sequence[UUID] = ()) -> dict[UUID, LockedRun]:
    """By ids, holding their rows until the transaction ends; nothing is found or held where one of `holders` has no slot."""
    if tx.dialect == "sqlite":  # its one writer holds everything
        return await peek(tx, ids, holders=holders)
    rows = await tx.fetch(_LOCK, {"ids": [*ids], "holders": [*holders]})
    if any(row["waited"] for row in rows):
        return await peek(tx, [row["id"] for row in rows])
    return {row["id"]: _locked(row) for row in rows}


async def peek(tx: Tx, ids: Sequence[UUID], *, holders: Sequence[UUID] = ()) -> dict[UUID, LockedRun]:
    """The same of runs that are held already; of others, what may be otherwise at once."""
    rows = await tx.fetch(_LOCKED, {"ids": [*ids], "holders": [*holders]})
    return {row["id"]: _locked(row) for row in rows}


async def startable(tx: Tx, owners: Mapping[UUID, UUID | None], *, now: datetime) -> dict[UUID, Startable]:
    """By ids, of runs that are held already, given with their deployments: all of them that it takes to start them.

    Of each deployment one run brings it along, on PostgreSQL in the one round trip.
    """
    if tx.dialect == "postgresql":
        firsts = {owner: id for id, owner in owners.items() if owner is not None}
        rows = await tx.fetch(_STARTABLE, {"ids": [*owners], "firsts": [*firsts.values()]})
        found = await deployments.from_json(tx, [row["deployment"] for row in rows if row["deployment"]], now=now)
    else:
        rows = await tx.fetch(_STARTABLE, {"ids": [*owners]})
        found = await deployments.get_many(tx, {owner for owner in owners.values() if owner is not None}, now=now)
    return {row["id"]: Startable(_locked(row), row, _flow(row), found.get(row["deployment_id"])) for row in rows}


def _flow(row: Row) -> Flow | None:
    if row["flow_name"] is None:
        return None
    return Flow(
        id=row["flow_id"],
        created=row["flow_created"],
        updated=row["flow_updated"],
        name=row["flow_name"],
        tags=row["flow_tags"],
        labels=row["flow_labels"],
    )


def _locked(row: Row) -> LockedRun:
    policy = convert(row["empirical_policy"], FlowRunPolicy)
    details = convert(row["state_details"] or {}, StateDetails)
    current = _current(row, policy, details)
    state = None
    if current.type is not None:
        state = State(
            id=row["state_id"],
            type=current.type,
            name=row["state_name"],
            timestamp=row["state_timestamp"],
            message=row["state_message"],
            data=row["state_data"],
            state_details=details,
        )
    return LockedRun(
        id=row["id"],
        deployment_id=row["deployment_id"],
        work_pool_id=row["work_pool_id"],
        work_queue_id=row["work_queue_id"],
        current=current,
        timing=Timing(
            row["expected_start_time"],
            row["due_at"],
            row["start_time"],
            row["end_time"],
            row["total_run_time"],
            row["run_count"],
            row["restarts"],
            row["restarts_begun"],
        ),
        state=state,
        lease_expires_at=row["lease_expires_at"],
        worker_id=row["worker_id"],
        key_id=row["key_id"],
        is_limited=bool(row["is_limited"]),
        is_paced=bool(row["is_paced"]),
        is_narrow=bool(row["is_narrow"]),
        shared_id=row["shared_limit_id"],
        cancels_new=bool(row["cancels_new"]),
        parent_task_run_id=row["parent_task_run_id"],
        policy=policy,
    )


def _current(row: Row, policy: FlowRunPolicy, details: StateDetails) -> Current:
    delays = policy.retry_delay if policy.retry_delay is not None else policy.retry_delay_seconds
    return Current(
        type=_TYPES.get(row["state_type"]),
        name=row["state_name"],
        timestamp=row["state_timestamp"],
        scheduled_time=details.scheduled_time,
        transition_id=details.transition_id,
        has_deployment=row["deployment_id"] is not None,
        run_count=row["run_count"],
        retries=policy.retries if policy.retries is not None else policy.max_retries,
        retry_delays=(delays,) if isinstance(delays, int | float) else tuple(delays),
        fence=row["fence"],
        held=row["lease_expires_at"] is not None,
        restarts=row["restarts"],
        restarts_begun=row["restarts_begun"],
        infra_retries=convert(row["infra_retries"], InfraRetries) if row["infra_retries"] else None,
        pausing=_pausing(policy, details, is_child=row["parent_task_run_id"] is not None),
        has_process=row["infrastructure_pid"] is not None,
        has_result=has_result(row["state_data"]),
    )


def _pausing(policy: FlowRunPolicy, details: StateDetails, *, is_child: bool) -> Pausing:
    return Pausing(
        keys=frozenset(policy.pause_keys or ()),
        resuming=bool(policy.resuming),
        timeout=details.pause_timeout,
        suspended=details.pause_reschedule,
        is_child=is_child,
        retry_type=policy.retry_type,
    )


async def enter(tx: Tx, entered: Sequence[Entered]) -> None:
    """Have locked runs enter states, in the order given."""
    rows = [
        {
            "id": each.run_id,
            "updated": each.state.timestamp,
            "state_id": each.state.id,
            "state_type": each.state.type,
            "state_name": each.state.name,
            "state_timestamp": each.state.timestamp,
            "due_at": each.timing.due_at,
            "expected_start_time": each.timing.expected_start_time,
            "start_time": each.timing.start_time,
            "end_time": each.timing.end_time,
            "total_run_time": each.timing.total_run_time,
            "run_count": each.timing.run_count,
            "restarts": each.timing.restarts,
            "restarts_begun": each.timing.restarts_begun,
            "holds_slot": each.holds_slot,
            "fence": each.fence,
            "lease_expires_at": each.lease_expires_at,
            "worker_id": each.worker_id,
            "belated": is_belated(each.state.type, each.timing.due_at, each.state.timestamp),
        }
        for each in entered
    ]
    if not rows:
        return
    if tx.dialect == "postgresql":
        last = {each.run_id: each.state.id for each in entered}
        for row, each in zip(rows, entered, strict=True):
            row |= flow_run_states.content(each.state) | {"is_last": last[each.run_id] == each.state.id}
            row |= {name: None if row[name] is None else _text(row[name]) for name in ("state_details", "data")}
        await tx.execute(_SQL["enter"], {"entered": [_text(row) for row in rows]})
    else:
        await tx.execute_many(_SQL["enter"], rows)
        await flow_run_states.insert(tx, [(each.run_id, each.state) for each in entered])


def _text(value: Any) -> str:
    return json.encode(value).decode()


async def set_policies(tx: Tx, policies: Mapping[UUID, FlowRunPolicy]) -> None:
    """Write the policies of runs."""
    await tx.execute_many(
        _SQL["set_policy"], [{"id": id, "empirical_policy": policy} for id, policy in sorted(policies.items())]
    )


async def rehome(tx: Tx, ids: Sequence[UUID]) -> None:
    """Runs that wait again go to their deployment's queue if their own is gone."""
    await tx.execute(_SQL["rehome"], {"ids": [*ids]})


async def update_detail(tx: Tx, run: FlowRun, *, trace: Trace | None | UnsetType = UNSET) -> None:
    """Write what may be changed of a run besides its state."""
    await tx.execute(
        _SQL["update_detail"],
        {
            "id": run.id,
            "name": run.name,
            "flow_version": run.flow_version,
            "parameters": run.parameters,
            "tags": run.tags,
            "labels": run.labels,
            "empirical_policy": run.empirical_policy,
            "infrastructure_pid": run.infrastructure_pid,
            "job_variables": run.job_variables,
            "traces": trace is not UNSET,
            "infrastructure_trace": trace or None,
        },
    )
    await tx.execute(_SQL["touch"], {"id": run.id, "updated": run.updated})


async def delete(tx: Tx, ids: Sequence[UUID]) -> int:
    """Delete runs with their task runs, states, logs and artifacts; answers how many there were."""
    if not ids:
        return 0
    await task_runs.delete_of_runs(tx, ids)
    params = {"ids": [*ids]}
    for statement in ("delete_logs", "delete_states", "delete_artifacts", "delete_inputs", "delete_details"):
        await tx.execute(_SQL[statement], params)
    return await tx.execute(_SQL["delete"], params)


async def ids_of_flow(tx: Tx, flow_id: UUID) -> list[UUID]:
    """All runs of a flow."""
    return [row["id"] for row in await tx.fetch(_SQL["ids_of_flow"], {"flow_id": flow_id})]
