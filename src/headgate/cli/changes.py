"""Changes that a manifest makes: shown as a plan, asked about, made."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct

from headgate.cli.output import counted
from headgate.cli.pool_templates import default_template
from headgate.client.calls import deployments, flows, secrets, variables, work_pools, work_queues
from headgate.client.client import Client
from headgate.core.manifests import Action, Change, FieldChange, by_priority
from headgate.errors import HeadgateError
from headgate.schema.deployments import Deployment, DeploymentCreate, DeploymentUpdate
from headgate.schema.flows import FlowCreate
from headgate.schema.manifests import DeploymentSpec, PoolSpec, QueueSpec, SecretSpec, VariableSpec
from headgate.schema.secrets import SecretCreate
from headgate.schema.variables import VariableCreate, VariableUpdate
from headgate.schema.work_pools import WorkPoolCreate, WorkPoolUpdate
from headgate.schema.work_queues import WorkQueue, WorkQueueCreate, WorkQueueUpdate

S = TypeVar("S", bound=Struct)

_MARKS = {Action.CREATE: "+", Action.UPDATE: "~"}
_LONGEST = 60


class ChangeRecord(Struct, omit_defaults=True):
    """A change as JSON output has it."""

    kind: str
    name: str
    action: Action
    fields: list[FieldChange]
    error: str | None = None


def record_of(change: Change, error: str | None = None) -> ChangeRecord:
    """The change without what it is made of."""
    return ChangeRecord(change.kind, change.name, change.action, change.fields, error)


def plan_lines(changes: Sequence[Change]) -> Iterator[str]:
    """What is to be made, a line each, with the fields that change; at the end a count."""
    for change in changes:
        if change.action is Action.KEEP:
            continue
        yield f"  {_MARKS[change.action]} {change.kind} {change.name!r}"
        for each in change.fields:
            yield f"      {each.field}: {_short(each.before)} -> {_short(each.after)}"
    counts = {action: sum(change.action is action for change in changes) for action in Action}
    yield (
        f"Plan: {counts[Action.CREATE]} to create, {counts[Action.UPDATE]} to change, "
        f"{counted(counts[Action.KEEP], 'record')} as wanted already."
    )


def _short(value: Any) -> str:
    if value is None or value is UNSET:
        return "none"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def pending(changes: Sequence[Change]) -> list[Change]:
    """Those that change anything."""
    return [change for change in changes if change.action is not Action.KEEP]


def make(client: Client, changes: Sequence[Change], *, done: Callable[[Change, HeadgateError | None], None]) -> bool:
    """Make the changes in their order, and tell of each; whether all went well.

    One that fails does not keep back the others: what needs it fails by itself.
    """
    well = True
    for change in pending(changes):
        try:
            _MAKE[type(change.spec)](client, change)
        except HeadgateError as error:
            well = False
            done(change, error)
        else:
            done(change, None)
    _settle(client, changes)
    return well


def _settle(client: Client, changes: Sequence[Change]) -> None:
    """Put queues back in place that made room for others, although they were as wanted before."""
    moved = {change.name.rpartition("/")[0] for change in pending(changes) if isinstance(change.spec, QueueSpec)}
    for pool in sorted(moved):
        wanted = [each.spec for each in changes if isinstance(each.spec, QueueSpec) and each.name.rpartition("/")[0] == pool]
        for spec in sorted(wanted, key=by_priority):
            present = _find_queue(client, pool, spec)
            if present is not None and spec.priority is not UNSET and present.priority != spec.priority:
                client.send(work_queues.update(present.id, WorkQueueUpdate(priority=spec.priority)))


def _variable(client: Client, change: Change) -> None:
    spec = change.spec
    assert isinstance(spec, VariableSpec)
    if change.action is Action.CREATE:
        client.send(variables.create(_as(VariableCreate, spec)))
    else:
        client.send(variables.update_by_name(spec.name, _as(VariableUpdate, spec)))


def _secret(client: Client, change: Change) -> None:
    spec = change.spec
    assert isinstance(spec, SecretSpec)
    client.send(secrets.create(_as(SecretCreate, spec)))


def _pool(client: Client, change: Change) -> None:
    spec = change.spec
    assert isinstance(spec, PoolSpec)
    if change.action is Action.UPDATE:
        client.send(work_pools.update(spec.name, _as(WorkPoolUpdate, spec)))
        return
    body = _as(WorkPoolCreate, spec)
    if spec.base_job_template is UNSET:
        body.base_job_template = default_template(spec.type)
    client.send(work_pools.create(body))


def _queue(client: Client, change: Change) -> None:
    spec = change.spec
    assert isinstance(spec, QueueSpec)
    pool = change.name.rpartition("/")[0]
    present = change.record if isinstance(change.record, WorkQueue) else _find_queue(client, pool, spec)
    if present is None:
        client.send(work_queues.create(pool, _as(WorkQueueCreate, spec)))
    else:
        client.send(work_queues.update(present.id, _as(WorkQueueUpdate, spec)))


def _find_queue(client: Client, pool: str, spec: QueueSpec) -> WorkQueue | None:
    """A queue that came with its pool, as `default` does."""
    found = client.send(work_queues.query(pool))
    return next((queue for queue in found if queue.name == spec.name), None)


def _deployment(client: Client, change: Change) -> None:
    spec = change.spec
    assert isinstance(spec, DeploymentSpec)
    if isinstance(change.record, Deployment):
        changed = {each.field for each in change.fields}
        if "work_pool_name" in changed:
            changed.add("work_queue_name")
        body = {name: getattr(spec.wanted, name) for name in changed}
        client.send(deployments.update(change.record.id, DeploymentUpdate(**body)))
        return
    flow = client.send(flows.create(FlowCreate(name=spec.flow_name)))
    client.send(deployments.create(_new(spec, flow.id)))


def _new(spec: DeploymentSpec, flow_id: UUID) -> DeploymentCreate:
    names = DeploymentCreate.__struct_fields__
    given = {name: value for name in names if (value := getattr(spec.wanted, name, UNSET)) is not UNSET}
    return DeploymentCreate(**given | {"name": spec.name, "flow_id": flow_id})


def _as(kind: type[S], spec: Struct) -> S:
    """A body with what the spec sets of its fields."""
    given = {name: getattr(spec, name, UNSET) for name in kind.__struct_fields__}
    return kind(**{name: value for name, value in given.items() if value is not UNSET})


_MAKE: dict[type, Callable[[Client, Change], None]] = {
    VariableSpec: _variable,
    SecretSpec: _secret,
    PoolSpec: _pool,
    QueueSpec: _queue,
    DeploymentSpec: _deployment,
}
