"""The block types that every server can offer by itself; clients bring theirs when they save a block."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SystemBlock:
    """A block type, with the fields of its documents as a JSON Schema."""

    name: str
    slug: str
    description: str
    fields: Mapping[str, Any]
    capabilities: tuple[str, ...] = ()


def _fields(
    title: str, slug: str, properties: Mapping[str, Any], *, required: tuple[str, ...] = (), secret: tuple[str, ...] = ()
) -> Mapping[str, Any]:
    return {
        "title": title,
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "secret_fields": list(secret),
        "block_type_slug": slug,
        "block_schema_references": {},
    }


_SECRET = {
    "title": "Value",
    "type": "string",
    "format": "password",
    "writeOnly": True,
    "description": "What is kept secret.",
}
_BASE_PATH = {
    "title": "Basepath",
    "type": "string",
    "description": "Directory that paths are below; unset, the home directory.",
}
_METHOD = {
    "title": "Method",
    "type": "string",
    "enum": ["GET", "POST", "PUT", "PATCH", "DELETE"],
    "default": "POST",
    "description": "Verb of the request.",
}
_URL = {
    "title": "Webhook URL",
    "type": "string",
    "format": "password",
    "writeOnly": True,
    "description": "Where the request goes.",
}
_HEADERS = {"title": "Webhook Headers", "type": "object", "description": "Headers of the request."}

SYSTEM_BLOCKS = (
    SystemBlock(
        "Secret",
        "secret",
        "Keeps a value that is shown only to those who ask for it.",
        _fields("Secret", "secret", {"value": _SECRET}, required=("value",), secret=("value",)),
    ),
    SystemBlock(
        "Local File System",
        "local-file-system",
        "Keeps files in a directory of the machine.",
        _fields("LocalFileSystem", "local-file-system", {"basepath": _BASE_PATH}),
        ("get-directory", "put-directory", "read-path", "write-path"),
    ),
    SystemBlock(
        "Webhook",
        "webhook",
        "Calls a URL.",
        _fields(
            "Webhook",
            "webhook",
            {"method": _METHOD, "url": _URL, "headers": _HEADERS},
            required=("url",),
            secret=("url", "headers.*"),
        ),
    ),
)
