"""Rules of blocks: what identifies a schema, what in a document is secret, which other documents it holds."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from headgate.errors import BadRequest

MASK = "********"
"""What stands for a secret that is not shown; sent back, it means that the secret stays."""

_REF = "$ref"
_DEFINITIONS = "#/definitions/"
_LISTED = "block_schema_references"


def checksum(fields: Mapping[str, Any]) -> str:
    """What existing clients call a schema by: a hash of its fields, but for which are secret and the blocks that they hold.

    Clients compute it over the JSON of the arguments of a call, hence the brackets, with Python's own separators.
    """
    hashed = _without_secret_fields(fields)
    if definitions := hashed.get("definitions"):
        hashed["definitions"] = plain_definitions(hashed, definitions)
        if not hashed["definitions"]:
            del hashed["definitions"]
    text = json.dumps([[hashed], {}], sort_keys=True)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _without_secret_fields(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: _without_secret_fields(inner) for key, inner in value.items() if key != "secret_fields"}


def plain_definitions(value: Any, definitions: Any) -> dict[str, Any]:
    """Those of `definitions` that `value` refers to, itself or through others, and that are no blocks."""
    found: dict[str, Any] = {}
    if not isinstance(definitions, Mapping):
        return found
    pending = [value]
    while pending:
        for name in _referred(pending.pop()):
            definition = definitions.get(name)
            if name not in found and definition and not _is_block(definition):
                found[name] = definition
                pending.append(definition)
    return found


def _is_block(definition: Any) -> bool:
    return isinstance(definition, Mapping) and definition.get("block_type_slug") is not None


def _referred(value: Any) -> Iterator[str]:
    """The names of definitions that `value` refers to, wherever in it."""
    pending = [value]
    while pending:
        match pending.pop(0):
            case Mapping() as inner:
                if isinstance(name := inner.get(_REF), str):
                    yield name.replace(_DEFINITIONS, "")
                pending = [*inner.values(), *pending]
            case list() as items:
                pending = [*items, *pending]


def listed_schemas(fields: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The schemas that a schema's fields hold: field, slug of the type, checksum."""
    listed = fields.get(_LISTED)
    for field, entries in listed.items() if isinstance(listed, Mapping) else ():
        for entry in entries if isinstance(entries, list) else [entries]:
            if isinstance(entry, Mapping):
                yield field, str(entry.get("block_type_slug")), str(entry.get("block_schema_checksum"))


def fields_of_listed(fields: Mapping[str, Any], field: str, slug: str) -> dict[str, Any] | None:
    """The fields of a schema that another one lists, as that one's definitions say; None when they do not."""
    definitions, properties = fields.get("definitions"), fields.get("properties")
    if not isinstance(definitions, Mapping) or not isinstance(properties, Mapping):
        return None
    candidates = [definitions[name] for name in _referred(properties.get(field)) if name in definitions]
    fitting = [each for each in candidates if isinstance(each, Mapping) and each.get("block_type_slug") == slug]
    chosen = fitting or [each for each in candidates[:1] if isinstance(each, Mapping) and len(candidates) == 1]
    return {**chosen[0], "definitions": dict(definitions)} if chosen else None


def with_listed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields with the list of the schemas that they hold, which may be empty."""
    return {**fields, _LISTED: fields.get(_LISTED) or {}}


def secret_paths(fields: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Where a schema's documents hold secrets: keys from the outside in; `*` stands for whatever lies below."""
    given = fields.get("secret_fields")
    return [tuple(path.split(".")) for path in given if isinstance(path, str)] if isinstance(given, list) else []


def masked(data: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """`data` of a document without what its schema calls secret."""
    shown = dict(data)
    for path in secret_paths(fields):
        shown = _masked_at(shown, path)
    return shown


def _masked_at(value: Any, path: tuple[str, ...]) -> Any:
    match path:
        case ():
            return value if value is None else MASK
        case ("*", *_):
            return _masked_leaves(value)
    if not isinstance(value, Mapping) or path[0] not in value:
        return value
    return {**value, path[0]: _masked_at(value[path[0]], path[1:])}


def _masked_leaves(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _masked_leaves(inner) for key, inner in value.items()}
    return MASK


def unmasked(update: Mapping[str, Any], current: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """`update` with the secrets of `current` where it holds what stands for them: it was read without, and sent back."""
    meant = dict(update)
    for path in secret_paths(fields):
        meant = _unmasked_at(meant, current, path)
    return meant


def _unmasked_at(value: Any, current: Any, path: tuple[str, ...]) -> Any:
    match path:
        case ():
            return current if value == MASK and current is not None else value
        case ("*", *_):
            return _unmasked_leaves(value, current)
    if not isinstance(value, Mapping) or path[0] not in value:
        return value
    return {**value, path[0]: _unmasked_at(value[path[0]], _item(current, path[0]), path[1:])}


def _unmasked_leaves(value: Any, current: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _unmasked_leaves(inner, _item(current, key)) for key, inner in value.items()}
    return current if value == MASK and current is not None else value


def _item(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def reference_of(value: Any) -> Any:
    """The id that a value gives which stands for a block document; None for any other value."""
    return _item(value[_REF], "block_document_id") if isinstance(value, Mapping) and _REF in value else None


def split(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a document holds itself, and the ids of the documents that it holds in other fields, as they were given.

    `BadRequest` for a field that is to hold another document and does not say which.
    """
    own: dict[str, Any] = {}
    held: dict[str, Any] = {}
    for field, value in data.items():
        if not isinstance(value, Mapping) or _REF not in value:
            own[field] = value
            continue
        id = _item(value[_REF], "block_document_id")
        if id is None:
            raise BadRequest(f"Received block reference without a block_document_id in key {field}")
        held[field] = id
    return own, held
