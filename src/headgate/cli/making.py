"""Making the changes of a manifest, one call or two for each."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from msgspec import UNSET, Struct

from headgate.cli.changes import pending
from headgate.cli.find import find_limit
from headgate.cli.pool_templates import default_template
from headgate.client.calls import (
    block_documents,
    block_schemas,
    block_types,
    concurrency_limits,
    deployments,
    flows,
    secrets,
    variables,
    work_pools,
    work_queues,
)
from headgate.client.client import Client
from headgate.core.manifests import Action, Change, Present, blocks_of, by_priority, with_references
from headgate.errors import HeadgateError, NotFound
from headgate.schema.block_documents import BlockDocumentCreate, BlockDocumentUpdate
from headgate.schema.block_schemas import BlockSchema, BlockSchemaCreate
from headgate.schema.concurrency_limits import GlobalConcurrencyLimitCreate, GlobalConcurrencyLimitUpdate
from headgate.schema.deployments import Deployment, DeploymentCreate, DeploymentPatch
from headgate.schema.flows import FlowCreate
from headgate.schema.manifests import (
    BlockSchemaSpec,
    BlockSpec,
    DeploymentSpec,
    LimitSpec,
    PoolSpec,
    QueueSpec,
    SecretSpec,
    VariableSpec,
)
from headgate.schema.secrets import SecretCreate
from headgate.schema.variables import VariableCreate, VariableUpdate
from headgate.schema.work_pools import WorkPoolCreate, WorkPoolUpdate
from headgate.schema.work_queues import WorkQueue, WorkQueueCreate, WorkQueueUpdate

S = TypeVar("S", bound=Struct)


class Maker:
    """Makes changes, in their order. One that fails does not keep back the others: what needs it fails by itself."""

    def __init__(self, client: Client, present: Present) -> None:
        self._client = client
        self._block_ids = {name: block.id for name, block in present.blocks.items()}

    def make(self, changes: Sequence[Change], *, done: Callable[[Change, HeadgateError | None], None]) -> bool:
        """Make them, and tell of each; whether all went well."""
        well = True
        for change in pending(changes):
            try:
                self._make(change)
            except HeadgateError as error:
                well = False
                done(change, error)
            else:
                done(change, None)
        self._settle(changes)
        return well

    def _make(self, change: Change) -> None:
        match change.spec:
            case VariableSpec() as spec:
                self._variable(change, spec)
            case SecretSpec() as spec:
                self._client.send(secrets.create(_as(SecretCreate, spec)))
            case LimitSpec() as spec:
                self._limit(change, spec)
            case BlockSpec() as spec:
                self._block(spec)
            case PoolSpec() as spec:
                self._pool(change, spec)
            case QueueSpec() as spec:
                self._queue(change, spec)
            case DeploymentSpec() as spec:
                self._deployment(change, spec)

    def _variable(self, change: Change, spec: VariableSpec) -> None:
        if change.action is Action.CREATE:
            self._client.send(variables.create(_as(VariableCreate, spec)))
        else:
            self._client.send(variables.update_by_name(spec.name, _as(VariableUpdate, spec)))

    def _limit(self, change: Change, spec: LimitSpec) -> None:
        if change.action is Action.CREATE:
            self._client.send(concurrency_limits.create(_as(GlobalConcurrencyLimitCreate, spec)))
        else:
            self._client.send(concurrency_limits.update(spec.name, _as(GlobalConcurrencyLimitUpdate, spec)))

    def _block(self, spec: BlockSpec) -> None:
        data = with_references(spec.data, self._block_ids)
        if (id := self._block_ids.get(spec.full_name)) is not None:
            self._client.send(block_documents.update(id, BlockDocumentUpdate(data=data, merge_existing_data=False)))
            return
        for each in spec.schemas:
            schema = self._schema(each)
        body = BlockDocumentCreate(
            block_schema_id=schema.id,
            block_type_id=schema.block_type_id,
            name=spec.name,
            data=data,
            is_anonymous=spec.is_anonymous,
        )
        self._block_ids[spec.full_name] = self._client.send(block_documents.create(body)).id

    def _schema(self, spec: BlockSchemaSpec) -> BlockSchema:
        """The schema, made with its type where it is not there."""
        try:
            type = self._client.send(block_types.get_by_slug(spec.type.slug))
        except NotFound:
            type = self._client.send(block_types.create(spec.type))
        body = BlockSchemaCreate(
            block_type_id=type.id, fields=spec.fields, capabilities=spec.capabilities, version=spec.version
        )
        return self._client.send(block_schemas.create(body))

    def _pool(self, change: Change, spec: PoolSpec) -> None:
        if change.action is Action.UPDATE:
            self._client.send(work_pools.update(spec.name, _as(WorkPoolUpdate, spec)))
            return
        body = _as(WorkPoolCreate, spec)
        if spec.base_job_template is UNSET:
            body.base_job_template = default_template(spec.type)
        self._client.send(work_pools.create(body))

    def _queue(self, change: Change, spec: QueueSpec) -> None:
        pool = _pool_of(change)
        present = change.record if isinstance(change.record, WorkQueue) else self._find_queue(pool, spec)
        if present is None:
            self._client.send(work_queues.create(pool, _as(WorkQueueCreate, spec)))
        else:
            self._client.send(work_queues.update(present.id, _as(WorkQueueUpdate, spec)))

    def _find_queue(self, pool: str, spec: QueueSpec) -> WorkQueue | None:
        """A queue that came with its pool, as `default` does."""
        found = self._client.send(work_queues.query(pool))
        return next((queue for queue in found if queue.name == spec.name), None)

    def _settle(self, changes: Sequence[Change]) -> None:
        """Put queues back in place that made room for others, although they were as wanted before."""
        queues = [(change, change.spec) for change in changes if isinstance(change.spec, QueueSpec)]
        for pool in sorted({_pool_of(change) for change, _ in queues if change.action is not Action.KEEP}):
            for spec in sorted((spec for change, spec in queues if _pool_of(change) == pool), key=by_priority):
                present = self._find_queue(pool, spec)
                if present is not None and spec.priority is not UNSET and present.priority != spec.priority:
                    self._client.send(work_queues.update(present.id, WorkQueueUpdate(priority=spec.priority)))

    def _deployment(self, change: Change, spec: DeploymentSpec) -> None:
        given = {**_given(spec.wanted), **self._documents(spec), **self._shared_limit(spec)}
        if isinstance(change.record, Deployment):
            changed = {each.field for each in change.fields}
            if "work_pool_name" in changed:
                changed.add("work_queue_name")
            fields = {name: value for name, value in given.items() if name in changed}
            body = DeploymentPatch(**fields, whole_schedules="schedules" in changed)
            self._client.send(deployments.update(change.record.id, body))
            return
        flow = self._client.send(flows.create(FlowCreate(name=spec.flow_name)))
        known = {name: value for name, value in given.items() if name in DeploymentCreate.__struct_fields__}
        self._client.send(deployments.create(DeploymentCreate(**known | {"name": spec.name, "flow_id": flow.id})))

    def _documents(self, spec: DeploymentSpec) -> dict[str, UUID]:
        """The deployment's blocks, by the fields that hold their ids; `NotFound` for one that is not here."""
        for _, block in blocks_of(spec):
            if block not in self._block_ids:
                raise NotFound(f"There is no block {block!r} here, which the deployment refers to.")
        return {name: self._block_ids[block] for name, block in blocks_of(spec)}

    def _shared_limit(self, spec: DeploymentSpec) -> dict[str, UUID]:
        """The named limit of which its runs take slots."""
        if spec.shared_limit is None:
            return {}
        return {"global_concurrency_limit_id": find_limit(self._client, spec.shared_limit).id}


def _pool_of(change: Change) -> str:
    return change.name.rpartition("/")[0]


def _given(spec: Struct) -> dict[str, Any]:
    """What a record sets."""
    fields = ((name, getattr(spec, name)) for name in spec.__struct_fields__)
    return {name: value for name, value in fields if value is not UNSET}


def _as(kind: type[S], spec: Struct) -> S:
    """A body with what the spec sets of its fields."""
    return kind(**{name: value for name, value in _given(spec).items() if name in kind.__struct_fields__})
