"""Calls about claims and leases."""

from uuid import UUID

from headgate.client.call import Call
from headgate.schema.claims import ClaimRequest, ClaimResponse, HeldLease, LeaseRenewal, LeaseRenewalResponse, LeaseReturn


def claim(pool: str, body: ClaimRequest) -> Call[ClaimResponse]:
    """Claim due runs, waiting for some if the body says so."""
    return Call(
        "POST",
        "/work_pools/{work_pool_name}/claim",
        at={"work_pool_name": pool},
        body=body,
        returns=ClaimResponse,
        wait=body.wait_seconds,
    )


def renew(pool: str, body: LeaseRenewal) -> Call[LeaseRenewalResponse]:
    """A worker's heartbeat: renew all leases that it holds."""
    return Call(
        "POST",
        "/work_pools/{work_pool_name}/leases/renew",
        at={"work_pool_name": pool},
        body=body,
        returns=LeaseRenewalResponse,
    )


def give_back(pool: str, body: LeaseReturn) -> Call[None]:
    """Return claimed runs that were not started."""
    return Call("POST", "/work_pools/{work_pool_name}/leases/return", at={"work_pool_name": pool}, body=body)


def renew_run(id: UUID, body: HeldLease) -> Call[LeaseRenewalResponse]:
    """An engine's heartbeat: renew the lease of the one run that it executes."""
    return Call("POST", "/flow_runs/{id}/lease", at={"id": id}, body=body, returns=LeaseRenewalResponse)
