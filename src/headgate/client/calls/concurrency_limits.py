"""Calls about concurrency limits."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.concurrency_limits import (
    ConcurrencyLimitQuery,
    EndLease,
    GiveSlotsBack,
    GlobalConcurrencyLimit,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    LeasedSlots,
    RenewLease,
    TakenLimit,
    TakeSlots,
    TakeSlotsWithLease,
)


def create(body: GlobalConcurrencyLimitCreate) -> Call[GlobalConcurrencyLimit]:
    """Create a limit."""
    return Call("POST", "/v2/concurrency_limits/", body=body, returns=GlobalConcurrencyLimit)


def get(id_or_name: str) -> Call[GlobalConcurrencyLimit]:
    """One limit, by its id or its name."""
    path = "/v2/concurrency_limits/{id_or_name}"
    return Call("GET", path, at={"id_or_name": id_or_name}, returns=GlobalConcurrencyLimit)


def query(body: ConcurrencyLimitQuery | None = None) -> Call[list[GlobalConcurrencyLimit]]:
    """A page of all limits."""
    body = body or ConcurrencyLimitQuery()
    return Call("POST", "/v2/concurrency_limits/filter", body=body, returns=list[GlobalConcurrencyLimit])


def update(id_or_name: str, body: GlobalConcurrencyLimitUpdate) -> Call[None]:
    """Change a limit."""
    return Call("PATCH", "/v2/concurrency_limits/{id_or_name}", at={"id_or_name": id_or_name}, body=body)


def delete(id_or_name: str) -> Call[None]:
    """Delete a limit."""
    return Call("DELETE", "/v2/concurrency_limits/{id_or_name}", at={"id_or_name": id_or_name})


def take(body: TakeSlots) -> Call[list[TakenLimit]]:
    """Take slots."""
    return Call("POST", "/v2/concurrency_limits/increment", body=body, returns=list[TakenLimit])


def take_with_lease(body: TakeSlotsWithLease) -> Call[LeasedSlots]:
    """Take slots by a lease."""
    return Call("POST", "/v2/concurrency_limits/increment-with-lease", body=body, returns=LeasedSlots)


def give_back(body: GiveSlotsBack) -> Call[list[TakenLimit]]:
    """Give slots back."""
    return Call("POST", "/v2/concurrency_limits/decrement", body=body, returns=list[TakenLimit])


def end_lease(body: EndLease) -> Call[None]:
    """Give back what a lease holds."""
    return Call("POST", "/v2/concurrency_limits/decrement-with-lease", body=body)


def renew_lease(lease_id: UUID, body: RenewLease) -> Call[None]:
    """Prolong a lease."""
    return Call("POST", "/v2/concurrency_limits/leases/{lease_id}/renew", at={"lease_id": lease_id}, body=body)
