"""The wire shape of a schedule: an interval, a cron expression or a recurrence rule, each in an IANA zone."""

from datetime import datetime

from msgspec import UNSET, Struct, UnsetType

from headgate.schema.times import make_aware

KINDS = ("interval", "cron", "rrule")


class Schedule(Struct, kw_only=True, forbid_unknown_fields=True):
    """One of three kinds; the fields of the other two stay unset and are left out on the wire.

    - interval: `interval` in seconds (> 0), `anchor_date`, `timezone`;
    - cron: `cron` (five fields, seconds and years may follow), `day_or`, `timezone`;
    - rrule: `rrule` (RFC 5545, may hold DTSTART, EXDATE, COUNT, UNTIL), `timezone`.

    Existing clients refuse a schedule with any other key, so nothing may be added here.
    """

    interval: float | UnsetType = UNSET
    anchor_date: datetime | None | UnsetType = UNSET
    cron: str | UnsetType = UNSET
    day_or: bool | UnsetType = UNSET
    rrule: str | UnsetType = UNSET
    timezone: str | None = None

    def __post_init__(self) -> None:
        make_aware(self, "anchor_date")
        given = [kind for kind in KINDS if getattr(self, kind) is not UNSET]
        if len(given) != 1:
            raise ValueError(f"a schedule needs exactly one of interval, cron, rrule; got {' and '.join(given) or 'none'}")

    @property
    def kind(self) -> str:
        """`interval`, `cron` or `rrule`."""
        return next(kind for kind in KINDS if getattr(self, kind) is not UNSET)
