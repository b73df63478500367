"""What has to change so that a system holds what a manifest says: compared field by field, nothing written."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from msgspec import UNSET, Struct

from headgate.core.redeploy import match_schedules
from headgate.core.schedules import describe, same_timing
from headgate.errors import Conflict
from headgate.schema.block_documents import BlockDocument
from headgate.schema.concurrency_limits import GlobalConcurrencyLimit
from headgate.schema.deployments import Deployment, DeploymentSchedule, DeploymentScheduleCreate, DeploymentUpdate
from headgate.schema.manifests import (
    BlockSpec,
    DeploymentSpec,
    LimitSpec,
    Manifest,
    PoolSpec,
    QueueSpec,
    SecretSpec,
    VariableSpec,
)
from headgate.schema.secrets import Secret
from headgate.schema.variables import Variable
from headgate.schema.work_pools import WorkPool
from headgate.schema.work_queues import WorkQueue

T = TypeVar("T")

Spec = VariableSpec | SecretSpec | LimitSpec | BlockSpec | PoolSpec | QueueSpec | DeploymentSpec


@dataclass(frozen=True, slots=True)
class Present:
    """What a system holds now of what a manifest may name: variables, secrets, limits and pools by name, blocks by
    `type/name`, queues by pool and name, deployments by their flow's and their own name."""

    variables: Mapping[str, Variable] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    concurrency_limits: Mapping[str, GlobalConcurrencyLimit] = field(default_factory=dict)
    blocks: Mapping[str, BlockDocument] = field(default_factory=dict)
    work_pools: Mapping[str, WorkPool] = field(default_factory=dict)
    work_queues: Mapping[tuple[str, str], WorkQueue] = field(default_factory=dict)
    deployments: Mapping[tuple[str, str], Deployment] = field(default_factory=dict)


class Action(StrEnum):
    """What becomes of a record."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"


class FieldChange(Struct, frozen=True):
    """A field that differs."""

    field: str
    before: Any
    after: Any


class Change(Struct, frozen=True):
    """One record: `name` is its full name, `pool/queue` and `flow/deployment` among them."""

    kind: str
    name: str
    action: Action
    fields: list[FieldChange]
    spec: Spec
    record: Struct | None
    """As it is now, unless it is to be created."""


def compare(wanted: Manifest, present: Present) -> list[Change]:
    """A change for each record of the manifest, in an order in which they can be made.

    `Conflict` for a pool that is there under another type, which cannot be changed.
    """
    changes = [_variable(spec, present.variables.get(spec.name)) for spec in wanted.variables]
    # A secret that is there stays: whether it has the same value cannot be seen.
    changes += [_change("secret", spec.name, spec, present.secrets.get(spec.name), lambda _: ()) for spec in wanted.secrets]
    changes += [_limit(spec, present.concurrency_limits.get(spec.name)) for spec in wanted.concurrency_limits]
    changes += [_block(spec, present) for spec in wanted.blocks]
    for pool in wanted.work_pools:
        changes.append(_pool(pool, present.work_pools.get(pool.name)))
        # The first of them first: a queue that takes a priority moves those from there on down.
        queues = sorted(pool.work_queues, key=by_priority)
        changes += [_queue(pool, queue, present.work_queues.get((pool.name, queue.name))) for queue in queues]
    changes += [_deployment(spec, present) for spec in wanted.deployments]
    return changes


def _variable(spec: VariableSpec, now: Variable | None) -> Change:
    return _change("variable", spec.name, spec, now, lambda now: _variable_differences(now, spec))


def _variable_differences(now: Variable, spec: VariableSpec) -> Iterator[FieldChange]:
    if not _same(now.value, spec.value):  # an empty text is a value of its own
        yield FieldChange("value", now.value, spec.value)
    yield from _differences(now, spec, ("tags",))


_LIMIT_FIELDS = ("limit", "active", "slot_decay_per_second")


def _limit(spec: LimitSpec, now: GlobalConcurrencyLimit | None) -> Change:
    return _change("concurrency limit", spec.name, spec, now, lambda now: _differences(now, spec, _LIMIT_FIELDS))


HIDDEN = "(not shown)"
"""What stands for a block's data in a plan: there may be secrets in it."""


def _block(spec: BlockSpec, present: Present) -> Change:
    ids = {name: block.id for name, block in present.blocks.items()}

    def differences(now: BlockDocument) -> Iterator[FieldChange]:
        if stored_data(now) != with_references(spec.data, ids):
            yield FieldChange("data", HIDDEN, HIDDEN)

    return _change("block", spec.full_name, spec, present.blocks.get(spec.full_name), differences)


