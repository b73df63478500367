"""Use cases of events: taken from clients, and asked for together with those that runs' states stand for."""

import base64
import binascii
import logging
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
from msgspec import structs

from headgate.core import task_run_events
from headgate.core.event_counts import check_spans, end_of, first_start, span_of, spans
from headgate.errors import Forbidden
from headgate.ids import uuid7
from headgate.schema.events import (
    Countable,
    Event,
    EventCount,
    EventCountQuery,
    EventFilter,
    EventPage,
    EventQuery,
    OccurredFilter,
    ReceivedEvent,
    TimeUnit,
)
from headgate.services import task_runs
from headgate.services.scope import Scope
from headgate.services.task_runs import Report
from headgate.store import events as rows
from headgate.store.database import Command, Tx
from headgate.store.events import Group, Selected

TOPIC = UUID(int=0x6F1D_52A8_0C37_4B9E_0000)
"""The name under which new events are signalled."""

BACK = timedelta(days=180)
"""So far back a filter without times goes."""

_Kept = Sequence[tuple[UUID, ReceivedEvent]]
_LOG = logging.getLogger("headgate.events")


async def _insert(tx: Tx, batches: Sequence[_Kept]) -> list[None]:
    await rows.insert(tx, [each for batch in batches for each in batch])
    return [None] * len(batches)


INSERT: Command[_Kept, None] = Command("insert events", _insert)


async def receive(scope: Scope, events: Sequence[Event]) -> None:
    """Take events, and over what they tell of task runs; one that was taken before is passed over."""
    if not events:
        return
    now = scope.now
    kept = [(uuid7(now), ReceivedEvent(**structs.asdict(event), received=now)) for event in events]
    await task_runs.record(scope, [report for event in events if (report := _report(event))])
    await scope.store.submit(INSERT, kept)
    scope.wakeups.wake([TOPIC])


def _report(event: Event) -> Report | None:
    """What it tells of a task run; one that cannot be understood is an event like any other."""
    try:
        told = task_run_events.read(event)
    except (msgspec.ValidationError, ValueError) as error:
        _LOG.warning("event %s (%s) tells of no task run: %s", event.id, event.event, error)
        return None
    return Report(told.id, told.flow_run_id, told.state, told.run) if told else None


# --- asked for


async def first_page(scope: Scope, query: EventQuery, *, url: str) -> EventPage:
    """The first of those that match; `url` is where further pages are asked for."""
    wanted = within_times(scope, query.filter or EventFilter())
    total = await scope.store.read(lambda tx: rows.count(tx, selected(scope, wanted)))
    return await _page(scope, _Token(wanted, total, query.limit, 0), url)


async def next_page(scope: Scope, token: str, *, url: str) -> EventPage:
    """What follows a page; `Forbidden` for a token that is none of ours."""
    try:
        read = _TOKEN.decode(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, msgspec.DecodeError, ValueError):
        raise Forbidden("The page token cannot be read; ask for the first page again.") from None
    return await _page(scope, read, url)


class _Token(msgspec.Struct, array_like=True):
    """Where a page is: what was asked for, with its times, and how far it has been answered."""

    filter: EventFilter
    total: int
    limit: int
    offset: int


_TOKEN = msgspec.json.Decoder(_Token)


async def _page(scope: Scope, at: _Token, url: str) -> EventPage:
    wanted = selected(scope, at.filter)
    events = await scope.store.read(lambda tx: rows.list_page(tx, wanted, limit=at.limit, offset=at.offset))
    end = at.offset + at.limit
    if end >= at.total:
        return EventPage(events=events, total=at.total, next_page=None)
    token = base64.urlsafe_b64encode(msgspec.json.encode(structs.replace(at, offset=end))).decode()
    return EventPage(events=events, total=at.total, next_page=f"{url}?page-token={token}")


async def list_stored(scope: Scope, wanted: EventFilter, *, limit: int, offset: int = 0) -> list[ReceivedEvent]:
    """Those that match, by time."""
    return await scope.store.read(lambda tx: rows.list_page(tx, selected(scope, wanted), limit=limit, offset=offset))


def within_times(scope: Scope, wanted: EventFilter) -> EventFilter:
    """The filter with the times that it leaves out: the last months, up to now."""
    midnight = scope.now.replace(hour=0, minute=0, second=0, microsecond=0)
    since, until = wanted.occurred.since or midnight - BACK, wanted.occurred.until or scope.now
    return structs.replace(wanted, occurred=OccurredFilter(since=since, until=until))


def selected(scope: Scope, wanted: EventFilter) -> Selected:
    """Events that match and are not too old, whether they were sent or runs' states stand for them."""
    days = scope.settings.server_retention_events_days
    return Selected(wanted, scope.now - timedelta(days=days) if days else None)


async def count_by(scope: Scope, by: Countable, query: EventCountQuery) -> list[EventCount]:
    """How many match, by what they have in common."""
    wanted = within_times(scope, query.filter)
    since, until = wanted.occurred.since, wanted.occurred.until
    assert since is not None
    assert until is not None
    if by is Countable.DAY:
        query.time_unit, query.time_interval = TimeUnit.DAY, 1.0
    span = span_of(query.time_unit, query.time_interval)
    check_spans(since, until, span)
    start, times = first_start(since, span), spans(since, min(until, end_of(query.time_unit, scope.now)), span)
    found = await scope.store.read(lambda tx: rows.groups(tx, selected(scope, wanted), by, start=start, span=span))
    if by in (Countable.EVENT, Countable.RESOURCE):
        return _by_value(found)
    numbers = {int(group.value): group.count for group in found}
    return [
        EventCount(value=str(i), label=first.isoformat(), count=numbers.get(i, 0), start_time=first, end_time=last)
        for i, (first, last) in enumerate(times)
    ]


def _by_value(groups: Sequence[Group]) -> list[EventCount]:
    """The most frequent first; a thing that was renamed goes by its latest name."""
    counts: dict[str, EventCount] = {}
    for group in sorted(groups, key=lambda each: each.latest):
        known = counts.get(group.value)
        counts[group.value] = EventCount(
            value=group.value,
            label=group.label,
            count=group.count + (known.count if known else 0),
            start_time=min(group.earliest, known.start_time) if known else group.earliest,
            end_time=group.latest,
        )
    return sorted(counts.values(), key=lambda each: (-each.count, each.label))
