"""What is wrong with a base job template, all of it at once, and what is only strange."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast

from headgate.core import json_schema
from headgate.core.placeholders import (
    Path,
    Placed,
    holds_reference,
    list_broken,
    list_placeholders,
    read_reference,
)


@dataclass(frozen=True, slots=True)
class Finding(Placed):
    """Something about one place of a template. An error keeps it from being used, a warning does not."""

    reason: str
    value: Any = None
    is_error: bool = True


def lint(template: Mapping[str, Any]) -> list[Finding]:
    """All errors, then all warnings, each in the template's order. An empty template has none.

    Errors: a part that is missing or no object, a schema that is none, a placeholder without a variable, a reference
    that is none. Warnings: a variable that no placeholder uses, a default that its own schema refuses, a required
    variable without a default: each deployment has to set it.
    """
    if not template:
        return []
    if misshapen := list(_misshapen(template)):
        return misshapen
    flaws = list(_schema_flaws(template))
    odd_defaults = [] if flaws else _odd_defaults(template)
    return [
        *flaws,
        *_undefined(template),
        *_broken_references(template),
        *_unused(template),
        *odd_defaults,
        *_left_open(template),
    ]


def properties_of(template: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas of a template's variables, by name."""
    return cast(dict[str, Any], template.get("variables", {}).get("properties", {}))


def defaults_of(template: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a template's variables; a null is none."""
    root = template.get("variables", {})
    found = {name: json_schema.default_of(schema, root) for name, schema in properties_of(template).items()}
    return {name: value for name, value in found.items() if value is not None}


def advise(template: Mapping[str, Any], name: str) -> str:
    """What somebody who wrote an unknown variable may have meant."""
    names = sorted(properties_of(template))
    near = "".join(f"did you mean {match!r}? " for match in get_close_matches(name, names, n=1))
    return f"{near}its variables are {', '.join(names) or '(none)'}"


def _misshapen(template: Mapping[str, Any]) -> Iterator[Finding]:
    for part in ("job_configuration", "variables"):
        yield from _no_object((part,), template.get(part))
    if isinstance(variables := template.get("variables"), dict):
        yield from _no_object(("variables", "properties"), variables.get("properties", {}))
        if (kind := variables.get("type", "object")) != "object":
            yield Finding(("variables", "type"), f"must be 'object'; it is {kind!r}", kind)


def _no_object(path: Path, value: Any) -> Iterator[Finding]:
    if not isinstance(value, dict):
        yield Finding(path, f"must be an object; it is {'missing' if value is None else repr(value)}", value)


def _schema_flaws(template: Mapping[str, Any]) -> Iterator[Finding]:
    for flaw in json_schema.list_flaws(template["variables"]):
        yield Finding(("variables", *flaw.path), f"is not JSON Schema: {flaw.reason}", flaw.value)


def _undefined(template: Mapping[str, Any]) -> Iterator[Finding]:
    known = properties_of(template).keys()
    for path, name in list_placeholders(template["job_configuration"], ("job_configuration",)):
        if name.startswith("$") or read_reference(name) or {name, name.partition(".")[0]} & known:
            continue
        if name.startswith(("headgate.", "prefect.")):
            continue  # a broken reference, which has words of its own
        flaw = f"has the placeholder {{{{ {name} }}}}, but there is no such variable; {advise(template, name)}"
        yield Finding(path, flaw, name)


def _broken_references(template: Mapping[str, Any]) -> Iterator[Finding]:
    known = properties_of(template)
    for path, flaw in list_broken(template["job_configuration"], ("job_configuration",)):
        if not {"headgate", "prefect"} & known.keys():
            yield Finding(path, flaw)
    for name, default in defaults_of(template).items():
        place = ("variables", "properties", name, "default")
        yield from (Finding(path, flaw) for path, flaw in list_broken(default, place))


def _unused(template: Mapping[str, Any]) -> Iterator[Finding]:
    used = {name for _, name in list_placeholders(template["job_configuration"])}
    used |= {name.partition(".")[0] for name in used}
    for name in properties_of(template):
        if name not in used:
            flaw = f"no placeholder uses the variable {name!r}: setting it changes nothing"
            yield Finding(("variables", "properties", name), flaw, is_error=False)


def _odd_defaults(template: Mapping[str, Any]) -> Iterator[Finding]:
    schema = {**template["variables"], "required": []}
    for violation in json_schema.list_violations(schema, defaults_of(template), field="variables"):
        if violation.path and not holds_reference(violation.value):
            name, *rest = violation.path
            flaw = f"its own schema refuses this default: {violation.reason}"
            yield Finding(("variables", "properties", name, "default", *rest), flaw, violation.value, is_error=False)


def _left_open(template: Mapping[str, Any]) -> Iterator[Finding]:
    defaults, required = defaults_of(template), template["variables"].get("required", [])
    for index, name in enumerate(required if isinstance(required, list) else ()):
        if name not in defaults:
            flaw = f"{name!r} is required and has no default: every deployment has to set it"
            yield Finding(("variables", "required", index), flaw, name, is_error=False)
