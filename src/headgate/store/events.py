"""Rows of events, and the events that runs' states stand for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from headgate.core.run_events import Entered, state_event
from headgate.ids import first_at, made_at
from headgate.schema.events import RESOURCE, Countable, EventFilter, ReceivedEvent
from headgate.schema.states import StateType
from headgate.store.database import Row, Tx
from headgate.store.event_conditions import event_condition, reaches_runs, runs_meant
from headgate.store.event_sources import Source, derived, sent
from headgate.store.filters import Params
from headgate.store.statements import load_statements
from headgate.store.times import as_time, to_micros

_SQL = load_statements("events")


async def insert(tx: Tx, events: Sequence[tuple[UUID, ReceivedEvent]]) -> None:
    """Keep events, each under an id of ours; those that are known already are passed over."""
    known = {row["event_id"] for row in await tx.fetch(_SQL["known"], {"ids": [event.id for _, event in events]})}
    rows = []
    for id, event in events:
        if event.id not in known:
            known.add(event.id)
            rows.append(_values(id, event))
    if rows:
        await tx.execute_many(_SQL["insert"], rows)


def _values(id: UUID, event: ReceivedEvent) -> dict[str, Any]:
    return {
        "id": id,
        "event_id": event.id,
        "occurred": event.occurred,
        "event": event.event,
        "resource_id": event.resource[RESOURCE],
        "resource": event.resource,
        "related": event.related,
        "payload": event.payload,
        "follows": event.follows,
    }


# --- what matches a filter


@dataclass(frozen=True, slots=True)
class Selected:
    """Which events are meant: those that match, without what runs did before `runs_since`."""

    filter: EventFilter
    runs_since: datetime | None = None


def _union(tx: Tx, selected: Selected, p: Params) -> str:
    """All that match, as a query."""
    f, sources = selected.filter, [sent()]
    parts = [sources[0].select(event_condition(f, sources[0], p, tx.dialect))]
    if reaches_runs(f):
        parts.append(_of_runs(tx, selected, derived(tx.dialect), p))
    union = " UNION ALL ".join(parts)
    if f.resource is None or not f.resource.distinct:
        return union
    rank = f"ROW_NUMBER() OVER (PARTITION BY u.resource_id ORDER BY u.occurred {f.order}, u.id {f.order}) AS rank_"
    return f"SELECT * FROM (SELECT u.*, {rank} FROM ({union}) u) w WHERE w.rank_ = 1"


def _of_runs(tx: Tx, selected: Selected, source: Source, p: Params) -> str:
    f = selected.filter
    condition = event_condition(f, source, p, tx.dialect)
    since = max((time for time in (f.occurred.since, selected.runs_since) if time), default=None)
    if since is not None:  # by the id, too, which is never older than the time and is what is indexed
        condition += f" AND s.timestamp >= {p.one(since, 'timestamptz')} AND s.id >= {p.one(first_at(since), 'uuid')}"
    if (runs := runs_meant(f)) is not None:
        condition += f" AND s.flow_run_id IN {p.many([*runs], 'uuid')}"
    return source.select(condition)


async def list_page(tx: Tx, selected: Selected, *, limit: int, offset: int = 0) -> list[ReceivedEvent]:
    """Those that match, by time."""
    p, order = Params(tx.dialect), selected.filter.order
    union = _union(tx, selected, p)
    window = f"LIMIT {p.one(limit, 'bigint')} OFFSET {p.one(offset, 'bigint')}"
    sql = f"SELECT * FROM ({union}) z ORDER BY z.occurred {order}, z.id {order} {window}"
    return await _events(tx, await tx.fetch(sql, p.values))


async def count(tx: Tx, selected: Selected) -> int:
    """How many match."""
    p = Params(tx.dialect)
    found: int = await tx.fetch_value(f"SELECT count(*) FROM ({_union(tx, selected, p)}) z", p.values)
    return found


@dataclass(frozen=True, slots=True)
class Group:
    """Events that have a value in common, the earliest and the latest of them."""

    value: str
    label: str
    count: int
    earliest: datetime
    latest: datetime


async def groups(tx: Tx, selected: Selected, by: Countable, *, start: datetime, span: timedelta) -> list[Group]:
    """Those that match, by what they have in common; by time, the number of the `span` from `start` on."""
    p = Params(tx.dialect)
    union = _union(tx, selected, p)
    value, label = _grouping(tx, by, p, start, span)
    sql = f"""SELECT {value} AS value, {label} AS label, count(*) AS count, min(z.occurred) AS earliest,
        max(z.occurred) AS latest FROM ({union}) z GROUP BY 1, 2"""
    return [
        Group(str(row["value"]), str(row["label"]), row["count"], _time(row["earliest"]), _time(row["latest"]))
        for row in await tx.fetch(sql, p.values)
    ]


def _grouping(tx: Tx, by: Countable, p: Params, start: datetime, span: timedelta) -> tuple[str, str]:
    match by:
        case Countable.EVENT:
            return "z.event", "z.event"
        case Countable.RESOURCE if tx.dialect == "sqlite":
            named = "json_extract(z.resource, '$.\"prefect.resource.name\"'), json_extract(z.resource, '$.\"prefect.name\"')"
            return "z.resource_id", f"COALESCE({named}, z.resource_id)"
        case Countable.RESOURCE:
            labels = "CAST(z.resource AS jsonb)"
            named = f"{labels} ->> 'prefect.resource.name', {labels} ->> 'prefect.name'"
            return "z.resource_id", f"COALESCE({named}, z.resource_id)"
    if tx.dialect == "sqlite":
        micros = span // timedelta(microseconds=1)
        return f"(z.occurred - {p.one(to_micros(start))}) / {p.one(micros)}", "''"
    since = f"EXTRACT(epoch FROM (z.occurred - {p.one(start, 'timestamptz')}))"
    return f"CAST(floor({since} / {span.total_seconds()!r}) AS bigint)", "''"


# --- what is new


async def new_ids(tx: Tx, since: UUID) -> tuple[list[UUID], list[UUID]]:
    """Ids from one on: of states that runs entered, and of events that were received."""
    entered, kept = [await tx.fetch(_SQL[name], {"since": since}) for name in ("entered_since", "kept_since")]
    return [row["id"] for row in entered], [row["id"] for row in kept]


async def list_new(tx: Tx, entered: Iterable[UUID], kept: Iterable[UUID]) -> list[ReceivedEvent]:
    """The events of these states and of these rows, in the order of their ids."""
    p = Params(tx.dialect)
    parts = []
    for source, column, ids in ((derived(tx.dialect), "s.id", [*entered]), (sent(), "v.id", [*kept])):
        if ids:
            parts.append(source.select(f"{column} IN {p.many([*ids], 'uuid')}"))
    if not parts:
        return []
    rows = await tx.fetch(f"SELECT * FROM ({' UNION ALL '.join(parts)}) z ORDER BY z.row_id", p.values)
    return await _events(tx, rows)


async def _events(tx: Tx, rows: Sequence[Row]) -> list[ReceivedEvent]:
    entered = [_uuid(row["id"]) for row in rows if row["type"] is not None]
    before = {}
    if entered:
        before = {row["entered"]: _entered(row) for row in await tx.fetch(_SQL["before"], {"ids": entered})}
    return [_event(row, before) for row in rows]


def _event(row: Row, before: dict[UUID, Entered]) -> ReceivedEvent:
    resource, related = msgspec.json.decode(row["resource"]), msgspec.json.decode(row["related"])
    if row["type"] is not None:
        entered = _entered({**row, "timestamp": row["occurred"]})
        return state_event(entered, before.get(entered.id), resource=resource, related=related)
    return ReceivedEvent(
        occurred=_time(row["occurred"]),
        event=row["event"],
        resource=resource,
        related=related,
        payload=msgspec.json.decode(row["payload"]),
        id=_uuid(row["id"]),
        follows=None if row["follows"] is None else _uuid(row["follows"]),
        received=made_at(_uuid(row["row_id"])),
    )


def _entered(row: Row) -> Entered:
    details = row["state_details"]
    told = msgspec.json.decode(details) if isinstance(details, str) else details
    return Entered(
        id=_uuid(row["id"]),
        type=StateType(row["type"]),
        name=row["name"],
        timestamp=_time(row["timestamp"]),
        message=row["message"],
        pause_reschedule=bool((told or {}).get("pause_reschedule")),
    )


def _uuid(value: Any) -> UUID:
    """SQLite hands over what an expression gave as it is stored."""
    return value if isinstance(value, UUID) else UUID(value)


def _time(value: Any) -> datetime:
    time = as_time(value)
    assert time is not None
    return time
