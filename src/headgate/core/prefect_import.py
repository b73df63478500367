"""From what another server of this wire holds to a manifest of ours, with a note on all that has no equivalent.

Infrastructure blocks, which agents of old ran their deployments in, become job variables of an untyped pool's deployments,
or, for workers, base job templates of pools of their own.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from headgate.core.manifests import OF_A_DEPLOYMENT
from headgate.core.templates import overlay
from headgate.schema.block_types import BlockTypeCreate
from headgate.schema.deployments import ConcurrencyOptions, DeploymentScheduleCreate, DeploymentUpdate
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
from headgate.schema.work_pools import UNTYPED

Raw = Mapping[str, Any]
S = TypeVar("S", bound=Struct)

WORKER_TYPES = {"process": "process", "docker-container": "docker", "kubernetes-job": "kubernetes"}
"""By an infrastructure block's type, the type of the pools whose workers run the same."""

SECRET = "secret"


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the other server holds, as its API tells it; queues by their pool's name, templates by a pool's type."""

    work_pools: Sequence[Raw] = ()
    work_queues: Mapping[str, Sequence[Raw]] = field(default_factory=dict)
    flows: Sequence[Raw] = ()
    deployments: Sequence[Raw] = ()
    variables: Sequence[Raw] = ()
    concurrency_limits: Sequence[Raw] = ()
    tag_limits: Sequence[Raw] = ()
    block_schemas: Sequence[Raw] = ()
    block_documents: Sequence[Raw] = ()
    automations: Sequence[Raw] = ()
    notifications: Sequence[Raw] = ()
    templates: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    """On what could not be read."""


@dataclass(frozen=True, slots=True)
class Import:
    """What comes over, and a line on each thing that does not, or not as it was."""

    manifest: Manifest
    notes: list[str]


def translate(held: Holdings, *, to_workers: bool = False) -> Import:
    """The manifest for what is held. With `to_workers` deployments of untyped pools move to the pools of their blocks."""
    work = _Translation(held, to_workers)
    manifest = Manifest(
        variables=[*work.variables()],
        secrets=[*work.secrets()],
        concurrency_limits=[*work.limits()],
        blocks=[*work.blocks()],
        work_pools=[*work.pools()],
        deployments=[*work.deployments()],
    )
    manifest.work_pools += work.new_pools.values()
    work.rest()
    return Import(manifest, work.notes)


class _Translation:
    def __init__(self, held: Holdings, to_workers: bool) -> None:
        self._held = held
        self._to_workers = to_workers
        self._blocks = {str(block["id"]): block for block in held.block_documents}
        self._flows = {str(flow["id"]): str(flow["name"]) for flow in held.flows}
        self._types = {str(pool["name"]): str(pool["type"]) for pool in held.work_pools}
        self.new_pools: dict[str, PoolSpec] = {}
        self.notes = [*held.notes]

    def _note(self, what: str, text: str) -> None:
        self.notes.append(f"{what}: {text}")

    def _spec(self, kind: type[S], what: str, values: Mapping[str, Any]) -> Iterator[S]:
        """The record, or a note on why it cannot be one."""
        try:
            yield msgspec.convert(dict(values), kind, strict=False)
        except msgspec.ValidationError as error:
            self._note(what, f"left out, {error}")

    def variables(self) -> Iterator[VariableSpec]:
        for each in self._held.variables:
            values = {"name": each["name"], "value": each.get("value"), "tags": each.get("tags") or []}
            yield from self._spec(VariableSpec, f"variable {each['name']!r}", values)

    def secrets(self) -> Iterator[SecretSpec]:
        for block in self._held.block_documents:
            if _block_type(block) == SECRET and not block.get("is_anonymous"):
                value = (block.get("data") or {}).get("value")
                text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
                yield from self._spec(SecretSpec, f"block secret/{block['name']}", {"name": block["name"], "value": text})

    def limits(self) -> Iterator[LimitSpec]:
        """Those of tags are among the others where the server has both; 2.x has them apart."""
        limits = {str(each["name"]): each for each in self._held.concurrency_limits}
        tags = {f"tag:{each['tag']}": {"limit": each["concurrency_limit"]} for each in self._held.tag_limits}
        for name, each in (tags | limits).items():
            if not name.startswith(OF_A_DEPLOYMENT):
                values = {"name": name, **_chosen(each, ("limit", "active", "slot_decay_per_second"))}
                yield from self._spec(LimitSpec, f"concurrency limit {name!r}", values)

    def blocks(self) -> Iterator[BlockSpec]:
        """Those with names, and those that deployments refer to; what others refer to comes before them."""
        for id in _in_order(self._blocks, self._wanted_blocks()):
            block = self._blocks[id]
            inner = block.get("block_document_references") or {}
            values = {
                **_chosen(block, ("name", "is_anonymous")),
                "schemas": self._schemas({**(block.get("block_schema") or {}), "block_type": block.get("block_type")}),
                "data": (block.get("data") or {}) | {field: {"$block": self._named(ref)} for field, ref in inner.items()},
            }
            yield from self._spec(BlockSpec, f"block {_full_name(block)}", values)

    def _schemas(self, own: Raw) -> list[dict[str, Any]]:
        """A schema, after those that its fields refer to."""
        known = {str(schema.get("checksum")): schema for schema in self._held.block_schemas}
        found: dict[str, Raw] = {}

        def visit(checksum: str, schema: Raw) -> None:
            for inner in _checksums(schema):
                if inner in known and inner not in found:
                    visit(inner, known[inner])
            found[checksum] = schema

        visit("", own)
        return [
            {
                "type": _chosen(schema.get("block_type") or {}, BlockTypeCreate.__struct_fields__),
                **_chosen(schema, ("fields", "capabilities", "version")),
            }
            for schema in found.values()
        ]

    def _wanted_blocks(self) -> list[str]:
        referred = [str(each.get(field)) for each in self._held.deployments for field in _DOCUMENTS]
        named = [id for id, block in self._blocks.items() if not block.get("is_anonymous")]
        return [*named, *(id for id in referred if id in self._blocks)]

    def _named(self, reference: Raw) -> str:
        return _full_name(self._blocks[str(reference["block_document"]["id"])])

    def _block_of(self, raw: Raw, field: str) -> str | None:
        block = self._blocks.get(str(raw.get(field)))
        return None if block is None else _full_name(block)

    def pools(self) -> Iterator[PoolSpec]:
        for pool in self._held.work_pools:
            what = f"work pool {pool['name']!r}"
            if ":" in pool["type"]:
                self._note(
                    what, f"no worker of headgate is of type {pool['type']!r}; it is copied, and nothing will serve it"
                )
            storage = pool.get("storage_configuration") or {}
            if any(value is not None for value in storage.values()):
                self._note(what, "its storage configuration is not copied")
            values = _chosen(pool, ("name", "type", "description", "base_job_template", "is_paused", "concurrency_limit"))
            for spec in self._spec(PoolSpec, what, values):
                spec.work_queues = [*self._queues(pool["name"])]
                yield spec

    def _queues(self, pool: str) -> Iterator[QueueSpec]:
        for queue in self._held.work_queues.get(pool, ()):
            what = f"work queue '{pool}/{queue['name']}'"
            if queue.get("filter"):
                self._note(what, "its filter is not copied; queues take the deployments that name them")
            names = ("name", "description", "is_paused", "concurrency_limit", "priority")
            yield from self._spec(QueueSpec, what, _chosen(queue, names))

    def deployments(self) -> Iterator[DeploymentSpec]:
        for raw in self._held.deployments:
            flow = self._flows.get(str(raw["flow_id"]))
            if flow is None:
                self._note(f"deployment {raw['name']!r}", "left out, its flow is gone")
                continue
            what = f"deployment '{flow}/{raw['name']}'"
            pool, queue, variables = self._place(raw, what)
            wanted = {
                **_chosen(raw, _DEPLOYMENT_FIELDS),
                "concurrency_limit": _limit(raw),
                "concurrency_options": _options(raw),
                "labels": {k: v for k, v in (raw.get("labels") or {}).items() if not k.startswith("prefect.")},
                "work_pool_name": pool,
                "work_queue_name": queue,
                "job_variables": variables,
                "schedules": [*self._schedules(raw, what)],
            }
            for update in self._spec(DeploymentUpdate, what, {k: v for k, v in wanted.items() if v is not None}):
                values = {"flow_name": flow, "name": raw["name"], "wanted": msgspec.to_builtins(update)}
                for spec in self._spec(DeploymentSpec, what, values):
                    spec.shared_limit = _shared_limit(raw)
                    spec.infrastructure_block, spec.storage_block = (self._block_of(raw, field) for field in _DOCUMENTS)
                    yield spec

    def _place(self, raw: Raw, what: str) -> tuple[str | None, str | None, dict[str, Any]]:
        """The deployment's pool, queue and job variables, its infrastructure block among them where it has one."""
        pool, queue = raw.get("work_pool_name"), raw.get("work_queue_name")
        own = raw.get("job_variables") or raw.get("infra_overrides") or {}
        if raw.get("storage_document_id"):
            self._note(what, "workers of headgate fetch no code from its storage block; agents of 2.x do")
        block = self._blocks.get(str(raw.get("infrastructure_document_id")))
        if block is None or self._types.get(str(pool), UNTYPED) != UNTYPED:
            return pool, queue, own
        type = _block_type(block)
        if type not in WORKER_TYPES:
            self._note(
                what, f"its infrastructure block is of type {type!r}, which nothing here stands for; name a work pool"
            )
            return pool, queue, own
        given = _variables_of(block)
        if not self._to_workers:
            return pool, queue, overlay({"type": WORKER_TYPES[type]}, given, own)
        if block.get("is_anonymous"):
            self._new_pool(WORKER_TYPES[type], WORKER_TYPES[type], {}, what)
            return WORKER_TYPES[type], None, overlay(given, own)
        name = str(block["name"])
        if self._types.get(name) is not None:  # a pool is called like the block
            name = f"{name}-{WORKER_TYPES[type]}"
        self._new_pool(name, WORKER_TYPES[type], given, what)
        return name, None, own

    def _new_pool(self, name: str, type: str, defaults: dict[str, Any], what: str) -> None:
        if name in self.new_pools or self._types.get(name) == type:
            return
        template = self._held.templates.get(type)
        if template is None:
            self._note(what, f"the base job template of type {type!r} is not known; pool {name!r} has none")
        made, unknown = with_defaults(template or {}, defaults)
        if unknown:
            self._note(what, f"pool {name!r} has no variable for {', '.join(unknown)}, which its block sets")
        description = f"Made of the infrastructure block {name!r}" if defaults else f"For deployments of type {type}"
        self.new_pools[name] = PoolSpec(name=name, type=type, description=description, base_job_template=made)

    def _schedules(self, raw: Raw, what: str) -> Iterator[Any]:
        for each in raw.get("schedules") or ():
            if each.get("catchup"):
                self._note(what, "a schedule's catchup is not copied; its misfire policy says what missed runs become")
            names = ("schedule", "active", "max_scheduled_runs", "parameters", "slug")
            for schedule in self._spec(DeploymentScheduleCreate, f"a schedule of {what}", _chosen(each, names)):
                yield msgspec.to_builtins(schedule)

    def rest(self) -> None:
        """Notes on the kinds that are not copied at all."""
        for each in self._held.automations:
            self._note(
                f"automation {each.get('name')!r}", "not copied; automations are kept for clients here, and not acted on"
            )
        if self._held.notifications:
            self._note("notification policies", f"{len(self._held.notifications)} not copied; nobody is notified here")


