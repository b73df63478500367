"""Parameters that name where their value comes from, replaced by what stands there."""

from typing import Any

from headgate.core import hydration
from headgate.errors import BadRequest
from headgate.store import variables as rows
from headgate.store.database import Tx


async def hydrated(tx: Tx, parameters: dict[str, Any], *, of: str) -> dict[str, Any]:
    """`parameters` as a flow gets them, see `core.hydration`; variables are read only where some are named.

    `BadRequest`, which says what they are, such as "flow run parameters", when a value cannot be had.
    """
    if not hydration.holds_kinds(parameters):
        return parameters
    names = set(hydration.list_variables(parameters))
    try:
        return hydration.hydrate(parameters, await rows.values_of(tx, names) if names else {})
    except BadRequest as error:
        raise BadRequest(f"Error hydrating {of}: {error}") from None
