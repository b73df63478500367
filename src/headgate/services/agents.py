"""Use cases of agents: what they poll, and that they are there."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from headgate.errors import Invalid, NotFound
from headgate.schema.agents import Agent
from headgate.schema.claims import AgentClaimRequest
from headgate.schema.filters import AgentQuery
from headgate.schema.work_queues import WorkQueue
from headgate.services.scope import Scope
from headgate.services.work_queues import DEFAULT_POOL
from headgate.store import agents as rows
from headgate.store import work_pools as pool_rows
from headgate.store.agents import Beat
from headgate.store.database import Tx
from headgate.store.workers import Alive


class Missing(Enum):
    """What becomes of a pool that is polled and does not exist."""

    REFUSE = auto()
    MAKE = auto()
    SKIP = auto()


@dataclass(frozen=True, slots=True)
class Polled:
    """The names of the pools to look into, and other pools whose signals may bring work."""

    pools: frozenset[str]
    missing: Missing
    heard: frozenset[UUID] = frozenset()

    @property
    def to_make(self) -> frozenset[str]:
        """Those that are made if they do not exist."""
        return self.pools if self.missing is Missing.MAKE else frozenset()


async def polled(tx: Tx, body: AgentClaimRequest) -> Polled:
    """Which pools an agent polls at present. A prefix without a pool stands for queues of all untyped pools."""
    if body.match is not None and body.queues:
        message = (
            f"An agent polls queues by their names or by a prefix, not both: queues={body.queues!r}, match={body.match!r}."
        )
        raise Invalid(message, field="match", value=body.match)
    missing = Missing.MAKE if body.make_pool else Missing.REFUSE
    if body.pool is not None:
        return Polled(frozenset({body.pool}), missing)
    if body.queues:
        return Polled(frozenset({DEFAULT_POOL}), missing)
    if body.match is None:
        raise Invalid("What is the agent to poll? Give a pool, queues, or a prefix of queue names.", field="pool")
    untyped = await pool_rows.untyped(tx, prefix=body.match)
    matching = frozenset(pool.name for pool in untyped if pool.matches)
    return Polled(matching, Missing.SKIP, frozenset(pool.id for pool in untyped))


async def beat(tx: Tx, body: AgentClaimRequest, now: datetime) -> Alive:
    """Note that an agent is alive and what it polls."""
    interval = body.heartbeat_interval_seconds
    return await rows.beat(tx, Beat(body.agent_id, body.name, body.pool, body.queues, body.match, interval, now))


async def note_poll(tx: Tx, agent_id: UUID, queue: WorkQueue, now: datetime) -> None:
    """Note that an agent of an existing client, which says no more of itself than its id, polls this queue."""
    known = await rows.get(tx, agent_id, now=now)
    names = known.work_queue_names if known else []
    if queue.name not in names:
        names = [*names, queue.name]
    await rows.beat(tx, Beat(agent_id, None, queue.work_pool_name, names, None, None, now))


async def get(scope: Scope, id: UUID) -> Agent:
    """One agent."""
    found = await scope.store.read(lambda tx: rows.get(tx, id, now=scope.now))
    if found is None:
        raise missing_agent(id)
    return found


async def list_page(scope: Scope, query: AgentQuery) -> list[Agent]:
    """A page of those that match."""
    return await scope.store.read(lambda tx: rows.list_page(tx, query, now=scope.now))


async def drain(scope: Scope, id: UUID) -> None:
    """Have an agent claim no more, finish what it has, and leave. It learns of that by the answer to its open claim."""
    if not await scope.store.write(lambda tx: rows.drain(tx, id, now=scope.now)):
        raise missing_agent(id)
    scope.wakeups.wake([id])


async def delete(scope: Scope, id: UUID) -> None:
    """Forget an agent; one that still runs is known again by its next claim."""
    if not await scope.store.write(lambda tx: rows.delete(tx, id)):
        raise missing_agent(id)


def missing_agent(id: UUID) -> NotFound:
    """The error of an agent that does not exist."""
    return NotFound(f"Agent {id} not found.")
