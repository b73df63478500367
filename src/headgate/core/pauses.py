"""What is kept of a pause: since when, why and by whom."""

from datetime import datetime

from msgspec import UNSET, UnsetType

from headgate.schema.pauses import Pause, PauseNote


def pause_after(before: Pause | None, note: PauseNote, *, was_paused: bool, is_paused: bool, now: datetime) -> Pause | None:
    """What is known of a record's pause once it has been changed.

    A new pause starts `now`. A note on a record that stays paused replaces what it names and leaves since when; a
    record that was paused before pauses were kept is taken to be paused since its first note. Resumed, all is forgotten.
    """
    if not is_paused:
        return None
    if not was_paused:
        before = None
    elif note.pause_reason is UNSET and note.paused_by is UNSET:
        return before
    old = before or Pause(at=now)
    return Pause(at=old.at, reason=_said(note.pause_reason, old.reason), by=_said(note.paused_by, old.by))


def _said(new: str | None | UnsetType, old: str | None) -> str | None:
    """An empty text says nothing."""
    return old if new is UNSET else new or None
