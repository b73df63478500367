"""What the references of a run stand for on a server of Prefect's, which leaves it to workers to look them up."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from msgspec import Struct

from headgate.client.call import Call
from headgate.client.calls import block_types, variables
from headgate.client.client import AsyncClient
from headgate.core.placeholders import Kind, Reference
from headgate.core.templates import list_references
from headgate.errors import HeadgateError
from headgate.schema.claims import Grant


class _Held(Struct):
    """What of a block document is of interest."""

    data: dict[str, Any]


async def attach(client: AsyncClient, template: Mapping[str, Any], grant: Grant) -> None:
    """Give a grant what its template and job variables refer to, and say in it what could not be had."""
    for reference in {use.reference for use in list_references(template, *grant.layers)}:
        try:
            grant.references[reference.key] = await _fetch(client, reference)
        except HeadgateError as error:
            grant.unresolved[reference.key] = str(error)


async def _fetch(client: AsyncClient, reference: Reference) -> Any:
    if reference.kind is Kind.VARIABLE:
        return (await client.send(variables.get_by_name(reference.name))).value
    call: Call[Any] = block_types.document("secret", reference.name, include_secrets=True)
    held: _Held = await client.send(replace(call, returns=_Held))
    return held.data.get("value")
