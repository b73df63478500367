"""What the world is told of flows, variables, blocks, limits, artifacts and automations: one was made, changed or deleted.

Each function takes the record as it is afterwards, or was before it was deleted, and what happened to it: `created`,
`updated` or `deleted`. What is told of a record are the payload's fields, and names of both are the wire's.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from headgate.core.resource_events import Happening, resource_id, subject_of
from headgate.schema.artifacts import ArtifactCollection
from headgate.schema.automations import Automation
from headgate.schema.block_documents import BlockDocument
from headgate.schema.block_types import BlockType
from headgate.schema.concurrency_limits import GlobalConcurrencyLimit
from headgate.schema.events import NAME, RESOURCE, ROLE
from headgate.schema.flows import Flow
from headgate.schema.variables import Variable

CREATED, UPDATED, DELETED = "created", "updated", "deleted"

_OF_BLOCK_TYPES = ("name", "slug", "logo_url", "documentation_url", "description", "code_example", "is_protected")


def of_flow(flow: Flow, what: str) -> Happening:
    """A flow, and what was done to it."""
    return subject_of("flow", flow.id, flow.name).was(what, _fields(flow, ("name", "tags", "labels")))


def of_variable(variable: Variable, what: str) -> Happening:
    """A variable, with its value."""
    return subject_of("variable", variable.id, variable.name).was(what, _fields(variable, ("name", "value", "tags")))


def of_block_type(kind: BlockType, what: str) -> Happening:
    """A type of blocks."""
    return subject_of("block-type", kind.id, kind.name).was(what, _fields(kind, _OF_BLOCK_TYPES))


def of_block_document(document: BlockDocument, what: str) -> list[Happening]:
    """A named block, with those of its texts that are no secret; nothing is told of one without a name."""
    if document.is_anonymous:
        return []
    schema = document.block_schema
    secrets = {str(path).partition(".")[0] for path in schema.fields.get("secret_fields") or []}
    data = {key: value for key, value in document.data.items() if isinstance(value, str) and key not in secrets}
    kind = {"id": str(document.block_type_id), "name": document.block_type_name}
    related = [
        {RESOURCE: resource_id("block-type", document.block_type_id), ROLE: "block-type", NAME: document.block_type_name},
        {RESOURCE: resource_id("block-schema", document.block_schema_id), ROLE: "block-schema"},
    ]
    payload = {
        "name": document.name,
        "data": data,
        "block_schema": {"capabilities": schema.capabilities, "block_type": kind},
    }
    return [subject_of("block-document", document.id, document.name, related).was(what, payload)]


def of_limit(limit: GlobalConcurrencyLimit, what: str) -> Happening:
    """A limit under a name; a tag's is called `tag:` and the tag."""
    told = _fields(limit, ("name", "limit", "active", "slot_decay_per_second"))
    return subject_of("concurrency-limit", limit.id, limit.name).was(what, told)


def of_latest_artifact(before: ArtifactCollection | None, after: ArtifactCollection | None) -> list[Happening]:
    """The latest artifact of a key: there is one for the first time, another one, or none any more."""
    latest = after or before
    if latest is None:
        return []
    what = CREATED if before is None else DELETED if after is None else UPDATED
    related = [{RESOURCE: resource_id("artifact", latest.latest_id), ROLE: "latest"}]
    if latest.flow_run_id:
        related.append({RESOURCE: resource_id("flow-run", latest.flow_run_id), ROLE: "flow-run"})
    if latest.task_run_id:
        related.append({RESOURCE: resource_id("task-run", latest.task_run_id), ROLE: "task-run"})
    told = _fields(latest, ("key", "type", "data", "description"))
    return [subject_of("artifact-collection", latest.id, latest.key, related).was(what, told)]


def of_automation(automation: Automation, what: str) -> Happening:
    """An automation, with all that it is made of."""
    return subject_of("automation", automation.id, automation.name).was(what, msgspec.to_builtins(automation))


def _fields(record: Any, names: Iterable[str]) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins({name: getattr(record, name) for name in names})
    return told
