"""Which pool a worker joins, and as which type."""

from dataclasses import dataclass

from headgate.client.calls import work_pools
from headgate.errors import ConfigError, Conflict, NotFound
from headgate.schema.filters import MAX_PAGE, WorkPoolQuery
from headgate.schema.work_pools import UNTYPED, WorkPool, WorkPoolCreate
from headgate.worker.channel import Channel
from headgate.worker.types import WorkerType, worker_type


@dataclass(frozen=True, slots=True)
class Membership:
    """A pool and the type of its workers. `exists` is False when the pool is yet to be created."""

    pool: str
    infrastructure: WorkerType
    exists: bool


async def look_up(channel: Channel, pool: str, type: str | None) -> Membership:
    """How a worker of `type` (None: whatever the pool's is) joins `pool`; waits for an API that is away.

    Raises `NotFound` when the pool is missing and no type says how to make it, `ConfigError` when the types do not fit.
    """
    try:
        found = await channel.insist(work_pools.get(pool), starting=True)
    except NotFound:
        if type is None:
            raise NotFound(await _missing(channel, pool)) from None
        _refuse_untyped(pool, type)
        return Membership(pool, worker_type(type), exists=False)
    _check(found, type)
    return Membership(pool, worker_type(found.type), exists=True)


async def create(channel: Channel, membership: Membership) -> bool:
    """Create the pool with its type's default template; False when someone else was faster."""
    kind = membership.infrastructure
    body = WorkPoolCreate(name=membership.pool, type=kind.type, base_job_template=kind.default_base_job_template())
    try:
        await channel.insist(work_pools.create(body), starting=True)
    except Conflict:
        _check(await channel.insist(work_pools.get(membership.pool), starting=True), kind.type)
        return False
    return True


def _check(pool: WorkPool, type: str | None) -> None:
    _refuse_untyped(pool.name, pool.type)
    if type is not None and type != pool.type:
        raise ConfigError(
            f"Work pool {pool.name!r} is of type {pool.type!r}, the worker of type {type!r}; "
            f"leave out --type, or choose a pool of type {type!r}."
        )


def _refuse_untyped(pool: str, type: str) -> None:
    if type == UNTYPED:
        raise ConfigError(
            f"Work pool {pool!r} is of type {UNTYPED!r}, which agents poll, not workers. "
            f"Start an agent: `headgate agent start -p {pool!r}`; "
            "or create a pool with a type: `headgate work-pool create NAME --type process`."
        )


async def _missing(channel: Channel, pool: str) -> str:
    pools = await channel.insist(work_pools.query(WorkPoolQuery(limit=MAX_PAGE)), starting=True)
    names = ", ".join(repr(other.name) for other in pools) or "none yet"
    return f"Work pool {pool!r} does not exist; pools: {names}. Add `--type process` to have it created."
