"""Pauses on the wire: what is said with one, and what is shown of one."""

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

Note = Annotated[str, Meta(max_length=500)]


class Pause(Struct, kw_only=True):
    """Since when a record is paused; why, and by whom, as far as that was said."""

    at: datetime
    reason: str | None = None
    by: str | None = None


class PauseNote(Struct, kw_only=True):
    """What a body that pauses a record may say about it. What is left out stays; all is forgotten with the resume."""

    pause_reason: Note | None | UnsetType = UNSET
    paused_by: Note | None | UnsetType = UNSET
