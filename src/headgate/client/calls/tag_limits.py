"""Calls about the concurrency limits of tags."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.concurrency_limits import (
    ConcurrencyLimit,
    ConcurrencyLimitCreate,
    ConcurrencyLimitQuery,
    ResetSlots,
    TakenLimit,
    TaskRunSlots,
)


def create(body: ConcurrencyLimitCreate) -> Call[ConcurrencyLimit]:
    """Create the limit of a tag, or change it."""
    return Call("POST", "/concurrency_limits/", body=body, returns=ConcurrencyLimit)


def get(id: UUID) -> Call[ConcurrencyLimit]:
    """One, by its id."""
    return Call("GET", "/concurrency_limits/{id}", at={"id": id}, returns=ConcurrencyLimit)


def get_by_tag(tag: str) -> Call[ConcurrencyLimit]:
    """One, by its tag."""
    return Call("GET", "/concurrency_limits/tag/{tag}", at={"tag": tag}, returns=ConcurrencyLimit)


def query(body: ConcurrencyLimitQuery | None = None) -> Call[list[ConcurrencyLimit]]:
    """A page of all."""
    body = body or ConcurrencyLimitQuery()
    return Call("POST", "/concurrency_limits/filter", body=body, returns=list[ConcurrencyLimit])


def reset(tag: str, body: ResetSlots | None = None) -> Call[None]:
    """Free all slots, but for the task runs that are named."""
    return Call("POST", "/concurrency_limits/tag/{tag}/reset", at={"tag": tag}, body=body or ResetSlots())


def delete(id: UUID) -> Call[None]:
    """Delete one, by its id."""
    return Call("DELETE", "/concurrency_limits/{id}", at={"id": id})


def delete_by_tag(tag: str) -> Call[None]:
    """Delete one, by its tag."""
    return Call("DELETE", "/concurrency_limits/tag/{tag}", at={"tag": tag})


def take(body: TaskRunSlots) -> Call[list[TakenLimit]]:
    """Have a task run hold a slot of each tag."""
    return Call("POST", "/concurrency_limits/increment", body=body, returns=list[TakenLimit])


def give_back(body: TaskRunSlots) -> Call[list[TakenLimit]]:
    """Give a task run's slots back."""
    return Call("POST", "/concurrency_limits/decrement", body=body, returns=list[TakenLimit])