_DOCUMENTS = ("infrastructure_document_id", "storage_document_id")

_DEPLOYMENT_FIELDS = (
    "version",
    "description",
    "paused",
    "parameters",
    "tags",
    "parameter_openapi_schema",
    "path",
    "pull_steps",
    "entrypoint",
    "enforce_parameter_schema",
)


def with_defaults(template: dict[str, Any], values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The template with these defaults of its variables, and the names that it has no variable for."""
    variables = template.get("variables", {})
    properties = dict(variables.get("properties", {}))
    for name in values.keys() & properties.keys():
        properties[name] = {**properties[name], "default": values[name]}
    unknown = sorted(values.keys() - properties.keys())
    return {**template, "variables": {**variables, "properties": properties}} if template else {}, unknown


def _in_order(blocks: Mapping[str, Raw], wanted: Sequence[str]) -> list[str]:
    """The ids of blocks, each after those that it refers to."""
    done: dict[str, None] = {}

    def visit(id: str) -> None:
        if id not in done and id in blocks:
            for reference in (blocks[id].get("block_document_references") or {}).values():
                visit(str(reference["block_document"]["id"]))
            done[id] = None

    for id in wanted:
        visit(id)
    return list(done)


def _checksums(schema: Raw) -> Iterator[str]:
    """Those of the schemas that a schema's fields refer to."""
    references = (schema.get("fields") or {}).get("block_schema_references") or {}
    for each in references.values():
        for reference in each if isinstance(each, list) else [each]:
            yield str(reference.get("block_schema_checksum"))


def _full_name(block: Raw) -> str:
    return f"{_block_type(block)}/{block['name']}"


def _block_type(block: Raw) -> str:
    return str((block.get("block_type") or {}).get("slug") or block.get("block_type_name") or "")


_NOT_VARIABLES = frozenset({"type", "block_type_slug"})


def _variables_of(block: Raw) -> dict[str, Any]:
    """What an infrastructure block sets, as job variables: a command is one text there."""
    data = {k: v for k, v in (block.get("data") or {}).items() if k not in _NOT_VARIABLES and v not in (None, {}, [])}
    if isinstance(data.get("command"), list):
        data["command"] = shlex.join(data["command"])
    if isinstance(data.get("image_pull_policy"), str):  # IF_NOT_PRESENT is IfNotPresent to workers
        data["image_pull_policy"] = "".join(word.capitalize() for word in data["image_pull_policy"].split("_"))
    if data.get("stream_output") is True:  # as it is anyway
        del data["stream_output"]
    return data


def _limit(raw: Raw) -> int | None:
    own = {} if _shared_limit(raw) else raw.get("global_concurrency_limit") or {}
    limit = raw.get("concurrency_limit")
    return own.get("limit") if limit is None else limit


def _shared_limit(raw: Raw) -> str | None:
    """The limit of a deployment, if it is one with a name of its own, which others may share."""
    name = (raw.get("global_concurrency_limit") or {}).get("name")
    return name if raw.get("concurrency_limit") is None and name and not name.startswith(OF_A_DEPLOYMENT) else None


def _options(raw: Raw) -> Any:
    given = raw.get("concurrency_options")
    return None if not given else _chosen(given, ConcurrencyOptions.__struct_fields__)


def _chosen(raw: Raw, names: Sequence[str]) -> dict[str, Any]:
    return {name: raw[name] for name in names if raw.get(name) is not None}
