"""JSON Schema: compiled validators, kept because compiling costs a hundred times a check, and violations for people."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NoReturn

import msgspec
from jsonschema_rs import (
    Draft7Validator,
    Draft202012Validator,
    ValidationError,
    ValidationErrorKind,
    Validator,
    validator_for,
)

from headgate.core.placeholders import Path, Placed
from headgate.errors import Invalid

MAX_SHOWN = 200
"""Characters of a value that a message shows."""


@dataclass(frozen=True, slots=True)
class Violation(Placed):
    """One place of a value that breaks its schema: the keyword broken, why, and what is there."""

    keyword: str
    reason: str
    value: Any


def list_flaws(schema: Mapping[str, Any]) -> list[Violation]:
    """Every place where `schema` is no JSON Schema or refers to what is not in it; none when values can be checked."""
    try:
        _compile(msgspec.json.encode(schema, order="deterministic"))
    except ValidationError as error:
        first = _translate(error)
    except ValueError as error:  # nested too deeply, for one
        return [Violation((), "type", f"cannot be read as a JSON Schema: {error}", None)]
    else:
        return []
    newest, oldest = _meta_validators()
    of_keywords = [] if oldest.is_valid(schema) else [_translate(error) for error in newest.iter_errors(schema)]
    found = {flaw.path: flaw for flaw in [*of_keywords, *_broken_references(schema)]}
    return sorted(found.values(), key=lambda flaw: len(flaw.path)) or [first]


def default_of(schema: Any, root: Mapping[str, Any]) -> Any:
    """The default that a property's schema gives, itself or where its `$ref` leads within `root`; None without one."""
    seen: set[str] = set()
    while isinstance(schema, Mapping):
        if "default" in schema:
            return schema["default"]
        alone = schema["allOf"][0] if isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1 else {}
        ref = schema.get("$ref") or (alone.get("$ref") if isinstance(alone, Mapping) else None)
        if not isinstance(ref, str) or ref in seen:
            return None
        seen.add(ref)
        schema = _target(ref, root)
    return None


def list_violations(schema: Mapping[str, Any], value: Any, *, field: str, partial: bool = False) -> list[Violation]:
    """Where `value` breaks `schema`, the outermost places first; raises Invalid for what is no schema.

    With `partial` nothing has to be there, however deep: others still bring what is missing.
    """
    validator = _find_validator(schema, field, partial=partial)
    try:
        found = [_translate(error) for error in validator.iter_errors(value)]
    except ValueError as error:
        found = [Violation((), "type", str(error), value)]
    return sorted(found, key=lambda violation: len(violation.path))


def _find_validator(schema: Mapping[str, Any], field: str, *, partial: bool) -> Validator:
    try:
        return _compile(msgspec.json.encode(schema, order="deterministic"), partial=partial)
    except ValidationError as error:
        flaw = _translate(error)
        place = f"at {flaw.pointer}: " * bool(flaw.path)
        raise Invalid(f"{field} is not a JSON Schema; {place}{flaw.reason}", field=field, value=flaw.value) from None
    except ValueError as error:  # nested too deeply, for one
        raise Invalid(f"{field} cannot be read as a JSON Schema: {error}", field=field) from None


@lru_cache(maxsize=512)
def _compile(canonical: bytes, *, partial: bool = False) -> Validator:
    """The validator of a schema; schemas of older tools, where `items` may be a list, are read as draft 7."""
    schema = msgspec.json.decode(canonical)
    if partial:
        _drop_required(schema)
    try:
        return validator_for(schema, validate_formats=False, retriever=_refuse)
    except ValidationError as error:
        try:
            return Draft7Validator(schema, validate_formats=False, retriever=_refuse)
        except ValidationError:
            raise error from None


def _drop_required(schema: Any) -> None:
    """Have a schema require no names; properties that are called `required` stay."""
    ahead = [schema]
    while ahead:
        match ahead.pop():
            case dict() as keywords:
                if isinstance(keywords.get("required"), list):
                    del keywords["required"]
                ahead += [value for key, value in keywords.items() if key not in _DATA]
            case list() as items:
                ahead += items


def _refuse(uri: str) -> NoReturn:
    """Schemas come from clients: what they refer to is never fetched."""
    raise ValueError(f"{uri} is outside of the schema; {_WITHIN}")


_WITHIN = "put it under $defs and refer to #/$defs/..."
_DATA = ("default", "const", "enum", "examples")
"""Keywords whose values are no schemas."""


@cache
def _meta_validators() -> tuple[Validator, Validator]:
    """What judges schemas: of the newest draft, and of the oldest that is read."""
    newest = Draft202012Validator({"$ref": "https://json-schema.org/draft/2020-12/schema"})
    return newest, Draft7Validator({"$ref": "http://json-schema.org/draft-07/schema#"})


def _broken_references(schema: Mapping[str, Any]) -> Iterator[Violation]:
    """Every `$ref` that leads out of the schema, or to nothing in it."""
    ahead: list[tuple[Path, Any]] = [((), schema)]
    while ahead:
        path, value = ahead.pop()
        match value:
            case dict():
                if isinstance(ref := value.get("$ref"), str) and (reason := _broken(ref, schema)):
                    yield Violation((*path, "$ref"), "$ref", reason, ref)
                ahead += [((*path, key), item) for key, item in reversed(value.items()) if key not in _DATA]
            case list():
                ahead += [((*path, index), item) for index, item in enumerate(value)]


def _broken(ref: str, schema: Mapping[str, Any]) -> str | None:
    if not ref.startswith("#"):
        return f"{ref!r} is outside of the schema; {_WITHIN}"
    is_lost = ref[1:2] == "/" and _target(ref, schema) is None
    return f"{ref!r} leads to nothing in the schema; {_WITHIN}" if is_lost else None


def _target(ref: str, root: Mapping[str, Any]) -> Any:
    """What a `$ref` within the schema leads to, or None."""
    found: Any = root
    for step in ref.removeprefix("#").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        match found:
            case Mapping():
                found = found.get(key)
            case list() if key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            case _:
                return None
    return found if ref.startswith("#") else None


def _translate(error: ValidationError) -> Violation:
    return Violation(tuple(error.instance_path), error.kind.name, _reason(error), error.instance)


def _reason(error: ValidationError) -> str:
    """The reason in the words of Python's own `jsonschema`, which existing clients show as they are."""
    match error.kind:
        case ValidationErrorKind.Type(types):
            return f"{_shorten(repr(error.instance))} is not of type {', '.join(map(repr, types))}"
        case ValidationErrorKind.Enum(options):
            return f"{_shorten(repr(error.instance))} is not one of {_shorten(repr(options))}"
        case ValidationErrorKind.Required(name):
            return f"{name!r} is a required property"
        case ValidationErrorKind.AnyOf(branches) | ValidationErrorKind.OneOfNotValid(branches):
            why = "; or ".join(dict.fromkeys(_reason(branch[0]) for branch in branches if branch))
            return f"{_shorten(repr(error.instance))} is not valid under any of the given schemas: {why}"
        case _:
            return _shorten(error.message)


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
