"""Parameters that say where their value comes from, as the forms of other servers' pages send them.

    {"__prefect_kind": "none", "value": 5}                            5
    {"__prefect_kind": "json", "value": "[1, 2]"}                     [1, 2]
    {"__prefect_kind": "workspace_variable", "variable_name": "x"}    the value of the variable `x`
    {"__prefect_kind": "jinja", "template": "as it is"}               a text; one with placeholders is refused

One without a value to read is left out, with its key or its place in a list. Any other kind stands for its `value`.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any

from headgate.errors import BadRequest

KIND = "__prefect_kind"


class _Nothing(Enum):
    NOTHING = 0


def holds_kinds(value: Any) -> bool:
    """Whether there is anything in `value`, however deep, to hydrate."""
    return any(KIND in each for each in _objects(value))


def list_variables(value: Any) -> Iterator[str]:
    """The names of the variables that may be asked for, however deep."""
    for each in _objects(value):
        if each.get(KIND) == "workspace_variable":
            yield from _names(each.get("variable_name"))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in `value`; without recursion, because it may be nested as deep as JSON is read."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as found:
                yield found
                waiting += [inner for inner in found.values() if isinstance(inner, dict | list)]
            case list() as found:
                waiting += [inner for inner in found if isinstance(inner, dict | list)]


def _names(name: Any) -> Iterator[str]:
    """The text that names a variable, also where it is wrapped in a kind of its own."""
    if isinstance(name, str):
        yield name
    elif isinstance(name, dict):
        with suppress(BadRequest):
            hydrated = _hydrate(name, {})
            if isinstance(hydrated, str):
                yield hydrated


def hydrate(parameters: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """`parameters` with every kind replaced; `BadRequest` for what cannot be read or is not there."""
    try:
        hydrated = _hydrate(dict(parameters), variables)
    except RecursionError:
        raise BadRequest("The parameters are nested too deeply.") from None
    return hydrated if isinstance(hydrated, dict) else {}


def _hydrate(value: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        if KIND in value:
            return _value_of(value, variables)
        found = {key: _hydrate(inner, variables) for key, inner in value.items()}
        return {key: inner for key, inner in found.items() if inner is not _Nothing.NOTHING}
    if isinstance(value, list):
        return [inner for each in value if (inner := _hydrate(each, variables)) is not _Nothing.NOTHING]
    return value


def _value_of(wrapped: dict[str, Any], variables: Mapping[str, Any]) -> Any:
    match wrapped:
        case {"__prefect_kind": "none", "value": value}:
            return _hydrate(value, variables)
        case {"__prefect_kind": "none"}:
            raise BadRequest(f"Missing 'value' key in {wrapped!r}.")
        case {"__prefect_kind": "json", "value": value}:
            return _from_json(_hydrate(value, variables) if isinstance(value, dict) else value)
        case {"__prefect_kind": "workspace_variable", "variable_name": name}:
            return _from_variable(_hydrate(name, variables), variables)
        case {"__prefect_kind": "json" | "workspace_variable"}:
            return _Nothing.NOTHING
        case {"__prefect_kind": "jinja", "template": template}:
            return _plain(_hydrate(template, variables))
        case {"__prefect_kind": "jinja"}:
            raise BadRequest(f"Missing 'template' key in {wrapped!r}.")
        case _:
            return wrapped.get("value")


def _from_json(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"Invalid JSON: {error}") from None


def _from_variable(name: Any, variables: Mapping[str, Any]) -> Any:
    if name is _Nothing.NOTHING:
        return name
    if not isinstance(name, str) or name not in variables:
        raise BadRequest(f"Variable {name!r} not found in workspace.")
    return variables[name]


def _plain(template: Any) -> Any:
    if isinstance(template, str) and any(mark in template for mark in ("{{", "{%", "{#")):
        raise BadRequest(f"Invalid jinja: this server renders no templates; give the value itself, not {template!r}.")
    return template
