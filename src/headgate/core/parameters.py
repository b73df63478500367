"""Parameters of flow runs: a run's own over its deployment's, checked against the flow's parameter schema."""

from collections.abc import Mapping
from typing import Any

import msgspec

from headgate.core import json_schema
from headgate.errors import Invalid


def merge(defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with the overrides in their place, whole value by whole value."""
    return {**defaults, **overrides}


def check_size(parameters: Mapping[str, Any] | None, *, most: int) -> None:
    """Raise Invalid for more than so many bytes of JSON; 0 allows any."""
    if parameters and most and (size := len(msgspec.json.encode(parameters))) > most:
        advice = "keep large data elsewhere and pass a reference to it, or raise server_api_max_parameter_size"
        raise Invalid(f"The parameters have {size} bytes, over the limit of {most}; {advice}.", field="parameters", value={})


def check_parameters(schema: Mapping[str, Any] | None, parameters: Mapping[str, Any], *, partial: bool = False) -> None:
    """Raise Invalid with the first violation; no schema allows everything.

    `field` is `parameters.<path>`. Names that the schema does not know pass unless its `additionalProperties` forbids
    them. With `partial`, as for a deployment's defaults, missing ones pass too: a run may still bring them.
    """
    if not schema:
        return
    field = "parameter_openapi_schema"
    for violation in json_schema.list_violations(schema, dict(parameters), field=field, partial=partial):
        place = f" for field {violation.dotted!r}" if violation.path else ""
        raise Invalid(
            f"Validation failed{place}. Failure reason: {violation.reason}",
            field=".".join(filter(None, ("parameters", violation.dotted))),
            value=violation.value,
        )
