"""Routes of events, and the websockets over which they come and go."""

import asyncio
import logging
from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, structs

from headgate.api.routing import Router
from headgate.api.sockets import Gone, Socket, SocketRoute
from headgate.schema.events import (
    Countable,
    Event,
    EventCount,
    EventCountQuery,
    EventFilter,
    EventPage,
    EventQuery,
    OccurredFilter,
    Order,
    ReceivedEvent,
)
from headgate.services import events
from headgate.services.scope import Scope

router = Router("/events", tag="Events")

BACKFILL = timedelta(minutes=15)
BACKFILL_PAGE = 250
MOST_WAITING = 1000
"""Events that were read and are not kept yet; who sends more is not read on until they are."""

_LOG = logging.getLogger("headgate.events")


@router.post("", status=204)
async def create_events(scope: Scope, body: list[Event]) -> None:
    """Take events."""
    await events.receive(scope, body)


@router.post("/filter")
async def read_events(scope: Scope, body: EventQuery | None) -> EventPage:
    """The first of the events that match, and where the next ones are."""
    return await events.first_page(scope, body or EventQuery(), url=_next_url(scope))


@router.get("/filter/next")
async def read_account_events_page(scope: Scope, page_token: Annotated[str, Meta(title="page-token")]) -> EventPage:
    """A further page."""
    return await events.next_page(scope, page_token, url=_next_url(scope))


@router.post("/count-by/{countable}")
async def count_account_events(scope: Scope, countable: Countable, body: EventCountQuery) -> list[EventCount]:
    """How many events match, by what they have in common."""
    return await events.count_by(scope, countable, body)


def _next_url(scope: Scope) -> str:
    return f"{scope.base_url()}api/events/filter/next"


# --- in


_EVENT = msgspec.json.Decoder(Event)


async def stream_events_in(scope: Scope, socket: Socket) -> None:
    """Take events until the caller hangs up, all that were sent before among them.

    What cannot be read is passed over: its sender learns nothing of it and would send it again for ever.
    """
    waiting: asyncio.Queue[Event | None] = asyncio.Queue(MOST_WAITING)
    keeper = asyncio.create_task(_keep(scope, waiting))
    try:
        while not keeper.done():
            text = await socket.receive_text()
            try:
                await waiting.put(_EVENT.decode(text))
            except msgspec.DecodeError as error:
                _LOG.warning("an event that was sent cannot be read and is left out: %s", error)
    except Gone:
        pass
    finally:
        await waiting.put(None)
        await keeper


async def _keep(scope: Scope, waiting: "asyncio.Queue[Event | None]") -> None:
    """Have what waits kept, all of it in one go, until there is a None."""
    while True:
        batch = [await waiting.get()]
        while not waiting.empty():
            batch.append(waiting.get_nowait())
        await events.receive(scope, [event for event in batch if event is not None])
        if None in batch:
            return


# --- out


class _Filter(msgspec.Struct):
    type: Literal["filter"]
    filter: EventFilter
    backfill: bool = True


class _Told(msgspec.Struct, tag="event", tag_field="type"):
    event: ReceivedEvent


_FILTER = msgspec.json.Decoder(_Filter)


async def stream_events_out(scope: Scope, socket: Socket) -> None:
    """Events that match: those of the last minutes, if they are wanted, then all as they come, each once."""
    asked = await socket.receive_filter(_FILTER)
    if asked is None:
        return
    since = max(asked.filter.occurred.since or scope.now - BACKFILL, scope.now - BACKFILL)
    occurred = OccurredFilter(since=since, until=asked.filter.occurred.until)
    wanted = structs.replace(asked.filter, occurred=occurred, order=Order.ASC)

    async def send() -> None:
        async with scope.event_streams.following(scope, wanted) as following:
            sent = await _backfill(scope, socket, wanted) if asked.backfill else set()
            while True:
                for event in await following.next():
                    if event.id not in sent:
                        await socket.send(_Told(event))
                    sent.discard(event.id)

    await socket.while_there(send())


async def _backfill(scope: Scope, socket: Socket, wanted: EventFilter) -> set[UUID]:
    """Send what there is; answers the ids."""
    sent: set[UUID] = set()
    while page := await events.list_stored(scope, wanted, limit=BACKFILL_PAGE, offset=len(sent)):
        for event in page:
            sent.add(event.id)
            await socket.send(_Told(event))
        if len(page) < BACKFILL_PAGE:
            break
    return sent


SOCKETS = (SocketRoute("/events/in", stream_events_in), SocketRoute("/events/out", stream_events_out))
