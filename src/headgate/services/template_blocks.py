"""Block documents that a work pool's template names as defaults of its variables."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from headgate.core import blocks, json_schema
from headgate.core.template_lint import properties_of
from headgate.errors import NotFound, Unprocessable
from headgate.services.block_trees import assemble
from headgate.services.scope import Scope
from headgate.store import block_documents as rows
from headgate.store.block_documents import Kept
from headgate.store.database import Tx


async def check(scope: Scope, tx: Tx, template: Mapping[str, Any]) -> None:
    """`NotFound` for a default that names no document, `Unprocessable` for one whose document its variable does not take.

    Secrets of a document are as good as any other text, and show nowhere.
    """
    if not template:
        return
    for name, schema in properties_of(template).items():
        id = blocks.reference_of(schema.get("default")) if isinstance(schema, Mapping) else None
        if id is None:
            continue
        document = await _document(tx, id)
        if document is None:
            raise NotFound("Block not found.")
        [whole] = await assemble(scope, tx, [document], include_secrets=False)
        root = {**template.get("variables", {}), "properties": {name: schema}, "required": []}
        for violation in json_schema.list_violations(root, {name: whole.data}, field="base_job_template.variables"):
            place = ".".join(map(str, violation.path))
            words = f"Validation failed for field {place!r}. Failure reason: {violation.reason}"
            raise Unprocessable(f"Validation failed for work pool's job variable defaults: {words}")


async def _document(tx: Tx, id: Any) -> Kept | None:
    try:
        return await rows.get(tx, UUID(id))
    except (ValueError, TypeError, AttributeError):
        return None
