"""Concurrency keys: what a deployment's expression makes of a run's parameters, and whose runs share a key.

An expression is text with placeholders of parameters, `{{ parameters.customer }}`, or of what is inside one,
`{{ parameters.order.id }}`. Runs of one deployment for which it gives the same text share its limit.
"""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

from headgate.core.placeholders import PLACEHOLDER
from headgate.errors import Invalid

_PREFIX = "parameters."
_EXAMPLE = "write it as {{ parameters.NAME }}"


def check_expression(expression: str, schema: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> None:
    """Raise Invalid for an expression that names what no run of the deployment has.

    A parameter has to be known by the parameter schema, or among the deployment's own parameters. Without a schema, and
    with one that allows any further parameter, every name may be meant.
    """
    if not expression.strip():
        raise _invalid("A concurrency key cannot be empty; leave it out where there is none.", expression)
    rest = PLACEHOLDER.sub("", expression)
    if "{{" in rest or "}}" in rest:
        raise _invalid(f"Concurrency key {expression!r} has a brace too many or too few: {_EXAMPLE}.", expression)
    for name in PLACEHOLDER.findall(expression):
        if not name.startswith(_PREFIX) or not all(name.split(".")):
            raise _invalid(f"{{{{ {name} }}}} is no parameter of a run: {_EXAMPLE}.", expression)
        _check_known(name.split(".")[1], expression, schema, parameters)


def resolve(expression: str, parameters: Mapping[str, Any], schema: Mapping[str, Any] | None = None) -> str:
    """The key of a run with these parameters. Texts stand as they are, everything else as JSON.

    What a run leaves out has the schema's default; what is nowhere counts as null, so that the runs without it share a
    key.
    """
    return PLACEHOLDER.sub(lambda found: _text(_value(found[1].split(".")[1:], parameters, schema)), expression)


def key_id(deployment_id: UUID, key: str) -> UUID:
    """One short name for a key of a deployment, however long the key is."""
    return uuid5(deployment_id, key)


def _check_known(name: str, expression: str, schema: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> None:
    properties = (schema or {}).get("properties")
    if not isinstance(properties, dict) or name in properties or name in parameters:
        return
    if schema and schema.get("additionalProperties"):
        return
    known = f"it has {', '.join(properties)}" if properties else "it has none"
    raise _invalid(
        f"Concurrency key {expression!r} names parameter {name!r}, which the flow does not have: {known}.", expression
    )


def _invalid(message: str, expression: str) -> Invalid:
    return Invalid(message, field="concurrency_key.expression", value=expression)


def _value(path: list[str], parameters: Mapping[str, Any], schema: Mapping[str, Any] | None) -> Any:
    name, *inside = path
    value = parameters[name] if name in parameters else _default(name, schema)
    for key in inside:
        value = value.get(key) if isinstance(value, dict) else _item(value, key)
    return value


def _default(name: str, schema: Mapping[str, Any] | None) -> Any:
    properties = (schema or {}).get("properties")
    described = properties.get(name) if isinstance(properties, dict) else None
    return described.get("default") if isinstance(described, dict) else None


def _item(value: Any, key: str) -> Any:
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
