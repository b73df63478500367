"""What the world is told of work pools, queues and deployments: one was made, changed or deleted, is ready or is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec

from headgate.schema.deployments import Deployment
from headgate.schema.events import NAME, RESOURCE, ROLE, Labels
from headgate.schema.work_pools import WorkPool
from headgate.schema.work_queues import ReadyStatus, WorkQueue

POOL, QUEUE, DEPLOYMENT = "work-pool", "work-queue", "deployment"
"""Kinds of resources, as they are in the names of events and in ids of resources; the names are the wire's."""

POOL_TYPE = "prefect.work-pool.type"

STATUSES = {ReadyStatus.READY: "ready", ReadyStatus.NOT_READY: "not-ready", ReadyStatus.PAUSED: "paused"}
"""How an event of a status ends."""

_OF_POOLS = ("description", "base_job_template", "concurrency_limit", "storage_configuration")
_OF_QUEUES = ("name", "description", "concurrency_limit", "priority")
_OF_DEPLOYMENTS = (
    "description",
    "tags",
    "parameters",
    "parameter_openapi_schema",
    "enforce_parameter_schema",
    "entrypoint",
    "path",
    "pull_steps",
    "work_queue_id",
    "job_variables",
    "paused",
    "labels",
    "version",
    "concurrency_limit",
    "concurrency_options",
)
"""Fields whose change is told. That a pool or a queue is paused is a status."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to a subject: an event, but for its time and its id."""

    event: str
    resource: Labels
    related: list[Labels]
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """What events are about: its kind, what is told of it, and what it hangs on."""

    kind: str
    labels: Labels
    related: Sequence[Labels] = field(default_factory=tuple)

    @property
    def id(self) -> str:
        """Its id as a resource."""
        return self.labels[RESOURCE]

    def was(self, what: str, payload: Mapping[str, Any] | None = None) -> Happening:
        """That it was made, changed or deleted, or has another status."""
        return Happening(f"prefect.{self.kind}.{what}", self.labels, [*self.related], dict(payload or {}))

    def became(self, status: ReadyStatus | None, *, before: ReadyStatus | None) -> list[Happening]:
        """That it has its status, where that is another one than before."""
        return [] if status is None or status is before else [self.was(STATUSES[status])]

    def changed(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Happening]:
        """That fields of `told` have other values than before, where any have."""
        updates = {name: {"from": before[name], "to": value} for name, value in after.items() if before[name] != value}
        return [self.was("updated", {"updated_fields": [*updates], "updates": updates})] if updates else []


def resource_id(kind: str, id: UUID) -> str:
    """The id of a record as a resource."""
    return f"prefect.{kind}.{id}"


def of_pool(pool: WorkPool) -> Subject:
    """A pool, with its default queue, and the block that results of its runs go to."""
    related = [{RESOURCE: resource_id(QUEUE, pool.default_queue_id), ROLE: "default-queue"}]
    if storage := pool.storage_configuration.default_result_storage_block_id:
        related.append(_document(storage, "result-storage"))
    return Subject(POOL, _pool(pool.id, pool.name, pool.type), related)


def of_queue(queue: WorkQueue, *, pool_type: str) -> Subject:
    """A queue, with its pool."""
    related = [_pool(queue.work_pool_id, queue.work_pool_name, pool_type)] if queue.work_pool_id else []
    return Subject(QUEUE, _labels(QUEUE, queue.id, queue.name), related)


def of_deployment(deployment: Deployment, *, flow_name: str | None, pool_type: str | None) -> Subject:
    """A deployment, with its flow, its queue and its pool, and the blocks that it names."""
    related = []
    if flow_name is not None:
        related.append(_labels("flow", deployment.flow_id, flow_name))
    if deployment.work_queue_id:
        related.append(_labels(QUEUE, deployment.work_queue_id, deployment.work_queue_name))
    if deployment.work_pool_id:
        related.append(_pool(deployment.work_pool_id, deployment.work_pool_name, pool_type))
    if deployment.storage_document_id:
        related.append(_document(deployment.storage_document_id, "storage"))
    if deployment.infrastructure_document_id:
        related.append(_document(deployment.infrastructure_document_id, "infrastructure"))
    return subject_of(DEPLOYMENT, deployment.id, deployment.name, related)


def subject_of(kind: str, id: UUID, name: str, related: Sequence[Labels] = ()) -> Subject:
    """A record that has nothing told of itself but its name."""
    return Subject(kind, {RESOURCE: resource_id(kind, id), NAME: name}, related)


def _labels(kind: str, id: UUID, name: str | None) -> Labels:
    return {RESOURCE: resource_id(kind, id), NAME: name or "", ROLE: kind}


def _pool(id: UUID, name: str | None, type: str | None) -> Labels:
    return {**_labels(POOL, id, name), POOL_TYPE: type or ""}


def _document(id: UUID, role: str) -> Labels:
    return {RESOURCE: resource_id("block-document", id), ROLE: role}


def told(record: WorkPool | WorkQueue | Deployment) -> dict[str, Any]:
    """The values of a record whose change is told, as they are now."""
    names = _OF_DEPLOYMENTS if isinstance(record, Deployment) else _OF_POOLS if isinstance(record, WorkPool) else _OF_QUEUES
    values: dict[str, Any] = msgspec.to_builtins({name: getattr(record, name) for name in names})
    if "job_variables" in values:  # existing clients know them in events by another name
        values["infra_overrides"] = values.pop("job_variables")
    return values