def with_references(data: Mapping[str, Any], ids: Mapping[str, UUID]) -> dict[str, Any]:
    """A block's data as the API takes it: what stands for another document names it by its id.

    One that is not there yet has none, and differs from any.
    """
    return {name: _reference(value, ids) for name, value in data.items()}


def _reference(value: Any, ids: Mapping[str, UUID]) -> Any:
    match value:
        case {"$block": str(name)} if len(value) == 1:
            return {"$ref": {"block_document_id": str(ids.get(name))}}
        case _:
            return value


def stored_data(document: BlockDocument) -> dict[str, Any]:
    """A document's data in the same form, its other documents not in full."""
    inner = {
        name: {"$ref": {"block_document_id": str(reference["block_document"]["id"])}}
        for name, reference in document.block_document_references.items()
    }
    return document.data | inner


_POOL_FIELDS = (
    "description",
    "is_paused",
    "concurrency_limit",
    "launch_rate",
    "launch_limit",
    "fair_share",
    "base_job_template",
)


def _pool(spec: PoolSpec, now: WorkPool | None) -> Change:
    if now is not None and now.type != spec.type:
        raise Conflict(
            f"Work pool {spec.name!r} is of type {now.type!r} here and would be of type {spec.type!r}; a pool keeps its "
            "type. Give one of them another name, or delete the one that is here."
        )
    return _change("work pool", spec.name, spec, now, lambda now: _differences(now, spec, _POOL_FIELDS))


_QUEUE_FIELDS = ("description", "is_paused", "concurrency_limit", "priority")


def _queue(pool: PoolSpec, spec: QueueSpec, now: WorkQueue | None) -> Change:
    name = f"{pool.name}/{spec.name}"
    return _change("work queue", name, spec, now, lambda now: _differences(now, spec, _QUEUE_FIELDS))


def by_priority(spec: QueueSpec) -> float:
    """The queue's place among others of its pool; those without a priority come last."""
    return float("inf") if spec.priority is UNSET else spec.priority


def _deployment(spec: DeploymentSpec, present: Present) -> Change:
    now = present.deployments.get((spec.flow_name, spec.name))

    def differences(now: Deployment) -> Iterator[FieldChange]:
        yield from _deployment_differences(now, spec)
        for field_name, block in blocks_of(spec):
            found = present.blocks.get(block)
            if found is None or getattr(now, field_name) != found.id:
                yield FieldChange(field_name, getattr(now, field_name), block)
        shared = now.shared_limit
        if spec.shared_limit is not None and (shared is None or shared.name != spec.shared_limit):
            yield FieldChange("global_concurrency_limit_id", shared.name if shared else None, spec.shared_limit)

    return _change("deployment", spec.full_name, spec, now, differences)


def blocks_of(spec: DeploymentSpec) -> list[tuple[str, str]]:
    """The deployment's fields that hold a block's id, each with the block's full name."""
    named = (("infrastructure_document_id", spec.infrastructure_block), ("storage_document_id", spec.storage_block))
    return [(field_name, block) for field_name, block in named if block is not None]


def _change(kind: str, name: str, spec: Spec, now: Any, differences: Callable[[Any], Iterable[FieldChange]]) -> Change:
    if now is None:
        return Change(kind, name, Action.CREATE, [], spec, None)
    found = list(differences(now))
    return Change(kind, name, Action.UPDATE if found else Action.KEEP, found, spec, now)


def _differences(now: Struct, wanted: Struct, names: Sequence[str]) -> Iterator[FieldChange]:
    """The fields of these names that `wanted` sets and `now` has otherwise; an empty text or list is as good as none."""
    for name in names:
        before, after = getattr(now, name), getattr(wanted, name)
        if after is not UNSET and not _same(before, after) and not (_is_empty(before) and _is_empty(after)):
            yield FieldChange(name, before, after)


def _same(a: Any, b: Any) -> bool:
    """Equal, and as JSON, too: `true` is not `1`."""
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


_DEPLOYMENT_FIELDS = (
    "version",
    "description",
    "paused",
    "concurrency_options",
    "concurrency_key",
    "infra_retries",
    "job_variables",
    "parameters",
    "tags",
    "work_pool_name",
    "work_queue_name",
    "parameter_openapi_schema",
    "path",
    "pull_steps",
    "entrypoint",
    "command",
    "storage_document_id",
    "infrastructure_document_id",
    "enforce_parameter_schema",
)


