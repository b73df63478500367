"""Variables on the wire: values that templates and job variables refer to by name."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

NAME_PATTERN = r"^[a-z0-9_-]+$"

ReferableName = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=NAME_PATTERN, description="lowercase letters, digits, - and _")
]
"""What variables and secrets are called."""

NameToCheck = Annotated[
    str,
    Meta(description="lowercase letters, digits, - and _", extra_json_schema={"pattern": NAME_PATTERN, "maxLength": 255}),
]
"""The same of a variable, for whom it is checked in the words that existing clients know."""


class Variable(Struct, kw_only=True):
    """A value under a name: `{{ headgate.variables.NAME }}` stands for it."""

    id: UUID
    created: datetime
    updated: datetime
    name: str
    value: Any
    tags: list[str] = field(default_factory=list)


class VariableCreate(Struct, kw_only=True):
    """Body that creates a variable."""

    name: NameToCheck
    value: Any
    tags: list[str] = field(default_factory=list)


class VariableUpdate(Struct, kw_only=True):
    """Body that changes a variable; what is left out stays. A null is a value, and no list of tags."""

    name: NameToCheck | None | UnsetType = UNSET
    value: Any | UnsetType = UNSET
    tags: list[str] | None | UnsetType = UNSET
