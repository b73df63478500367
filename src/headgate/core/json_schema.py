"""JSON Schema: compiled validators, kept because compiling costs a hundred times a check, and violations for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import msgspec
from jsonschema_rs import Draft7Validator, ValidationError, ValidationErrorKind, Validator, validator_for

from headgate.errors import Invalid

MAX_SHOWN = 200
"""Characters of a value that a message shows."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One place of a value that breaks its schema: the keys that lead there, the keyword broken, why, and what is there."""

    path: tuple[str | int, ...]
    keyword: str
    reason: str
    value: Any

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer (RFC 6901), such as `/env/A`; empty for the whole value."""
        return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in self.path)

    @property
    def dotted(self) -> str:
        """The place as people write it, such as `env.A` or `hosts[0]`; empty for the whole value."""
        return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.path).removeprefix(".")


def check(schema: Mapping[str, Any], *, field: str) -> None:
    """Raise Invalid, naming `field`, for what is not a JSON Schema or refers to anything outside of itself."""
    _find_validator(schema, field)


def list_violations(schema: Mapping[str, Any], value: Any, *, field: str) -> list[Violation]:
    """Where `value` breaks `schema`, the outermost places first; raises Invalid as `check` does for the schema itself."""
    validator = _find_validator(schema, field)
    try:
        found = [_translate(error) for error in validator.iter_errors(value)]
    except ValueError as error:
        found = [Violation((), "type", str(error), value)]
    return sorted(found, key=lambda violation: len(violation.path))


def _find_validator(schema: Mapping[str, Any], field: str) -> Validator:
    try:
        return _compile(msgspec.json.encode(schema, order="deterministic"))
    except ValidationError as error:
        flaw = _translate(error)
        place = f"at {flaw.pointer}: " * bool(flaw.path)
        raise Invalid(f"{field} is not a JSON Schema; {place}{flaw.reason}", field=field, value=flaw.value) from None
    except ValueError as error:  # nested too deeply, for one
        raise Invalid(f"{field} cannot be read as a JSON Schema: {error}", field=field) from None


@lru_cache(maxsize=512)
def _compile(canonical: bytes) -> Validator:
    """The validator of a schema; schemas of older tools, where `items` may be a list, are read as draft 7."""
    schema = msgspec.json.decode(canonical)
    try:
        return validator_for(schema, validate_formats=False, retriever=_refuse)
    except ValidationError as error:
        try:
            return Draft7Validator(schema, validate_formats=False, retriever=_refuse)
        except ValidationError:
            raise error from None


def _refuse(uri: str) -> NoReturn:
    """Schemas come from clients: what they refer to is never fetched."""
    raise ValueError(f"{uri} is outside of the schema; put it under $defs and refer to #/$defs/...")


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
            return "; or ".join(dict.fromkeys(_reason(branch[0]) for branch in branches if branch))
        case _:
            return _shorten(error.message)


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"
