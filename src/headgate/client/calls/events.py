"""Calls about events."""

from headgate.client.call import Call
from headgate.schema.events import Countable, Event, EventCount, EventCountQuery, EventPage, EventQuery


def create(body: list[Event]) -> Call[None]:
    """Have events kept."""
    return Call("POST", "/events", body=body)


def query(body: EventQuery | None = None) -> Call[EventPage]:
    """The first of the events that match, and where the next ones are."""
    return Call("POST", "/events/filter", body=body or EventQuery(), returns=EventPage)


def next_page(page_token: str) -> Call[EventPage]:
    """A further page; its token is in the address that the page before names."""
    return Call("GET", "/events/filter/next", query={"page-token": page_token}, returns=EventPage)


def count_by(countable: Countable, body: EventCountQuery) -> Call[list[EventCount]]:
    """How many events match, by what they have in common."""
    path = "/events/count-by/{countable}"
    return Call("POST", path, at={"countable": countable.value}, body=body, returns=list[EventCount])