def _deployment_differences(now: Deployment, spec: DeploymentSpec) -> Iterator[FieldChange]:
    wanted = spec.wanted
    yield from _differences(now, wanted, _DEPLOYMENT_FIELDS)
    if wanted.concurrency_limit is not UNSET and wanted.concurrency_limit != now.limit:
        yield FieldChange("concurrency_limit", now.limit, wanted.concurrency_limit)
    if wanted.labels is not UNSET and not wanted.labels.items() <= now.labels.items():  # labels are only ever added
        yield FieldChange("labels", now.labels, now.labels | wanted.labels)
    if wanted.schedules is not UNSET and _reschedules(now.schedules, wanted.schedules):
        yield FieldChange("schedules", [_words(each) for each in now.schedules], [_words(each) for each in wanted.schedules])


def _reschedules(now: Sequence[DeploymentSchedule], wanted: Sequence[DeploymentScheduleCreate]) -> bool:
    """Whether a deploy of `wanted` would add, drop or change a schedule."""
    match = match_schedules(now, wanted)
    return bool(match.added or match.dropped) or any(_differ(have, want) for have, want in match.kept)


def _differ(have: DeploymentSchedule, want: DeploymentScheduleCreate) -> bool:
    return (
        not same_timing(have.schedule, want.schedule)
        or (want.active is not None and have.active != want.active)
        or bool(want.slug and have.slug != want.slug)
        or any(
            getattr(have, name) != getattr(want, name)
            for name in ("max_scheduled_runs", "parameters", "job_variables", "misfire")
        )
    )


def _words(schedule: DeploymentSchedule | DeploymentScheduleCreate) -> str:
    slug = f"{schedule.slug}: " if schedule.slug else ""
    return f"{slug}{describe(schedule.schedule)}{' (paused)' if schedule.active is False else ''}"


# --- from records to a manifest


def manifest_of(present: Present, flow_names: Mapping[UUID, str]) -> Manifest:
    """All that a system holds, as a manifest; `flow_names` by the flows' ids."""
    queues: dict[str, list[QueueSpec]] = {name: [] for name in present.work_pools}
    for (pool, _), queue in present.work_queues.items():
        queues[pool].append(_taken(QueueSpec, queue, _QUEUE_FIELDS))
    return Manifest(
        variables=[_taken(VariableSpec, each, ("value", "tags")) for each in _by_name(present.variables)],
        concurrency_limits=[
            _taken(LimitSpec, each, _LIMIT_FIELDS)
            for each in _by_name(present.concurrency_limits)
            if not each.name.startswith(OF_A_DEPLOYMENT)
        ],
        work_pools=[
            _taken(PoolSpec, pool, (*_POOL_FIELDS, "type"), work_queues=sorted(queues[pool.name], key=by_priority))
            for pool in _by_name(present.work_pools)
        ],
        deployments=[
            DeploymentSpec(
                flow_name=flow_names[each.flow_id],
                name=each.name,
                wanted=_wanted(each),
                shared_limit=each.shared_limit.name if each.shared_limit else None,
            )
            for _, each in sorted(present.deployments.items())
        ],
    )


OF_A_DEPLOYMENT = "deployment:"
"""What the names of deployments' own limits begin with; those come with their deployments."""


def _by_name(records: Mapping[str, T]) -> list[T]:
    return [record for _, record in sorted(records.items())]


def _taken(kind: Callable[..., T], record: Any, names: Sequence[str], **more: Any) -> T:
    return kind(name=record.name, **{name: getattr(record, name) for name in names}, **more)


_OF_THE_SERVER = "prefect."
"""What labels begin with that servers give themselves."""


def _wanted(now: Deployment) -> DeploymentUpdate:
    schedules = [
        DeploymentScheduleCreate(
            schedule=each.schedule,
            active=each.active,
            max_scheduled_runs=each.max_scheduled_runs,
            parameters=each.parameters,
            job_variables=each.job_variables,
            slug=each.slug,
            misfire=each.misfire,
        )
        for each in sorted(now.schedules, key=lambda each: each.id)
    ]
    return DeploymentUpdate(
        **{name: getattr(now, name) for name in _DEPLOYMENT_FIELDS},
        concurrency_limit=now.limit,
        labels={name: value for name, value in now.labels.items() if not name.startswith(_OF_THE_SERVER)},
        schedules=schedules,
    )
