"""Routes of agents, and of their claims and leases."""

from uuid import UUID

from headgate.api.routing import Router
from headgate.schema.agents import Agent
from headgate.schema.claims import (
    AgentClaimRequest,
    AgentClaimResponse,
    AgentLeaseRenewal,
    AgentLeaseReturn,
    LeaseRenewalResponse,
)
from headgate.schema.filters import AgentQuery
from headgate.services import agents, claims, leases
from headgate.services.scope import Scope

router = Router("/agents", tag="Agents")


@router.post("/filter")
async def read_agents(scope: Scope, body: AgentQuery | None) -> list[Agent]:
    """Agents that match, the last alive first."""
    return await agents.list_page(scope, body or AgentQuery())


@router.post("/claim")
async def claim_for_agent(scope: Scope, body: AgentClaimRequest) -> AgentClaimResponse:
    """Claim due runs of all queues that an agent polls; held open for up to `wait_seconds` until there is work."""
    return await claims.claim_for_agent(scope, body)


@router.post("/leases/renew")
async def renew_agent_leases(scope: Scope, body: AgentLeaseRenewal) -> LeaseRenewalResponse:
    """An agent's heartbeat: it is alive, and so are the runs that it holds."""
    return await leases.renew(scope, None, body)


@router.post("/leases/return", status=204)
async def return_agent_leases(scope: Scope, body: AgentLeaseReturn) -> None:
    """Give back claimed runs that were not started."""
    await leases.give_back(scope, body)


@router.get("/{id}")
async def read_agent(scope: Scope, id: UUID) -> Agent:
    """An agent."""
    return await agents.get(scope, id)


@router.post("/{id}/drain", status=204)
async def drain_agent(scope: Scope, id: UUID) -> None:
    """Have an agent claim no more, finish what it has, and leave."""
    await agents.drain(scope, id)


@router.delete("/{id}")
async def delete_agent(scope: Scope, id: UUID) -> None:
    """Forget an agent."""
    await agents.delete(scope, id)
