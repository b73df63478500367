"""Values as people type them: KEY=VALUE pairs and JSON."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from headgate.cli.hints import hint
from headgate.cli.output import UsageError
from headgate.schema.variables import ReferableName


def pairs(items: Iterable[str] | None, *, option: str) -> dict[str, str]:
    """`["a=1"]` as `{"a": "1"}`."""
    found = {}
    for item in items or ():
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise UsageError(f"{option} {item!r} is not KEY=VALUE.")
        found[key] = value
    return found


def referable(name: str, noun: str) -> None:
    """Refuse a name that no reference could hold."""
    try:
        msgspec.convert(name, ReferableName)
    except msgspec.ValidationError:
        raise UsageError(f"{name!r} is no name of a {noun}: it is made of lowercase letters, digits, - and _.") from None


def json_or_text(text: str) -> Any:
    """The value that `text` is in JSON, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def parameters_of(
    items: Iterable[str] | None, whole: str | None, *, schema: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Parameters from `--param` and `--params`, the former winning. A parameter that `schema` says is text stays text."""
    given = pairs(items, option="--param")
    properties = (schema or {}).get("properties", {})
    return _object(whole) | {
        key: text if _is_text(properties.get(key)) else json_or_text(text) for key, text in given.items()
    }


def unknown_parameters(names: Iterable[str], schema: Mapping[str, Any] | None) -> list[str]:
    """One sentence for each name that the flow does not take; none when nothing is known about what it takes."""
    if not schema or "properties" not in schema or schema.get("additionalProperties"):
        return []
    known = list(schema["properties"])
    return [f"The flow has no parameter {name!r}{hint(name, known)}" for name in names if name not in known]


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        return msgspec.json.decode(sys.stdin.read() if text == "-" else text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise UsageError(f"--params is not a JSON object: {error}.") from None


def _is_text(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "string"
