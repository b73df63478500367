"""Routes of concurrency limits: those under a name, and those on tags as clients of old ask for them."""

from uuid import UUID

from headgate.api.routing import Answer, Router
from headgate.schema.concurrency_limits import (
    ConcurrencyLimit,
    ConcurrencyLimitCreate,
    ConcurrencyLimitQuery,
    EndLease,
    GiveSlotsBack,
    GlobalConcurrencyLimit,
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    LeasedSlots,
    RenewLease,
    ResetSlots,
    TakenLimit,
    TakeSlots,
    TakeSlotsWithLease,
    TaskRunSlots,
)
from headgate.services import concurrency_limits, slots, tag_limits
from headgate.services.scope import Scope

router = Router("/v2/concurrency_limits", tag="Concurrency limits")
tags_router = Router("/concurrency_limits", tag="Concurrency limits of tags")


@router.post("/", status=201)
async def create_concurrency_limit(scope: Scope, body: GlobalConcurrencyLimitCreate) -> GlobalConcurrencyLimit:
    """Create a limit."""
    return await concurrency_limits.create(scope, body)


@router.post("/filter")
async def read_concurrency_limits(scope: Scope, body: ConcurrencyLimitQuery | None) -> list[GlobalConcurrencyLimit]:
    """All limits, a page at a time, by name; those of deployments and tags among them."""
    return await concurrency_limits.list_page(scope, body or ConcurrencyLimitQuery())


@router.post("/increment")
async def take_slots(scope: Scope, body: TakeSlots) -> list[TakenLimit]:
    """Take slots of all the named limits, or of none (423, with when to ask again)."""
    return await slots.take(scope, body)


@router.post("/increment-with-lease")
async def take_slots_with_lease(scope: Scope, body: TakeSlotsWithLease) -> LeasedSlots:
    """Take slots that come back by themselves once their lease is no longer renewed."""
    return await slots.take_with_lease(scope, body)


@router.post("/decrement")
async def give_slots_back(scope: Scope, body: GiveSlotsBack) -> list[TakenLimit]:
    """Give slots of all the named limits back."""
    return await slots.give_back(scope, body)


@router.post("/decrement-with-lease", status=204)
async def end_lease(scope: Scope, body: EndLease) -> None:
    """Give back what a lease holds."""
    await slots.end_lease(scope, body.lease_id)


@router.post("/leases/{lease_id}/renew", status=204)
async def renew_lease(scope: Scope, lease_id: UUID, body: RenewLease | None) -> None:
    """Prolong a lease; 410 when it has ended."""
    await slots.renew_lease(scope, lease_id, seconds=(body or RenewLease()).lease_duration)


@router.get("/{id_or_name}")
async def read_concurrency_limit(scope: Scope, id_or_name: str) -> GlobalConcurrencyLimit:
    """One limit."""
    return await concurrency_limits.get(scope, id_or_name)


@router.patch("/{id_or_name}")
async def update_concurrency_limit(scope: Scope, id_or_name: str, body: GlobalConcurrencyLimitUpdate) -> None:
    """Change a limit: what is left out stays."""
    await concurrency_limits.update(scope, id_or_name, body)


@router.delete("/{id_or_name}")
async def delete_concurrency_limit(scope: Scope, id_or_name: str) -> None:
    """Delete a limit."""
    await concurrency_limits.delete(scope, id_or_name)


@tags_router.post("/")
async def create_tag_limit(scope: Scope, body: ConcurrencyLimitCreate) -> Answer[ConcurrencyLimit]:
    """Create the limit of a tag; one that exists is changed and answered with 200."""
    limit, is_new = await tag_limits.create(scope, body)
    return Answer(limit, 201 if is_new else 200)


@tags_router.post("/filter")
async def read_tag_limits(scope: Scope, body: ConcurrencyLimitQuery | None) -> list[ConcurrencyLimit]:
    """The limits of all tags, a page at a time, by tag."""
    return await tag_limits.list_page(scope, body or ConcurrencyLimitQuery())


@tags_router.post("/increment")
async def take_task_run_slots(scope: Scope, body: TaskRunSlots) -> list[TakenLimit]:
    """Have a task run hold a slot of each of these tags, or of none (423)."""
    return await tag_limits.take(scope, body)


@tags_router.post("/decrement")
async def give_task_run_slots_back(scope: Scope, body: TaskRunSlots) -> list[TakenLimit]:
    """Give back a task run's slots of these tags."""
    return await tag_limits.give_back(scope, body)


@tags_router.get("/tag/{tag}")
async def read_tag_limit_by_tag(scope: Scope, tag: str) -> ConcurrencyLimit:
    """The limit of a tag."""
    return await tag_limits.get_by_tag(scope, tag)


@tags_router.delete("/tag/{tag}", status=200)
async def delete_tag_limit_by_tag(scope: Scope, tag: str) -> None:
    """Delete the limit of a tag."""
    await tag_limits.delete_by_tag(scope, tag)


@tags_router.post("/tag/{tag}/reset")
async def reset_tag_limit(scope: Scope, tag: str, body: ResetSlots | None) -> None:
    """Free all slots of a tag's limit, but for the task runs that are named."""
    await tag_limits.reset(scope, tag, holders=(body and body.slot_override) or [])


@tags_router.get("/{id}")
async def read_tag_limit(scope: Scope, id: UUID) -> ConcurrencyLimit:
    """The limit of a tag, by its id."""
    return await tag_limits.get(scope, id)


@tags_router.delete("/{id}", status=200)
async def delete_tag_limit(scope: Scope, id: UUID) -> None:
    """Delete the limit of a tag, by its id."""
    await tag_limits.delete(scope, id)
