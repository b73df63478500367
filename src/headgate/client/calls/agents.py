"""Calls about agents, and their claims and leases."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.agents import Agent
from headgate.schema.claims import (
    AgentClaimRequest,
    AgentClaimResponse,
    AgentLeaseRenewal,
    AgentLeaseReturn,
    LeaseRenewalResponse,
)
from headgate.schema.filters import AgentQuery


def query(body: AgentQuery | None = None) -> Call[list[Agent]]:
    """Agents that match."""
    return Call("POST", "/agents/filter", body=body or AgentQuery(), returns=list[Agent])


def get(id: UUID) -> Call[Agent]:
    """One agent."""
    return Call("GET", "/agents/{id}", at={"id": id}, returns=Agent)


def drain(id: UUID) -> Call[None]:
    """Have an agent claim no more, finish what it has, and leave."""
    return Call("POST", "/agents/{id}/drain", at={"id": id})


def delete(id: UUID) -> Call[None]:
    """Forget an agent."""
    return Call("DELETE", "/agents/{id}", at={"id": id})


def claim(body: AgentClaimRequest) -> Call[AgentClaimResponse]:
    """Claim due runs of all queues that an agent polls, waiting for some if the body says so."""
    return Call("POST", "/agents/claim", body=body, returns=AgentClaimResponse, wait=body.wait_seconds)


def renew(body: AgentLeaseRenewal) -> Call[LeaseRenewalResponse]:
    """An agent's heartbeat: renew all leases that it holds."""
    return Call("POST", "/agents/leases/renew", body=body, returns=LeaseRenewalResponse)


def give_back(body: AgentLeaseReturn) -> Call[None]:
    """Return claimed runs that were not started."""
    return Call("POST", "/agents/leases/return", body=body)
