"""Base job templates: `job_configuration` with `{{ placeholders }}`, and the `variables` (JSON Schema) that fill them.

    {"job_configuration": {"image": "{{ image }}", "args": ["--level={{ level }}"]},
     "variables": {"type": "object", "properties": {"image": {"type": "string"}, "level": {"default": 1}}}}

Null means unset: as a variable's default, and as the value that a deployment or run puts in the place of a default.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType

from headgate.core import json_schema
from headgate.errors import Invalid

_PLACEHOLDER = re.compile(r"\{\{\s*(\$?[\w.-]+)\s*\}\}")


def render(
    template: Mapping[str, Any], values: Mapping[str, Any], *, environ: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """The job configuration with every placeholder replaced; it shares nothing with what was given.

    A variable's value is the one in `values`, which replaces its default as a whole, dicts included. `{{ a.b }}` is the
    key `b` of the dict `a`, `{{ $NAME }}` a variable of `environ`. A placeholder that is all of a text becomes its value
    with its type; unset, it is left out, with its key or its place in a list. One within a longer text becomes text
    (other types as JSON); unset, nothing. What values hold is data: placeholders in it stay as they are.
    """
    known = _merge(template, values)
    rendered = _render(template.get("job_configuration", {}), lambda name: _find(name, known, environ))
    return cast(dict[str, Any], rendered)


def check(template: Mapping[str, Any]) -> None:
    """Raise Invalid, with the path of the field at fault, for a template that could not be rendered.

    Fine is an empty one, or `job_configuration` and `variables`, both objects, with a variable for every placeholder.
    """
    if not template:
        return
    for part in ("job_configuration", "variables"):
        _check_object(part, template.get(part))
    variables = template["variables"]
    _check_object("variables.properties", variables.get("properties", {}))
    if variables.get("type", "object") != "object":
        raise _refusal("variables.type", f"must be 'object'; it is {variables['type']!r}", variables["type"])
    json_schema.check(variables, field="base_job_template.variables")
    for path, name in _list_placeholders(template["job_configuration"], "job_configuration"):
        if not name.startswith("$") and not {name, name.partition(".")[0]} & _properties(template).keys():
            flaw = f"has the placeholder {{{{ {name} }}}}, but there is no such variable; {_advise(template, name)}"
            raise _refusal(path, flaw, name)


def validate_variables(template: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raise Invalid, naming the variable, for values that the template does not know or that its schema refuses.

    Required ones must be there once defaults are filled in. Defaults themselves are not judged: they are the pool's, and
    whoever sends values cannot mend them. An empty template takes anything.
    """
    if not template:
        return
    schema = template.get("variables", {})
    for name in values.keys() - _properties(template).keys() if not schema.get("additionalProperties") else ():
        flaw = f"job variable {name!r} is unknown to this work pool; {_advise(template, name)}"
        raise Invalid(flaw, field=f"job_variables.{name}", value=values[name])
    for violation in json_schema.list_violations(schema, _merge(template, values), field="base_job_template.variables"):
        if not violation.path:
            flaw = f"job variables: {violation.reason}; set it in job_variables or as a default of the work pool"
            raise Invalid(flaw, field="job_variables", value=dict(values))
        if violation.path[0] in values:
            flaw = f"job variable {violation.pointer}: {violation.reason}"
            raise Invalid(flaw, field=f"job_variables.{violation.dotted}", value=violation.value)


def _properties(template: Mapping[str, Any]) -> dict[str, Any]:
    return cast(dict[str, Any], template.get("variables", {}).get("properties", {}))


def _merge(template: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with the values in their place, less what is null."""
    schemas = _properties(template).items()
    defaults = {name: schema.get("default") for name, schema in schemas if isinstance(schema, Mapping)}
    return {name: value for name, value in {**defaults, **values}.items() if value is not None}


def _render(value: Any, find: Callable[[str], Any]) -> Any:
    """The value with its placeholders replaced, UNSET if it is to be left out."""
    match value:
        case str():
            if whole := _PLACEHOLDER.fullmatch(value.strip()):
                return deepcopy(find(whole[1]))
            return _PLACEHOLDER.sub(lambda placeholder: _to_text(find(placeholder[1])), value)
        case dict():
            pairs = ((key, _render(item, find)) for key, item in value.items())
            return {key: item for key, item in pairs if item is not UNSET}
        case list():
            return [item for item in (_render(item, find) for item in value) if item is not UNSET]
        case _:
            return value


def _find(name: str, known: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    if name.startswith("$"):
        return environ.get(name[1:], UNSET)
    if name in known:
        return known[name]
    found: Any = known
    for key in name.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return UNSET if found is None else found


def _to_text(value: Any) -> str:
    match value:
        case str():
            return value
        case UnsetType():
            return ""
        case _:
            return msgspec.json.encode(value).decode()


def _list_placeholders(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, name) of every placeholder."""
    match value:
        case str():
            yield from ((path, name) for name in _PLACEHOLDER.findall(value))
        case dict():
            for key, item in value.items():
                yield from _list_placeholders(item, f"{path}.{key}")
        case list():
            for index, item in enumerate(value):
                yield from _list_placeholders(item, f"{path}[{index}]")


def _check_object(path: str, value: Any) -> None:
    if not isinstance(value, dict):
        raise _refusal(path, f"must be an object; it is {'missing' if value is None else repr(value)}", value)


def _refusal(path: str, flaw: str, value: Any) -> Invalid:
    return Invalid(f"base job template: {path} {flaw}", field=f"base_job_template.{path}", value=value)


def _advise(template: Mapping[str, Any], name: str) -> str:
    names = sorted(_properties(template))
    near = "".join(f"did you mean {match!r}? " for match in get_close_matches(name, names, n=1))
    return f"{near}its variables are {', '.join(names) or '(none)'}"
