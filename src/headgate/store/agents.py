"""Rows of agents."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headgate.core.liveness import worker_status
from headgate.schema.agents import Agent
from headgate.schema.filters import AgentQuery
from headgate.store.database import Row, Tx
from headgate.store.filters import Params, agent_condition
from headgate.store.paging import page
from headgate.store.statements import load_statements
from headgate.store.workers import Alive, alive

_SQL = load_statements("agents")
_SELECT = _SQL["select"].sqlite


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life, with what the agent polls."""

    id: UUID
    name: str | None
    work_pool_name: str | None
    work_queue_names: list[str]
    work_queue_prefix: str | None
    interval: float | None
    now: datetime


def _agent(row: Row, now: datetime) -> Agent:
    values = dict(row)
    agent = Agent(draining=values.pop("drain_requested") is not None, **values)
    agent.status = worker_status(agent.last_heartbeat_time, agent.heartbeat_interval_seconds, now=now)
    return agent


async def beat(tx: Tx, beat: Beat) -> Alive:
    """Note that an agent is alive, known or not."""
    return alive(await tx.fetch_one(_SQL["beat"], {name: getattr(beat, name) for name in Beat.__slots__}))


async def touch(tx: Tx, id: UUID, *, interval: float | None, now: datetime) -> bool:
    """Note that an agent is alive if it is known; whether it is to drain."""
    return await tx.fetch_value(_SQL["touch"], {"id": id, "interval": interval, "now": now}) is not None


async def get(tx: Tx, id: UUID, *, now: datetime) -> Agent | None:
    """By id."""
    row = await tx.fetch_one(f"{_SELECT} WHERE a.id = :id", {"id": id})
    return _agent(row, now) if row else None


async def list_page(tx: Tx, query: AgentQuery, *, now: datetime) -> list[Agent]:
    """A page of those that match, the last alive first."""
    p = Params(tx.dialect)
    where = agent_condition(query.agents, p, now)
    rows = await tx.fetch(f"{_SELECT} WHERE {where} ORDER BY a.last_heartbeat_time DESC, a.id {page(query, p)}", p.values)
    return [_agent(row, now) for row in rows]


async def drain(tx: Tx, id: UUID, *, now: datetime) -> bool:
    """Note that an agent is to drain; False when there is none."""
    return await tx.execute(_SQL["drain"], {"id": id, "now": now}) > 0


async def delete(tx: Tx, id: UUID) -> bool:
    """Delete; False when there is none."""
    return await tx.execute(_SQL["delete"], {"id": id}) > 0
