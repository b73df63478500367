"""Secrets on the wire: their values are written and never read back."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from headgate.schema.variables import ReferableName

SecretValue = Annotated[str, Meta(min_length=1)]


class Secret(Struct, kw_only=True):
    """That there is a secret: `{{ headgate.secrets.NAME }}` stands for its value."""

    id: UUID
    created: datetime
    updated: datetime
    name: str


class SecretCreate(Struct, kw_only=True):
    """Body that creates a secret."""

    name: ReferableName
    value: SecretValue


class SecretUpdate(Struct, kw_only=True):
    """Body that gives a secret another value."""

    value: SecretValue
